//! What a test that failed leaves behind for whoever looks into it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::cluster::{OPERATOR_NAMESPACE, run};

/// Where it is put, a folder for each namespace; `target/e2e` if not given.
const FOLDER: &str = "SHOP_E2E_EVIDENCE";
/// What is written down whole.
const OBJECTS: &str = "shops,deployments,replicasets,pods,jobs,services,endpointslices,ingresses,configmaps,\
                       persistentvolumeclaims,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies";

/// Writes down a namespace and the operator's log, and gives the folder.
pub(crate) fn collect(namespace: &str) -> PathBuf {
    let base =
        std::env::var_os(FOLDER).map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../e2e"), PathBuf::from);
    let folder = base.join(namespace);
    fs::create_dir_all(&folder).unwrap();
    let note = |name: &str, arguments: &[&str]| {
        let said = run("kubectl", arguments).unwrap_or_else(|error| error);
        fs::write(folder.join(name), said).unwrap();
    };
    note("objects.yaml", &["get", OBJECTS, "--namespace", namespace, "--output", "yaml"]);
    note("overview.txt", &["get", OBJECTS, "--namespace", namespace, "--output", "wide"]);
    note("events.txt", &["get", "events", "--namespace", namespace, "--sort-by", ".metadata.creationTimestamp"]);
    note("nodes.txt", &["describe", "nodes"]);
    let operator = ["logs", "--namespace", OPERATOR_NAMESPACE, "--selector", "app.kubernetes.io/name=shop-operator"];
    note("operator.log", &[&operator[..], &["--tail", "5000"]].concat());
    let pods = run("kubectl", &["get", "pods", "--namespace", namespace, "--output", "name"]).unwrap_or_default();
    for pod in pods.lines() {
        let name = pod.trim_start_matches("pod/");
        let logs = ["logs", "--namespace", namespace, pod, "--all-containers", "--prefix"];
        note(&format!("{name}.log"), &logs);
        note(&format!("{name}.before.log"), &[&logs[..], &["--previous"]].concat());
    }
    folder
}
