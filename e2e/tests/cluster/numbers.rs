//! What the operator costs.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
};

use serde_json::{Value, json};

use crate::support::{OPERATOR_NAMESPACE, Scene, kubectl, smallest, until};

const SHOPS: usize = 10;
/// The design's gate for the operator with so many.
const MEMORY_MIB: f64 = 24.0;
/// The API server's own record of what was asked, where the tests brought it up.
const AUDIT: &str = "SHOP_E2E_AUDIT_LOG";

/// Changes that the operator asked for, after so many bytes of the record.
fn changes_since(log: &PathBuf, begin: u64) -> Vec<String> {
    let mut file = std::fs::File::open(log).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(begin)).unwrap();
    let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:shop-operator");
    let records = BufReader::new(file).lines().map_while(Result::ok);
    records
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .filter(|record| record["user"]["username"] == user.as_str())
        .map(|record| format!("{} {}", record["verb"], record["requestURI"]))
        .collect()
}

#[tokio::test]
async fn ten_shops_cost_little_memory_and_no_write_while_nothing_changes() {
    let scene = Scene::quiet("ten").await;
    let small = json!({"requests": {"cpu": "5m", "memory": "32Mi"}});
    for number in 0..SHOPS {
        let mut spec = smallest(&format!("{number}.{}", scene.host()));
        spec["services"] =
            json!({"user": {"resources": small}, "product": {"resources": small}, "order": {"resources": small}});
        spec["gateway"]["resources"] = small.clone();
        scene.apply(&format!("shop-{number}"), &spec).await;
    }
    for number in 0..SHOPS {
        scene.ready(&format!("shop-{number}")).await;
    }
    let pod = kubectl(&[
        "get",
        "pods",
        "--namespace",
        OPERATOR_NAMESPACE,
        "--selector",
        "app.kubernetes.io/name=shop-operator",
        "--output",
        "jsonpath={.items[0].metadata.name}",
    ]);
    // The kernel's count for the pod, through the kubelet.
    let node =
        kubectl(&["get", "pod", &pod, "--namespace", OPERATOR_NAMESPACE, "--output", "jsonpath={.spec.nodeName}"]);
    let summary = kubectl(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/stats/summary")]);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let pods = summary["pods"].as_array().unwrap();
    let stats = pods.iter().find(|stats| stats["podRef"]["name"] == pod.as_str()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let mib = stats["containers"][0]["memory"]["workingSetBytes"].as_u64().unwrap() as f64 / (1024.0 * 1024.0);
    println!("the operator has {mib:.1} MiB with {SHOPS} Shops");
    assert!(mib < MEMORY_MIB, "{mib:.1} MiB");

    let Some(log) = std::env::var_os(AUDIT).map(PathBuf::from) else {
        println!("not counted: {AUDIT} names no record of the API server");
        return;
    };
    let looked = async || {
        let metrics = kubectl(&[
            "get",
            "--raw",
            &format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:9090/proxy/metrics"),
        ]);
        let lines = metrics.lines().filter(|line| line.starts_with("shop_operator_reconciles_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    // Each is looked at ten times: a mark that means nothing is a reason to.
    let begin = std::fs::metadata(&log).unwrap().len();
    for round in 0..10 {
        let before = looked().await;
        kubectl(&[
            "annotate",
            "shops",
            "--all",
            "--overwrite",
            "--namespace",
            &scene.namespace,
            &format!("example.com/round={round}"),
        ]);
        until("each was looked at", async || looked().await >= before + 10.0).await;
    }
    let changes = changes_since(&log, begin);
    assert_eq!(changes, Vec::<String>::new());
}
