//! A namespace with everything around a Shop: its own Consul, kubelet, gateway, and operator behind a proxy of its own.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{PersistentVolumeClaim, Pod, Secret},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shop_operator::{controller::Rhythm, shop::Shop};
use shop_testing_consul::Consul;
use shop_testing_kubernetes::{Kubernetes, Proxy};
use tokio::time::{Instant, sleep};

use super::{Operator, RHYTHM, condition, gateway::Gateway, kubelet::Kubelet, kubernetes, objects::all_of};

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// The world of a test.
pub(crate) struct World {
    pub(crate) kubernetes: &'static Kubernetes,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) consul: Consul,
    pub(crate) kubelet: Kubelet,
    pub(crate) gateway: Gateway,
    pub(crate) proxy: Proxy,
    pub(crate) operator: Option<Operator>,
}

impl World {
    /// With an operator that runs; `None` where there is no Kubernetes.
    pub(crate) async fn start(name: &str) -> Option<Self> {
        let mut world = Self::asleep(name).await?;
        world.operate().await;
        Some(world)
    }

    /// The same without an operator yet.
    pub(crate) async fn asleep(name: &str) -> Option<Self> {
        let kubernetes = kubernetes().await?;
        let namespace = kubernetes.namespace(name).await;
        let (client, consul) = (kubernetes.client(), Consul::start().await);
        let kubelet = Kubelet::start(client.clone(), &namespace, consul.url());
        let (gateway, proxy) = (Gateway::start().await, Proxy::start(kubernetes).await);
        Some(Self { kubernetes, namespace, client, consul, kubelet, gateway, proxy, operator: None })
    }

    /// Starts an operator, unless one runs.
    pub(crate) async fn operate(&mut self) {
        self.operate_by(RHYTHM).await;
    }

    /// The same, of one that looks by itself as seldom as outside of tests: what it does soon it was told of.
    pub(crate) async fn operate_when_told(&mut self) {
        self.operate_by(Rhythm::default()).await;
    }

    async fn operate_by(&mut self, rhythm: Rhythm) {
        if self.operator.is_none() {
            let (kubeconfig, gateway) = (self.proxy.kubeconfig(), self.gateway.address);
            self.operator = Some(Operator::start(kubeconfig, &self.namespace, gateway, rhythm).await);
        }
    }

    /// Kills the operator.
    pub(crate) async fn kill(&mut self) {
        self.operator.take().expect("an operator that runs").kill().await;
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
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

    /// The Secret with the URLs of the databases.
    pub(crate) async fn databases(&self) {
        let url = |name: &str| format!("postgres://shop:secret@db.example:5432/{name}");
        let secret = json!({
            "metadata": {"name": "db"},
            "stringData": {"user": url("user"), "product": url("product"), "order": url("order")},
        });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        self.api().create(&PostParams::default(), &secret).await.unwrap();
    }

    pub(crate) async fn shop(&self, name: &str) -> Shop {
        self.api::<Shop>().get(name).await.unwrap()
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
            sleep(INTERVAL).await;
        }
    }

    /// Waits until no such object is there.
    pub(crate) async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let (api, begun) = (self.api::<K>(), Instant::now());
        while let Some(found) = api.get_opt(name).await.unwrap() {
            assert!(begun.elapsed() < PATIENCE, "{} {name} does not go: {found:#?}", K::kind(&()));
            sleep(INTERVAL).await;
        }
    }

    /// Waits until a Shop is ready, by what its spec now is.
    pub(crate) async fn ready(&self, name: &str) -> Shop {
        self.until::<Shop>(name, "it is ready", |shop| {
            let current =
                shop.status.as_ref().and_then(|status| status.observed_generation) == shop.metadata.generation;
            current && condition(shop, "Ready") == Some(true)
        })
        .await
    }

    /// Waits until a condition is true.
    pub(crate) async fn wait(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !so().await {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            sleep(INTERVAL).await;
        }
    }

    /// Lets the operator look at all of these once, as it does from time to time.
    pub(crate) async fn resync(&self, shops: &[&str]) {
        let seen: Vec<_> = shops.iter().map(|shop| self.reads(shop)).collect();
        for shop in shops {
            self.touch(shop).await;
        }
        let looked = async || shops.iter().zip(&seen).all(|(shop, seen)| self.reads(shop) > *seen);
        self.wait("the operator looks at its Shops", looked).await;
    }

    /// Waits until the operator has looked at a Shop from beginning to end after this call: it begins a second time when it
    /// is through with the first.
    pub(crate) async fn looked_again(&self, shop: &str) {
        for _ in 0..2 {
            self.resync(&[shop]).await;
        }
    }

    fn reads(&self, name: &str) -> usize {
        let asked = self.proxy.asked();
        let reads = asked.iter().filter(|asked| asked.resource == "shops" && asked.name.as_deref() == Some(name));
        reads.filter(|asked| asked.method == "GET").count()
    }

    /// Changes something of a Shop that means nothing, so that the operator looks at it.
    pub(crate) async fn touch(&self, name: &str) {
        let mark = fastrand::u64(..).to_string();
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"example.com/touched": mark}}}));
        self.api::<Shop>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Deletes a Shop with all that it leaves behind.
    pub(crate) async fn delete_for_good(&mut self, name: &str) {
        self.operate().await;
        self.delete::<Shop>(name).await;
        self.until_gone::<Shop>(name).await;
        self.kill().await;
        self.wait("the garbage collector is through", async || {
            let left = all_of(&self.client, &self.namespace, name).await;
            left.keys().all(|name| name.ends_with("-admin") || name.ends_with("-data"))
        })
        .await;
        self.api::<Secret>().delete(&format!("{name}-admin"), &DeleteParams::default()).await.unwrap();
        let claims = self.api::<PersistentVolumeClaim>();
        claims.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        self.wait("the volumes are gone", async || claims.list(&ListParams::default()).await.unwrap().items.is_empty())
            .await;
    }

    /// Keeps an object from going when it is deleted.
    pub(crate) async fn hold<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.finalizers::<K>(name, &json!(["example.com/held"])).await;
    }

    /// Lets it go.
    pub(crate) async fn release<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.finalizers::<K>(name, &json!(null)).await;
    }

    async fn finalizers<K>(&self, name: &str, finalizers: &Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        self.api::<K>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Writes down every number of replicas that a Deployment has from now on.
    pub(crate) async fn record_replicas(&self, name: &str) -> Arc<Mutex<Vec<i32>>> {
        let api = self.api::<Deployment>();
        let parameters = WatchParams::default().fields(&format!("metadata.name={name}"));
        let begin = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
        let mut events = api.watch(&parameters, &begin).await.unwrap().boxed();
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&numbers);
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                if let WatchEvent::Added(deployment) | WatchEvent::Modified(deployment) = event {
                    seen.lock().extend(deployment.spec.and_then(|spec| spec.replicas));
                }
            }
        });
        numbers
    }

    /// The versions of the Deployments, in the order user, product, order, gateway.
    pub(crate) async fn versions(&self, shop: &str) -> [Option<String>; 4] {
        let deployments = self.api::<Deployment>().list(&ListParams::default()).await.unwrap();
        ["user", "product", "order", "gateway"].map(|component| {
            let name = format!("{shop}-{component}");
            let found = deployments.items.iter().find(|deployment| deployment.name_any() == name)?;
            let image = found.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.clone()?;
            Some(image.rsplit(':').next()?.to_owned())
        })
    }

    /// The pods of a process.
    pub(crate) async fn pods(&self, component: &str) -> Vec<Pod> {
        let labels = ListParams::default().labels(&format!("app.kubernetes.io/name={component}"));
        self.api::<Pod>().list(&labels).await.unwrap().items
    }

    /// Ids that Consul has of a service.
    pub(crate) async fn registered(&self, service: &str) -> Vec<String> {
        let found = self.consul.get(&format!("/v1/catalog/service/{service}")).await.unwrap();
        let ids = found.as_array().unwrap().iter().map(|entry| entry["ServiceID"].as_str().unwrap().to_owned());
        ids.collect()
    }

    /// The settings that Consul has for a Shop.
    pub(crate) async fn settings(&self, shop: &str) -> Option<Value> {
        let found = self.consul.get(&format!("/v1/kv/shops/{}/{shop}/config?raw", self.namespace)).await;
        found.filter(|settings| !settings.is_null())
    }
}
