//! How the API server says no.
//!
//! Invariant: code, content type and wording are the API server's own for that request.

use serde_json::{Value, json};

use super::Asked;

/// A way of saying no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 403: no role allows it.
    Forbidden,
    /// 403: the namespace is being deleted.
    Terminating,
    /// 404: the object is not there, or nothing of its kind for a list.
    NotFound,
    /// 409: somebody else has just changed it.
    Conflict,
    /// 429 with a `Retry-After` of one second: too many requests.
    Busy,
    /// 500: the store behind it is slow.
    Broken,
}

/// What a path names.
struct Target<'a> {
    group: &'a str,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Forbidden | Self::Terminating => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Busy => 429,
            Self::Broken => 500,
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Busy => "text/plain; charset=utf-8",
            _ => "application/json",
        }
    }

    /// The body of the answer to this request.
    pub(super) fn text(self, asked: &Asked) -> String {
        let target = Target::of(&asked.path);
        let Target { resource, name, .. } = target;
        let qualified = target.qualified();
        match self {
            // Turned away before anything is read of it: no object of the API.
            Self::Busy => "Too many requests, please try again later.\n".to_owned(),
            Self::Forbidden => {
                let message = format!(
                    "{qualified}{} is forbidden: User \"{}\" cannot {} resource \"{resource}\" in \
                     API group \"{}\" {}",
                    target.quoted_name(),
                    asked.user,
                    verb(asked, name),
                    target.group,
                    target.place(),
                );
                self.status("Forbidden", &message, &target.details())
            }
            Self::Terminating => {
                let message = format!(
                    "{qualified}{} is forbidden: unable to create new content in namespace {} because \
                     it is being terminated",
                    target.quoted_name(),
                    target.namespace,
                );
                self.status("Forbidden", &message, &target.details())
            }
            Self::NotFound if name.is_empty() => {
                let message = "the server could not find the requested resource";
                self.status("NotFound", message, &json!({}))
            }
            Self::NotFound => {
                let message = format!("{qualified} \"{name}\" not found");
                self.status("NotFound", &message, &target.details())
            }
            Self::Conflict => {
                let message = format!(
                    "Operation cannot be fulfilled on {qualified} \"{name}\": the object has been \
                     modified; please apply your changes to the latest version and try again"
                );
                self.status("Conflict", &message, &target.details())
            }
            Self::Broken => {
                let message = "etcdserver: request timed out";
                self.status("InternalError", message, &json!({}))
            }
        }
    }

    fn status(self, reason: &str, message: &str, details: &Value) -> String {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": self.code(),
        })
        .to_string()
    }
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let group = match parts.next() {
            Some("apis") => parts.next().unwrap_or_default(),
            _ => "",
        };
        let _version = parts.next();
        let namespace = match parts.peek() {
            Some(&"namespaces") => parts.nth(1).unwrap_or_default(),
            _ => "",
        };
        let (resource, name) = match parts.next() {
            Some(resource) => (resource, parts.next().unwrap_or_default()),
            // A namespace itself.
            None => ("namespaces", namespace),
        };
        Self {
            group,
            resource,
            namespace,
            name,
        }
    }

    fn qualified(&self) -> String {
        match self.group {
            "" => self.resource.to_owned(),
            group => format!("{}.{group}", self.resource),
        }
    }

    fn quoted_name(&self) -> String {
        match self.name {
            "" => String::new(),
            name => format!(" \"{name}\""),
        }
    }

    fn place(&self) -> String {
        match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        }
    }

    fn details(&self) -> Value {
        json!({"name": self.name, "group": self.group, "kind": self.resource})
    }
}

/// The request's verb in the sense of RBAC.
fn verb(asked: &Asked, name: &str) -> &'static str {
    match (asked.method.as_str(), name) {
        ("GET", "") if asked.is_watch() => "watch",
        ("GET", "") => "list",
        ("DELETE", "") => "deletecollection",
        ("DELETE", _) => "delete",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "get",
    }
}
