//! A namespace of a test's own, and what stands in it.

use std::{
    fmt::Debug,
    sync::{Arc, LazyLock},
    time::Instant,
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Pod, Secret},
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shop_operator::shop::Shop;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{
    Client, Cluster, INTERVAL, PATIENCE,
    cluster::{project, run, stand_ins},
    condition,
    evidence::collect,
    kubectl,
    registry::Registry,
};

/// The label of the namespaces of tests.
const OF_THE_TESTS: &str = "shop-operator.io/e2e";

/// The stage: who takes the operator or Consul away, puts a load on a shop or measures, has it alone.
static STAGE: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

/// A place on it, for as long as it is held.
#[derive(Clone)]
enum Place {
    Shared { _held: Arc<OwnedRwLockReadGuard<()>> },
    Alone { _held: Arc<OwnedRwLockWriteGuard<()>> },
}

/// A namespace. When a test fails it is written down before it goes.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    place: Place,
}

impl Scene {
    /// For a test that minds nobody and disturbs nobody. What others left may be on its way out still.
    pub(crate) async fn set(name: &str) -> Self {
        let held = Arc::new(Arc::clone(&STAGE).read_owned().await);
        Self::at(Place::Shared { _held: held }, name).await
    }

    /// For a test that no other may go on beside.
    pub(crate) async fn alone(name: &str) -> Self {
        let held = Arc::new(Arc::clone(&STAGE).write_owned().await);
        Self::at(Place::Alone { _held: held }, name).await
    }

    /// For a test that measures: what others left is gone, too.
    pub(crate) async fn quiet(name: &str) -> Self {
        let scene = Self::alone(name).await;
        let namespaces: Api<Namespace> = Api::all(scene.cluster.client.clone());
        super::until("what tests before left is gone", async || {
            let of_tests = namespaces.list(&ListParams::default().labels(OF_THE_TESTS)).await.unwrap();
            of_tests.iter().all(|namespace| namespace.metadata.deletion_timestamp.is_none())
        })
        .await;
        scene
    }

    /// One more namespace of the same test.
    pub(crate) async fn another(&self, name: &str) -> Self {
        Self::at(self.place.clone(), name).await
    }

    async fn at(place: Place, name: &str) -> Self {
        let cluster = Cluster::ready().await;
        let namespace = json!({"metadata": {
            "generateName": format!("{name}-"),
            // What the pods of a shop must bear.
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", OF_THE_TESTS: "true"},
        }});
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let made =
            namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();
        Self { cluster, namespace: made.name_any(), place }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// The host of the ingress: no two tests have the same.
    pub(crate) fn host(&self) -> String {
        format!("{}.localhost", self.namespace)
    }

    /// A client of the shop's REST interface, through the ingress.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.host())
    }

    /// The same, signed in as the admin that the operator made.
    pub(crate) async fn admin(&self, shop: &str) -> Client {
        let (email, password) = self.credentials(shop).await;
        self.client().login(&email, &password).await
    }

    /// The admin's e-mail address and password.
    pub(crate) async fn credentials(&self, shop: &str) -> (String, String) {
        let secret = self.api::<Secret>().get(&format!("{shop}-admin")).await.unwrap();
        let data = secret.data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        (text("email"), text("password"))
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry::new(&self.cluster.through)
    }

    /// Applies a Shop as a user would: what was in the spec before and is not now, is gone.
    pub(crate) async fn apply(&self, name: &str, spec: &Value) -> Shop {
        self.apply_with(name, spec, &json!({})).await
    }

    /// The same with annotations.
    pub(crate) async fn apply_with(&self, name: &str, spec: &Value, annotations: &Value) -> Shop {
        let shop = json!({
            "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
            "metadata": {"name": name, "annotations": annotations}, "spec": spec,
        });
        let parameters = PatchParams::apply("user").force();
        self.api::<Shop>().patch(name, &parameters, &Patch::Apply(shop)).await.unwrap()
    }

    pub(crate) async fn shop(&self, name: &str) -> Shop {
        self.api::<Shop>().get(name).await.unwrap()
    }

    /// Waits until a Shop is ready, by what its spec now is.
    pub(crate) async fn ready(&self, name: &str) -> Shop {
        self.until::<Shop>(name, "it is ready", |shop| {
            let observed = shop.status.as_ref().and_then(|status| status.observed_generation);
            observed == shop.metadata.generation && condition(shop, "Ready") == Some(true)
        })
        .await
    }

    /// Waits until an object is so.
    pub(crate) async fn until<K>(&self, name: &str, what: &str, mut so: impl FnMut(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let (api, begun) = (self.api::<K>(), Instant::now());
        loop {
            let found = api.get_opt(name).await.unwrap();
            if let Some(found) = &found
                && so(found)
            {
                return found.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "never: {what}; {} {name} is {found:#?}", K::kind(&()));
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Deletes a Shop, and waits until it is gone.
    pub(crate) async fn delete(&self, shop: &str) {
        self.api::<Shop>().delete(shop, &DeleteParams::default()).await.unwrap();
        super::until("the Shop is gone", async || self.api::<Shop>().get_opt(shop).await.unwrap().is_none()).await;
    }

    /// The pods of a process that do not end.
    pub(crate) async fn pods(&self, component: &str) -> Vec<Pod> {
        let labels = ListParams::default().labels(&format!("app.kubernetes.io/name={component}"));
        let mut pods = self.api::<Pod>().list(&labels).await.unwrap().items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods
    }

    /// Kills a pod as a node that dies would: at once, and nobody gets to say good-bye.
    pub(crate) async fn kill(&self, pod: &Pod) {
        let at_once = DeleteParams::default().grace_period(0);
        self.api::<Pod>().delete(&pod.name_any(), &at_once).await.unwrap();
    }

    /// A PostgreSQL with an empty database for each service, and a Secret `shop-databases` with their URLs, as
    /// `examples/postgres-server.yaml` has it.
    pub(crate) fn postgres(&self) {
        let folder = project().join("examples");
        let mut server = std::fs::read_to_string(folder.join("postgres-server.yaml")).unwrap();
        if stand_ins() {
            server = server.replace("image: postgres:17", "image: localhost/postgres:15");
        }
        self.kubectl_apply(&server);
        let shop = std::fs::read_to_string(folder.join("postgres.yaml")).unwrap();
        let secret = shop.split("\n---\n").find(|document| document.contains("kind: Secret")).unwrap();
        self.kubectl_apply(secret);
        kubectl(&["rollout", "status", "deployment/postgres", "--namespace", &self.namespace, "--timeout", "4m"]);
    }

    /// Applies manifests in this namespace.
    pub(crate) fn kubectl_apply(&self, manifests: &str) {
        self.apply_file(manifests, &[]);
    }

    /// Has the API server judge manifests, and leave it at that.
    pub(crate) fn kubectl_apply_dry(&self, manifests: &str) {
        self.apply_file(manifests, &["--dry-run=server"]);
    }

    fn apply_file(&self, manifests: &str, more: &[&str]) {
        let file = std::env::temp_dir().join(format!("shop-e2e-{}.yaml", uuid::Uuid::new_v4()));
        std::fs::write(&file, manifests).unwrap();
        let arguments = ["apply", "--namespace", &self.namespace, "--filename", file.to_str().unwrap()];
        let applied = run("kubectl", &[&arguments[..], more].concat());
        std::fs::remove_file(&file).unwrap();
        applied.unwrap_or_else(|said| panic!("{said}"));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what was there is in {}", collect(&self.namespace).display());
        }
        // The operator sees to the Shops in it meanwhile.
        let gone = run("kubectl", &["delete", "namespace", &self.namespace, "--wait=false"]);
        if let Err(said) = gone {
            println!("{said}");
        }
    }
}
