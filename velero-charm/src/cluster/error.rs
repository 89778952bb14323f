//! What can go wrong between the charm and the API server.
//!
//! **Invariant:** each error knows what was being done and whether a later hook may succeed.

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}: {cause}")]
pub(crate) struct ClusterError {
    doing: String,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("no ServiceAccount is mounted ({0})")]
    NoAccount(Box<dyn std::error::Error + Send + Sync>),
    #[error("the API server did not answer in time")]
    Silent,
    #[error("{}", status_text(.0))]
    Refused(Box<kube::core::Status>),
    #[error("the API server's certificate is not accepted ({0}); have it renewed")]
    Distrusted(String),
    #[error("no answer from the API server: {0}")]
    Unreachable(String),
}

impl ClusterError {
    pub(super) fn no_account(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            doing: "reach the cluster".into(),
            cause: Cause::NoAccount(source.into()),
        }
    }

    pub(crate) fn silent(doing: impl Into<String>) -> Self {
        Self {
            doing: doing.into(),
            cause: Cause::Silent,
        }
    }

    pub(super) fn request(doing: impl Into<String>, source: kube::Error) -> Self {
        let cause = match source {
            kube::Error::Api(status) => Cause::Refused(status),
            other => unreachable(&other),
        };
        Self {
            doing: doing.into(),
            cause,
        }
    }

    /// The object is not there, or its whole kind is not served: the latter comes without a reason.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(&self.cause, Cause::Refused(status) if status.code == 404)
    }

    /// The object is not what the request says it is.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(&self.cause, Cause::Refused(status) if status.code == 409)
    }

    /// The ServiceAccount may not do this, or is gone.
    pub(crate) fn is_forbidden(&self) -> bool {
        match &self.cause {
            Cause::Refused(status) => status.is_forbidden() || status.code == 401,
            Cause::NoAccount(_) | Cause::Silent | Cause::Distrusted(_) | Cause::Unreachable(_) => {
                false
            }
        }
    }

    /// A later hook may succeed without anybody doing anything.
    pub(crate) fn is_retryable(&self) -> bool {
        match &self.cause {
            Cause::Silent | Cause::Unreachable(_) => true,
            Cause::Refused(status) => matches!(status.code, 404 | 409 | 429) || status.code >= 500,
            Cause::NoAccount(_) | Cause::Distrusted(_) => false,
        }
    }
}

/// The API server can take no request now, and says so.
pub(super) fn is_busy(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 429 | 503 | 504))
}

/// What the API server itself said.
pub(super) fn word(error: &kube::Error) -> Option<kube::Error> {
    match error {
        kube::Error::Api(status) => Some(kube::Error::Api(status.clone())),
        _ => None,
    }
}

fn status_text(status: &kube::core::Status) -> String {
    if status.message.is_empty() {
        return format!("the API server answered {} {}", status.code, status.reason);
    }
    format!("{} ({})", status.message, status.code)
}

/// The last link of the chain says what happened; the ones before repeat it. What follows a certificate's
/// fault is the time, and what follows an early end is where to read about it.
fn unreachable(error: &kube::Error) -> Cause {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let broken_off = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    if deepest.downcast_ref().is_some_and(broken_off) {
        return Cause::Unreachable("the connection broke off".into());
    }
    let text = deepest.to_string();
    let asides = [": verification time ", ": https://"];
    let end = asides.iter().filter_map(|aside| text.find(aside)).min();
    let text = text.get(..end.unwrap_or(text.len())).unwrap_or(&text);
    match text.strip_prefix("invalid peer certificate: ") {
        Some(fault) => Cause::Distrusted(fault.to_owned()),
        None => Cause::Unreachable(text.to_owned()),
    }
}
