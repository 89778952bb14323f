//! What can go wrong between the charm and the API server.
//!
//! **Invariant:** each error knows what was being done.

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
    #[error("the API server's certificate is not accepted ({0})")]
    Distrusted(String),
    #[error("no answer from the API server: {0}")]
    Unreachable(String),
}

/// What makes a request succeed that has failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Remedy {
    /// It may pass on its own.
    Time,
    /// The ServiceAccount needs a role.
    Trust,
    /// A quota of the namespace is used up.
    Quota,
    /// Somebody's rule for objects of the cluster forbids this one.
    Policy,
    /// The API server needs another certificate.
    Certificate,
    /// Nothing: the namespace is being deleted.
    None,
    Unknown,
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

    pub(crate) fn request(doing: impl Into<String>, source: kube::Error) -> Self {
        let cause = match source {
            kube::Error::Api(status) => Cause::Refused(status),
            other => unreachable(&other),
        };
        Self {
            doing: doing.into(),
            cause,
        }
    }

    /// The object is not there, or its whole kind is not served. The latter comes without a reason, as does
    /// much that a webhook says, and the library's predicates go by the reason alone.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(&self.cause, Cause::Refused(status) if status.code == 404)
    }

    /// The object is not what the request says it is.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(&self.cause, Cause::Refused(status) if status.code == 409)
    }

    /// No role allows this to the ServiceAccount, or it is gone.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.remedy() == Remedy::Trust
    }

    /// Who can do something about it.
    pub(crate) fn remedy(&self) -> Remedy {
        match &self.cause {
            Cause::Refused(status) => remedy(status, self.is_retryable()),
            Cause::Silent | Cause::Unreachable(_) => Remedy::Time,
            Cause::Distrusted(_) => Remedy::Certificate,
            Cause::NoAccount(_) => Remedy::Unknown,
        }
    }

    /// What the ServiceAccount may not do, if the API server names it.
    pub(crate) fn lacking(&self) -> Option<&str> {
        match &self.cause {
            Cause::Refused(status) => Some(unauthorized(&status.message)?.1),
            Cause::NoAccount(_) | Cause::Silent | Cause::Distrusted(_) | Cause::Unreachable(_) => {
                None
            }
        }
    }

    /// The same without names that differ at every try.
    pub(crate) fn in_general(&self) -> String {
        let doing = self.doing.split(" `").next().unwrap_or(&self.doing);
        let cause = match &self.cause {
            Cause::Refused(status) => reason(&status.message).to_owned(),
            cause => cause.to_string(),
        };
        format!("could not {doing}: {cause}")
    }

    /// A later hook may succeed without anybody doing anything.
    pub(crate) fn is_retryable(&self) -> bool {
        match &self.cause {
            Cause::Silent | Cause::Unreachable(_) => true,
            Cause::Refused(status) => {
                matches!(status.code, 404 | 409 | 410 | 429) || status.code >= 500
            }
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

/// Many things are answered with 403; only the words tell which.
fn remedy(status: &kube::core::Status, is_retryable: bool) -> Remedy {
    let said = |words: &str| status.message.contains(words);
    let names_namespace = || {
        status
            .details
            .as_ref()
            .is_some_and(|d| d.kind == "namespaces")
    };
    if status.code == 401
        || unauthorized(&status.message).is_some()
        || reason(&status.message)
            .contains("attempting to grant RBAC permissions not currently held")
    {
        Remedy::Trust
    } else if said("because it is being terminated") || (status.code == 404 && names_namespace()) {
        Remedy::None
    } else if said("custom resource definition is terminating") || said("status unknown for quota")
    {
        Remedy::Time
    } else if said("exceeded quota: ") {
        Remedy::Quota
    } else if status.code == 403 || said("denied the request") || said("denied request") {
        Remedy::Policy
    } else if is_retryable {
        Remedy::Time
    } else {
        Remedy::Unknown
    }
}

/// Who may not do what, if this is how the API server says that no role allows it. A rule of the cluster
/// may use the same words, but not in this place.
fn unauthorized(message: &str) -> Option<(&str, &str)> {
    let user = reason(message).strip_prefix("User \"system:serviceaccount:")?;
    user.split_once("\" cannot ")
}

/// The message without the name of what was refused.
fn reason(message: &str) -> &str {
    message
        .split_once(" is forbidden: ")
        .map_or(message, |(_, reason)| reason)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USER: &str = "User \"system:serviceaccount:m:v\"";

    fn refused(code: u16, message: &str) -> ClusterError {
        let status = json!({"code": code, "message": message, "reason": "", "status": "Failure"});
        let status: kube::core::Status = serde_json::from_value(status).unwrap();
        ClusterError::request("apply Secret `v-1a2b`", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn trust_is_blamed_for_missing_roles_alone() {
        let by_role = format!("secrets \"x\" is forbidden: {USER} cannot get resource \"secrets\"");
        let escalation = "roles \"x\" is forbidden: user \"system:serviceaccount:m:v\" is attempting to \
                          grant RBAC permissions not currently held";
        for (code, message, remedy) in [
            (403, by_role.as_str(), Remedy::Trust),
            (403, escalation, Remedy::Trust),
            (401, "Unauthorized", Remedy::Trust),
            (
                403,
                "secrets \"x\" is forbidden: exceeded quota: tiny, requested: count/secrets=1",
                Remedy::Quota,
            ),
            (
                403,
                &format!("admission webhook \"w\" denied the request: {USER} cannot do that"),
                Remedy::Policy,
            ),
            (
                422,
                "secrets \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                Remedy::Policy,
            ),
            (
                403,
                "pods \"x\" is forbidden: maximum cpu usage is 1",
                Remedy::Policy,
            ),
            (
                403,
                "secrets \"x\" is forbidden: unable to create new content in namespace m because it is \
                 being terminated",
                Remedy::None,
            ),
            (
                403,
                "create not allowed while custom resource definition is terminating",
                Remedy::Time,
            ),
            (
                500,
                "Internal error occurred: failed calling webhook \"w\": no endpoints available",
                Remedy::Time,
            ),
            (
                403,
                "secrets \"x\" is forbidden: status unknown for quota: tiny, resources: count/secrets",
                Remedy::Time,
            ),
            (409, "the object has been modified", Remedy::Time),
            (422, "Secret \"x\" is invalid: data", Remedy::Unknown),
        ] {
            assert_eq!(refused(code, message).remedy(), remedy, "{message}");
        }
    }

    #[test]
    fn kind_that_is_not_served_is_not_found() {
        assert!(refused(404, "404 page not found").is_not_found());
        assert!(!refused(403, "no").is_not_found());
    }

    #[test]
    fn a_refusal_in_general_has_no_name_in_it() {
        let error = refused(403, "secrets \"v-1a2b\" is forbidden: exceeded quota: tiny");
        assert_eq!(
            error.in_general(),
            "could not apply Secret: exceeded quota: tiny"
        );
    }

    #[test]
    fn missing_right_is_named() {
        let message = format!("secrets \"x\" is forbidden: {USER} cannot get resource \"secrets\"");
        assert_eq!(
            refused(403, &message).lacking(),
            Some("get resource \"secrets\"")
        );
        assert_eq!(
            refused(403, "secrets \"x\" is forbidden: no").lacking(),
            None
        );
    }
}
