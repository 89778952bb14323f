//! What was asked of the API server, from its audit log.
//!
//! Invariant: every request that was answered before a call of [`AuditLog::mark`] or [`AuditLog::since`] is
//! in the log when the call returns. The call makes a request of its own, with a name that nobody else uses,
//! and waits until that shows up.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::control_plane::ControlPlane;
use super::wait;

const SEEN_WITHIN: Duration = Duration::from_mins(1);
const MARKER: &str = "audit-mark-";
static MARKERS: AtomicU64 = AtomicU64::new(0);

/// The audit log of a running API server.
#[derive(Debug)]
pub struct AuditLog {
    control_plane: ControlPlane,
    client: OnceCell<ClientBox>,
}

/// A place in the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    offset: u64,
}

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// As in RBAC: `get`, `list`, `watch`, `create`, `patch`, `delete` and so on.
    pub verb: String,
    /// Who asked; a service account is `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// Plural, `deployments`; empty when the request was for no resource.
    pub resource: String,
    /// `status`, `log` and so on, or empty.
    pub subresource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// What the client calls itself.
    pub user_agent: String,
    /// Path and query.
    pub uri: String,
    /// When it came.
    pub at: Timestamp,
    /// How long its answer took; that of a watch lasts until it ends.
    pub took: SignedDuration,
}

impl AuditEvent {
    /// It was to change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }
}

impl AuditLog {
    pub(super) fn new(control_plane: ControlPlane) -> Self {
        Self {
            control_plane,
            client: OnceCell::new(),
        }
    }

    /// Now: later requests are after it, answered ones before.
    pub async fn mark(&self) -> Result<Mark> {
        let start = self.log()?.metadata()?.len();
        let text = self.text_up_to_now(start).await?;
        Ok(Mark {
            offset: start + u64::try_from(text.len())?,
        })
    }

    /// All requests since `mark`, in the order of their answers.
    pub async fn since(&self, mark: &Mark) -> Result<Vec<AuditEvent>> {
        let text = self.text_up_to_now(mark.offset).await?;
        let mut events = Vec::new();
        for line in text.lines() {
            let event: Raw = serde_json::from_str(line).context("not an audit event")?;
            let event = AuditEvent::from(event);
            if !event.name.starts_with(MARKER) {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// What a user has written since `mark`.
    pub async fn writes_of(&self, user: &str, mark: &Mark) -> Result<Vec<AuditEvent>> {
        let mut events = self.since(mark).await?;
        events.retain(|event| event.user == user && event.writes());
        Ok(events)
    }

    /// The same in short: `verb resource` of each.
    pub async fn writes_of_in_short(&self, user: &str, mark: &Mark) -> Result<Vec<String>> {
        let writes = self.writes_of(user, mark).await?.into_iter();
        let short = writes.map(|event| format!("{} {}", event.verb, event.resource));
        Ok(short.collect())
    }

    /// Makes a marking request and returns the log from `offset` to that request's line, inclusive.
    async fn text_up_to_now(&self, offset: u64) -> Result<String> {
        let count = MARKERS.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "{MARKER}{}-{count}-{}",
            process::id(),
            jiff::Timestamp::now().as_nanosecond()
        );
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        Api::<ConfigMap>::namespaced(client.0.clone(), "default")
            .get_opt(&name)
            .await?;
        let mut text = String::new();
        wait::until(
            "the audit log shows a marking request",
            SEEN_WITHIN,
            async || {
                self.read(offset, &name)
                    .is_ok_and(|found| found.map(|found| text = found).is_some())
            },
        )
        .await?;
        Ok(text)
    }

    async fn connect(&self) -> Result<ClientBox> {
        Ok(ClientBox(self.control_plane.client().await?))
    }

    fn log(&self) -> Result<File> {
        let path = self.control_plane.audit_log();
        File::open(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn read(&self, offset: u64, marker: &str) -> Result<Option<String>> {
        let mut log = self.log()?;
        log.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(up_to_line_with(&String::from_utf8_lossy(&bytes), marker).map(str::to_owned))
    }
}

/// `text` up to the end of the first whole line that has `marker` in it.
fn up_to_line_with<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(marker)?;
    let (_, after) = rest.split_once('\n')?;
    text.strip_suffix(after)
}

/// A client has no `Debug`.
struct ClientBox(Client);

impl std::fmt::Debug for ClientBox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Client")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    verb: String,
    user: RawUser,
    #[serde(default)]
    user_agent: String,
    #[serde(rename = "requestURI")]
    uri: String,
    #[serde(default)]
    object_ref: RawObject,
    #[serde(default)]
    response_status: RawStatus,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct RawUser {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawObject {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
struct RawStatus {
    #[serde(default)]
    code: u16,
}

impl From<Raw> for AuditEvent {
    fn from(raw: Raw) -> Self {
        Self {
            verb: raw.verb,
            user: raw.user.username,
            resource: raw.object_ref.resource,
            subresource: raw.object_ref.subresource,
            namespace: raw.object_ref.namespace,
            name: raw.object_ref.name,
            code: raw.response_status.code,
            user_agent: raw.user_agent,
            uri: raw.uri,
            at: raw.request_received_timestamp,
            took: raw
                .stage_timestamp
                .duration_since(raw.request_received_timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_ends_with_the_marker_line() {
        assert_eq!(up_to_line_with("a\nb m1 c\nd\n", "m1"), Some("a\nb m1 c\n"));
        assert_eq!(
            up_to_line_with("a\nb m1 c", "m1"),
            None,
            "half a line is none"
        );
        assert_eq!(up_to_line_with("a\n", "m1"), None);
    }

    #[test]
    fn an_event_is_read() {
        let line = r#"{"kind":"Event","level":"Metadata","stage":"ResponseComplete","verb":"get",
            "requestURI":"/api/v1/namespaces/d/pods/p/log?x=1","user":{"username":"u","groups":["g"]},
            "userAgent":"curl","objectRef":{"resource":"pods","namespace":"d","name":"p",
"apiVersion":"v1","subresource":"log"},"responseStatus":{"metadata":{},"code":200},
            "requestReceivedTimestamp":"2026-01-01T12:00:00.000001Z",
            "stageTimestamp":"2026-01-01T12:00:00.250001Z"}"#;
        let event = AuditEvent::from(serde_json::from_str::<Raw>(line).unwrap());
        assert_eq!(
            (event.verb.as_str(), event.user.as_str(), event.code),
            ("get", "u", 200)
        );
        assert_eq!(
            (event.resource.as_str(), event.subresource.as_str()),
            ("pods", "log")
        );
        assert_eq!((event.namespace.as_str(), event.name.as_str()), ("d", "p"));
        assert_eq!(
            (event.user_agent.as_str(), event.uri.contains("x=1")),
            ("curl", true)
        );
        assert_eq!(event.took, SignedDuration::from_millis(250));
    }
}
