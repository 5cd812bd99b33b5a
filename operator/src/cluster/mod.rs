//! Calls to the API server: each has a time, and an error that says which call it was. Nothing is cached here: whatever is
//! decided is decided on what the server has.

mod kind;

use std::{fmt::Debug, future::Future, time::Duration};

use kube::{
    Client,
    api::{
        Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
        ValidationDirective,
    },
    core::PartialObjectMeta,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

pub use kind::Kind;

pub use crate::build::names::FIELD_MANAGER;

/// An object of any kind.
pub type Object = DynamicObject;

/// What one call may take. The server answers in milliseconds; an election of etcd takes a second or two.
pub const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Objects in one page of a list.
const PAGE: u32 = 200;
/// Pages of a list: a namespace with more objects of one Shop than this has something else wrong with it.
const MAX_PAGES: usize = 50;

/// Why there is no answer of the API server, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It did not answer.
    #[error("the API server did not answer within {limit:?}: {call}")]
    TimedOut {
        /// What was asked.
        call: String,
        /// How long it had.
        limit: Duration,
    },
    /// It said no.
    #[error("{call}: {message}")]
    Refused {
        /// What was asked.
        call: String,
        /// The HTTP status.
        code: u16,
        /// The reason, CamelCase.
        reason: String,
        /// What the server says.
        message: String,
    },
    /// There was no answer, or none that could be read.
    #[error("{call} failed")]
    Failed {
        /// What was asked.
        call: String,
        /// What the client says.
        #[source]
        source: Box<kube::Error>,
    },
}

impl ApiError {
    /// What a call is based on is no longer so.
    pub(crate) fn changed(call: String) -> Self {
        let message = "it changed meanwhile".to_owned();
        Self::Refused { call, code: 409, reason: "Conflict".to_owned(), message }
    }

    /// Somebody else was faster: what the call was based on is no longer so.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// The server does not take it, and not because somebody else was faster.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. }) && !self.is_conflict()
    }

    /// The object is not what its kind allows; the same again has the same answer.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { code: 400 | 422, .. })
    }

    /// There is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// What kind of error it is, for metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "api_timeout",
            Self::Refused { code: 409, .. } => "api_conflict",
            Self::Refused { code: 400 | 422, .. } => "api_invalid",
            Self::Refused { code: 403, .. } => "api_forbidden",
            Self::Refused { .. } | Self::Failed { .. } => "api",
        }
    }
}

/// Runs one call within its time.
pub async fn within<T>(
    call: impl FnOnce() -> String,
    limit: Duration,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(ApiError::Refused {
            call: call(),
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
        }),
        Ok(Err(error)) => Err(ApiError::Failed { call: call(), source: Box::new(error) }),
        Err(_elapsed) => Err(ApiError::TimedOut { call: call(), limit }),
    }
}

/// The cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// What exactly is to be changed or deleted: the object that was read, and no other of its name.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

impl Cluster {
    /// Through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The objects of a kind in a namespace.
    pub fn api(&self, kind: Kind, namespace: &str) -> Api<Object> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// One object; `None` when the server says that there is none.
    pub async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Object>, ApiError> {
        let call = || format!("get {kind} {namespace}/{name}");
        within(call, CALL_LIMIT, self.api(kind, namespace).get_opt(name)).await
    }

    /// What an object says of itself; `None` when the server says that there is none.
    pub async fn get_metadata(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<Object>>, ApiError> {
        let call = || format!("get {kind} {namespace}/{name}");
        within(call, CALL_LIMIT, self.api(kind, namespace).get_metadata_opt(name)).await
    }

    /// The objects with these labels, all of them or none.
    pub async fn list(&self, kind: Kind, namespace: &str, labels: &str) -> Result<Vec<Object>, ApiError> {
        let api = self.api(kind, namespace);
        let mut params = ListParams::default().labels(labels).limit(PAGE);
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let call = || format!("list {kind} in {namespace}");
            let page = within(call, CALL_LIMIT, api.list(&params)).await?;
            found.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        Ok(found)
    }

    /// Makes an object that is not there yet. One that is there is a conflict.
    pub async fn create(&self, kind: Kind, namespace: &str, object: &Object) -> Result<Object, ApiError> {
        let call = || format!("create {kind} {namespace}/{}", object.metadata.name.as_deref().unwrap_or_default());
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        within(call, CALL_LIMIT, self.api(kind, namespace).create(&params, object)).await
    }

    /// Applies an object on behalf of a field manager, whoever else has set its fields before.
    pub async fn apply(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        manager: &str,
        object: &Value,
    ) -> Result<Object, ApiError> {
        let call = || format!("apply {kind} {namespace}/{name}");
        let params =
            PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::apply(manager).force() };
        within(call, CALL_LIMIT, self.api(kind, namespace).patch(name, &params, &Patch::Apply(object))).await
    }

    /// Changes some members of an object. With a resourceVersion among them it is a conflict if the object has changed.
    pub async fn merge(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        patch: &(impl Serialize + Debug + Sync),
    ) -> Result<Object, ApiError> {
        let call = || format!("patch {kind} {namespace}/{name}");
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within(call, CALL_LIMIT, self.api(kind, namespace).patch(name, &params, &Patch::Merge(patch))).await
    }

    /// The same for the status of an object.
    pub async fn merge_status(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        patch: &(impl Serialize + Debug + Sync),
    ) -> Result<Object, ApiError> {
        let call = || format!("patch the status of {kind} {namespace}/{name}");
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within(call, CALL_LIMIT, self.api(kind, namespace).patch_status(name, &params, &Patch::Merge(patch))).await
    }

    /// Deletes an object and, in the background, what it owns. One that is gone, or has made room for another, is as good
    /// as deleted.
    pub async fn delete(&self, target: Target<'_>) -> Result<(), ApiError> {
        let Target { kind, namespace, name, uid } = target;
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let call = || format!("delete {kind} {namespace}/{name}");
        match within(call, CALL_LIMIT, self.api(kind, namespace).delete(name, &params)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
