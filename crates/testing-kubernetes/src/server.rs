//! The components, and clients of them.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use crate::{keeper::Keeper, tools::tools};

/// The components have an address of their own, so that ports can be the same; see [`shop_testing_consul::free_address`].
const API_PORT: u16 = 22_443;
const ETCD_PORT: u16 = 22_379;
const ETCD_PEER_PORT: u16 = 22_380;
/// Longer than the API server needs to start on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(50);
/// Who may do anything.
const TOKEN: &str = "token-of-the-tests";
/// Those whose work tests build on. There is no kubelet, so nothing runs.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,job-controller,garbage-collector-controller,\
                           namespace-controller,horizontal-pod-autoscaler-controller,\
                           persistentvolumeclaim-protection-controller";

/// A running Kubernetes without nodes. All of it ends when this is dropped, or the process ends.
#[derive(Debug)]
pub struct Kubernetes {
    keeper: Keeper,
    url: String,
    authority: Authority,
}

impl Kubernetes {
    /// The one that all tests of this process share, each in namespaces of its own; `None` where there is none. It knows these
    /// kinds of resources, which the first to ask names: the controllers look for new ones twice a minute only.
    pub async fn shared(definitions: &[CustomResourceDefinition]) -> Option<&'static Self> {
        static SHARED: OnceCell<Kubernetes> = OnceCell::const_new();
        let tools = tools()?;
        Some(SHARED.get_or_init(|| Self::start(&tools, definitions)).await)
    }

    async fn start(tools: &Path, definitions: &[CustomResourceDefinition]) -> Self {
        let folder = TempDir::with_prefix("shop-kubernetes-").unwrap().keep();
        let address = IpAddr::from(shop_testing_consul::free_address());
        let authority = certificates(&folder, address);
        let kubernetes =
            Self { keeper: Keeper::start(folder), url: format!("https://{address}:{API_PORT}"), authority };
        let etcd = format!("http://{address}:{ETCD_PORT}");
        kubernetes.run(
            &tools.join("etcd"),
            &[
                "--data-dir=etcd".to_owned(),
                "--unsafe-no-fsync".to_owned(),
                format!("--listen-client-urls={etcd}"),
                format!("--advertise-client-urls={etcd}"),
                format!("--listen-peer-urls=http://{address}:{ETCD_PEER_PORT}"),
            ],
        );
        kubernetes.write("tokens", format!("{TOKEN},tests,1,system:masters\n"));
        let file = |name: &str| kubernetes.keeper.folder().join(name).display().to_string();
        kubernetes.run(
            &tools.join("kube-apiserver"),
            &[
                format!("--etcd-servers={etcd}"),
                format!("--bind-address={address}"),
                format!("--advertise-address={address}"),
                format!("--secure-port={API_PORT}"),
                format!("--tls-cert-file={}", file("server.crt")),
                format!("--tls-private-key-file={}", file("server.key")),
                format!("--service-account-key-file={}", file("server.crt")),
                format!("--service-account-signing-key-file={}", file("server.key")),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!("--token-auth-file={}", file("tokens")),
                "--authorization-mode=RBAC".to_owned(),
                // Nobody makes service accounts' tokens here, which no pod could use either.
                "--disable-admission-plugins=ServiceAccount".to_owned(),
                // There is no Service for the API server itself, which can't be on loopback.
                "--endpoint-reconciler-type=none".to_owned(),
                "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
                "--allow-privileged=true".to_owned(),
            ],
        );
        kubernetes.ready().await;
        for definition in definitions {
            kubernetes.serve(definition).await;
        }
        kubernetes.write("kubeconfig", kubeconfig(&kubernetes.url, Some(&kubernetes.keeper.folder().join("ca.crt"))));
        kubernetes.run(
            &tools.join("kube-controller-manager"),
            &[
                format!("--kubeconfig={}", file("kubeconfig")),
                format!("--controllers={CONTROLLERS}"),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
                "--horizontal-pod-autoscaler-sync-period=1s".to_owned(),
                // Tests wait for it.
                "--kube-api-qps=500".to_owned(),
                "--kube-api-burst=1000".to_owned(),
            ],
        );
        kubernetes
    }

    fn run(&self, program: &Path, arguments: &[String]) {
        self.keeper.run(program, arguments);
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.keeper.folder().join(name), text).unwrap();
    }

    async fn ready(&self) {
        let http = self.http();
        let begun = Instant::now();
        loop {
            let asked = http.get(format!("{}/readyz", self.url)).bearer_auth(TOKEN).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the API server is not ready:\n{}", self.keeper.logs());
            sleep(INTERVAL).await;
        }
    }

    /// Where the API server answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What the proxy calls it with: many connections, each for one request.
    pub(crate) fn http(&self) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.authority.pem.as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().http1_only().tls_certs_only([authority]).build().unwrap()
    }

    /// A client that may do anything, of this test's own: connections belong to the runtime that opened them.
    pub fn client(&self) -> Client {
        let mut config = Config::new(self.url.parse().unwrap());
        config.root_cert = Some(vec![self.authority.der.clone()]);
        config.auth_info.token = Some(TOKEN.to_owned().into());
        Client::try_from(config).unwrap()
    }

    /// Makes a namespace whose name begins so.
    pub async fn namespace(&self, beginning: &str) -> String {
        let namespace = serde_json::from_value(json!({"metadata": {"generateName": format!("{beginning}-")}})).unwrap();
        let api: Api<Namespace> = Api::all(self.client());
        api.create(&PostParams::default(), &namespace).await.unwrap().name_any()
    }

    /// Applies a kind of resources, and waits until it is served.
    async fn serve(&self, definition: &CustomResourceDefinition) {
        let api: Api<CustomResourceDefinition> = Api::all(self.client());
        let name = definition.name_any();
        let parameters = PatchParams::apply("tests").force();
        api.patch(&name, &parameters, &Patch::Apply(definition)).await.unwrap();
        let begun = Instant::now();
        loop {
            let conditions = api.get(&name).await.unwrap().status.and_then(|status| status.conditions);
            if conditions.iter().flatten().any(|is| is.type_ == "Established" && is.status == "True") {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} is not served: {conditions:?}");
            sleep(INTERVAL).await;
        }
    }

    /// The end of what all components said.
    pub fn logs(&self) -> String {
        self.keeper.logs()
    }
}

/// A configuration for whoever may do anything, through a plain or a TLS address.
pub(crate) fn kubeconfig(server: &str, authority: Option<&PathBuf>) -> String {
    let mut cluster = json!({"server": server});
    if let Some(authority) = authority {
        cluster["certificate-authority"] = json!(authority);
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": TOKEN}}],
    })
    .to_string()
}

/// An authority's certificate.
#[derive(Debug)]
struct Authority {
    pem: String,
    der: Vec<u8>,
}

/// Makes an authority and the server's certificate.
fn certificates(folder: &Path, address: IpAddr) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([address.to_string()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    fs::write(folder.join("server.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    Authority { pem: authority.pem(), der: authority.der().to_vec() }
}
