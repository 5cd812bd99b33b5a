//! The operator's chart, from installing to uninstalling; `charts/check` lints and renders both.

use serde_json::Value;

use crate::support::{OPERATOR_NAMESPACE, Scene, helm, kubectl, operator_install, smallest};

#[tokio::test]
async fn the_operator_is_upgraded_rolled_back_tested_and_uninstalled_while_a_shop_stays() {
    let scene = Scene::alone("charts").await;
    scene.apply("demo", &smallest(&scene.host())).await;
    scene.ready("demo").await;
    helm(&["test", "shop-operator", "--namespace", OPERATOR_NAMESPACE, "--timeout", "2m"]);
    helm(&operator_install(&["--set", "replicas=2,logLevel=debug"]));
    let replicas = || {
        let shown = kubectl(&[
            "get",
            "deployment/shop-operator",
            "--namespace",
            OPERATOR_NAMESPACE,
            "--output",
            "jsonpath={.status.readyReplicas}",
        ]);
        shown.trim().to_owned()
    };
    assert_eq!(replicas(), "2");
    helm(&["rollback", "shop-operator", "--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout", "4m"]);
    assert_eq!(replicas(), "1");
    helm(&["uninstall", "shop-operator", "--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout", "4m"]);
    // With the definition every Shop would go.
    kubectl(&["get", "crd", "shops.shop-operator.io"]);
    let kept: Value =
        serde_json::from_str(&kubectl(&["get", "shops", "demo", "--namespace", &scene.namespace, "--output", "json"]))
            .unwrap();
    assert_eq!(kept["metadata"]["name"], "demo");
    scene.client().customer().await;
    helm(&operator_install(&[]));
    scene.ready("demo").await;
}
