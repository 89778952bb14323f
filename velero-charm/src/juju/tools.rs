//! The hook tools, typed.
//!
//! **Invariant:** one call at a time (Juju serves no more), and a failure names the tool. No secret that is
//! known is in anything that people read.

#![expect(clippy::disallowed_methods, reason = "this starts the hook tools")]

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, error::Category};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::Mutex};

use super::{
    Event, Secrets,
    secret::{Address, Content},
    status::{Shown, Status},
    text,
};

/// Linux takes no longer argument; Juju's own client library cuts at the same length.
const LONGEST_ARGUMENT: usize = 131_071;

/// Juju answers in milliseconds. Its controller may be away for a while.
const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

/// What stands in messages of tools that did not reach the controller, or which the controller had no time
/// for.
const TROUBLES: [&str; 12] = [
    "connection is shut down",
    "connection refused",
    "connection reset",
    "broken pipe",
    "timeout",
    "timed out",
    "deadline exceeded",
    "eof",
    "no route to host",
    "dial ",
    "try again",
    "cannot connect",
];

/// Why a secret is not given that this application may not see.
const NOT_GRANTED: &str = "the secret is not granted to this application";

/// Why a secret is not given that there is no more.
const GONE: &str = "the secret is gone";

/// The hook tools of the running hook.
#[derive(Debug)]
pub(crate) struct Tools {
    turn: Mutex<()>,
    secrets: Secrets,
}

/// Why a hook tool failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JujuError {
    #[error("`{tool}` could not be started: {source}")]
    Start {
        tool: &'static str,
        source: std::io::Error,
    },
    #[error("`{tool}` failed: {message}")]
    Failed { tool: &'static str, message: String },
    #[error("what `{tool}` is to be given cannot be written: {source}")]
    Input {
        tool: &'static str,
        source: serde_json::Error,
    },
    #[error("`{tool}` did not answer within {} s", TOOL_TIMEOUT.as_secs())]
    Silent { tool: &'static str },
    /// Where, but not what: the answer may be a secret's content.
    #[error("`{tool}` gave an answer that is not understood (line {line}, column {column})")]
    Answer {
        tool: &'static str,
        line: usize,
        column: usize,
        /// Whole JSON, but of another shape; else it is no JSON, or not all of it.
        category: Category,
    },
}

/// Whether this unit may write for its application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Leadership {
    Leader,
    Follower,
}

/// What Juju plans for this application.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct GoalState {
    #[serde(default)]
    units: BTreeMap<String, Goal>,
}

#[derive(Debug, Deserialize)]
struct Goal {
    status: String,
}

/// What becomes of the unit that a hook runs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Stays,
    /// The units that stay do the work.
    Leaves,
    /// It may not act, and nobody would read its status.
    Forgotten,
}

impl JujuError {
    fn answer(tool: &'static str, error: &serde_json::Error) -> Self {
        Self::Answer {
            tool,
            line: error.line(),
            column: error.column(),
            category: error.classify(),
        }
    }

    /// Juju said that the thing asked for is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { message, .. } if message.contains("not found"))
    }

    /// The controller has no such relation any more.
    pub(crate) fn is_relation_gone(&self) -> bool {
        matches!(self, Self::Failed { tool, message }
            if tool.starts_with("relation-") && message.contains("relation not found"))
    }

    /// The controller has no such unit any more, or not even its application.
    fn is_forgotten(&self, unit: &str) -> bool {
        let application = unit.split('/').next().unwrap_or(unit);
        let missing = [
            format!("unit \"{unit}\" not found"),
            format!("application \"{application}\" not found"),
        ];
        matches!(self, Self::Failed { message, .. }
            if missing.iter().any(|text| message.contains(text)))
    }

    /// Juju said that this application may not see it.
    fn is_denied(&self) -> bool {
        matches!(self, Self::Failed { message, .. }
            if message.contains("permission denied") || message.contains("is not allowed"))
    }

    /// Why Juju does not give what it was asked for. None if it could not answer at all, so that it may when
    /// it is asked again.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Failed { message, .. } if is_trouble(message) => None,
            Self::Failed { .. } if self.is_not_found() => Some(GONE),
            Self::Failed { .. } if self.is_denied() => Some(NOT_GRANTED),
            Self::Failed { message, .. } => message.lines().next(),
            Self::Answer {
                category: Category::Data,
                ..
            } => Some("the secret is not text"),
            Self::Answer { .. } | Self::Input { .. } | Self::Start { .. } | Self::Silent { .. } => {
                None
            }
        }
    }
}

/// Juju's own, which passes. One that says nothing was ended by somebody.
fn is_trouble(message: &str) -> bool {
    let message = message.to_lowercase();
    message.is_empty() || TROUBLES.iter().any(|trouble| message.contains(trouble))
}

impl GoalState {
    /// The unit is on its way out.
    pub(super) fn is_dying(&self, unit: &str) -> bool {
        self.units
            .get(unit)
            .is_some_and(|goal| goal.status == "dying")
    }

    /// Another unit of the application stays.
    pub(crate) fn has_other_survivor(&self, unit: &str) -> bool {
        self.units
            .iter()
            .any(|(name, goal)| name != unit && goal.status != "dying")
    }
}

impl Tools {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            turn: Mutex::default(),
            secrets,
        }
    }

    /// What no tool tells anybody.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Holds for thirty seconds; nothing tells a unit that it no longer leads.
    pub(crate) async fn leadership(&self) -> Result<Leadership, JujuError> {
        let leads = self.json("is-leader", &[]).await?;
        Ok(if leads {
            Leadership::Leader
        } else {
            Leadership::Follower
        })
    }

    pub(crate) async fn config(&self) -> Result<Map<String, Value>, JujuError> {
        self.json("config-get", &[]).await
    }

    /// None if Juju has forgotten the unit, as it does before the unit's last hooks when a removal is forced
    /// or the whole model goes.
    pub(crate) async fn goal_state(&self, unit: &str) -> Result<Option<GoalState>, JujuError> {
        match self.json("goal-state", &[]).await {
            Ok(goal) => Ok(Some(goal)),
            Err(error) if error.is_forgotten(unit) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks Juju only in a hook that may belong to the unit's end.
    pub(crate) async fn fate(&self, event: &Event, unit: &str) -> Result<Fate, JujuError> {
        let Event::Parting(_) = event else {
            return Ok(Fate::Stays);
        };
        Ok(match self.goal_state(unit).await? {
            Some(goal) if goal.is_dying(unit) => Fate::Leaves,
            Some(_) => Fate::Stays,
            None => Fate::Forgotten,
        })
    }

    pub(crate) async fn relation_ids(&self, endpoint: &str) -> Result<Vec<String>, JujuError> {
        self.json("relation-ids", &[endpoint]).await
    }

    /// The application at the other end, if it is there yet.
    pub(crate) async fn remote_app(&self, relation: &str) -> Result<Option<String>, JujuError> {
        self.json("relation-list", &["--app", "-r", relation]).await
    }

    /// An application's data bag.
    pub(crate) async fn data_bag(
        &self,
        relation: &str,
        app: &str,
    ) -> Result<BTreeMap<String, String>, JujuError> {
        self.json("relation-get", &["--app", "-r", relation, "-", app])
            .await
    }

    /// A unit's data bag.
    pub(crate) async fn unit_bag(
        &self,
        relation: &str,
        unit: &str,
    ) -> Result<BTreeMap<String, String>, JujuError> {
        self.json("relation-get", &["-r", relation, "-", unit])
            .await
    }

    /// Changes our application's data bag; only the leader may.
    pub(crate) async fn set_data_bag(
        &self,
        relation: &str,
        fields: &BTreeMap<&str, String>,
    ) -> Result<(), JujuError> {
        self.relation_set(&["-r", relation, "--app"], fields).await
    }

    /// The units at the other end.
    pub(crate) async fn remote_units(&self, relation: &str) -> Result<Vec<String>, JujuError> {
        self.json("relation-list", &["-r", relation]).await
    }

    /// Changes our unit's data bag.
    pub(crate) async fn set_unit_bag(
        &self,
        relation: &str,
        fields: &BTreeMap<&str, String>,
    ) -> Result<(), JujuError> {
        self.relation_set(&["-r", relation], fields).await
    }

    /// By standard input: the kernel bounds the length of an argument.
    async fn relation_set(
        &self,
        where_to: &[&str],
        fields: &BTreeMap<&str, String>,
    ) -> Result<(), JujuError> {
        let tool = "relation-set";
        let text =
            serde_json::to_string(fields).map_err(|source| JujuError::Input { tool, source })?;
        let arguments = [where_to, &["--file", "-"]].concat();
        self.run(tool, &arguments, Some(&text)).await.map(drop)
    }

    /// Takes fields out of our unit's data bag.
    pub(crate) async fn clear_unit_fields(
        &self,
        relation: &str,
        fields: &[&str],
    ) -> Result<(), JujuError> {
        let cleared: Vec<_> = fields.iter().map(|field| format!("{field}=")).collect();
        let mut arguments = vec!["-r", relation];
        arguments.extend(cleared.iter().map(String::as_str));
        self.run("relation-set", &arguments, None).await.map(drop)
    }

    /// The newest content of a secret; from now on Juju tells us when it changes.
    pub(crate) async fn secret(&self, address: &Address) -> Result<Content, JujuError> {
        let arguments = ["--refresh", "--", address.as_str()];
        let content: BTreeMap<String, String> = self.json("secret-get", &arguments).await?;
        let content: Content = content
            .into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect();
        for value in content.values() {
            self.secrets.learn(value);
        }
        Ok(content)
    }

    /// The unit's status as Juju has it.
    pub(crate) async fn status(&self) -> Result<Shown, JujuError> {
        let shown: Option<Shown> = self.json("status-get", &["--include-data"]).await?;
        Ok(shown.unwrap_or_default())
    }

    /// A status as it is shown: without secrets, on one line of bounded length.
    pub(crate) fn presentable(&self, status: &Status) -> Shown {
        status.shown(|text| self.secrets.redact(text))
    }

    pub(crate) async fn set_status(&self, status: &Status) -> Result<(), JujuError> {
        let Shown { level, message } = self.presentable(status);
        let arguments = [level.as_str(), "--", &message];
        self.run("status-set", &arguments, None).await.map(drop)
    }

    pub(crate) async fn set_version(&self, version: &str) -> Result<(), JujuError> {
        self.run("application-version-set", &["--", version], None)
            .await
            .map(drop)
    }

    pub(crate) async fn action_params(&self) -> Result<Map<String, Value>, JujuError> {
        self.json("action-get", &[]).await
    }

    pub(crate) async fn action_log(&self, text: &str) -> Result<(), JujuError> {
        self.run("action-log", &["--", &self.argument(text)], None)
            .await
            .map(drop)
    }

    pub(crate) async fn action_set(&self, key: &str, value: &str) -> Result<(), JujuError> {
        let pair = self.argument(&format!("{key}={value}"));
        self.run("action-set", &["--", &pair], None).await.map(drop)
    }

    /// Several at once: each call of a tool takes its time.
    pub(crate) async fn action_set_all(&self, results: &[(&str, String)]) -> Result<(), JujuError> {
        let pairs = results.iter();
        let pairs: Vec<_> = pairs
            .map(|(key, value)| self.argument(&format!("{key}={value}")))
            .collect();
        let mut arguments = vec!["--"];
        arguments.extend(pairs.iter().map(String::as_str));
        self.run("action-set", &arguments, None).await.map(drop)
    }

    pub(crate) async fn action_fail(&self, reason: &str) -> Result<(), JujuError> {
        let reason = self.argument(reason);
        self.run("action-fail", &["--", &reason], None)
            .await
            .map(drop)
    }

    /// A text as people may see it, and as an argument may be.
    fn argument(&self, text: &str) -> String {
        text::cut(&self.secrets.presentable(text), LONGEST_ARGUMENT).into_owned()
    }

    /// A tool's answer; an absent one is the default. Some tools say `null`, some nothing at all.
    async fn json<T: DeserializeOwned + Default>(
        &self,
        tool: &'static str,
        arguments: &[&str],
    ) -> Result<T, JujuError> {
        let mut all = vec!["--format=json"];
        all.extend(arguments);
        let text = self.run(tool, &all, None).await?;
        let text = if text.trim().is_empty() {
            "null"
        } else {
            text.as_str()
        };
        serde_json::from_str::<Option<T>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|error| JujuError::answer(tool, &error))
    }

    async fn run(
        &self,
        tool: &'static str,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<String, JujuError> {
        let _turn = self.turn.lock().await;
        let start = |source| JujuError::Start { tool, source };
        let mut child = Command::new(tool)
            .args(arguments)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
            // A tool that fails early closes its end; its own message is the better one.
            let _ = pipe.write_all(text.as_bytes()).await;
        }
        let output = tokio::time::timeout(TOOL_TIMEOUT, child.wait_with_output())
            .await
            .map_err(|_| JujuError::Silent { tool })?
            .map_err(start)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim().trim_start_matches("ERROR ").to_owned();
        Err(JujuError::Failed { tool, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goal_state_tells_who_stays() {
        let text =
            r#"{"units":{"v/0":{"status":"dying"},"v/1":{"status":"active"}},"relations":{}}"#;
        let goal: GoalState = serde_json::from_str(text).unwrap();

        assert!(goal.is_dying("v/0") && !goal.is_dying("v/1"));
        assert!(goal.has_other_survivor("v/0") && !goal.has_other_survivor("v/1"));
    }

    #[test]
    fn a_forgotten_unit_is_told_from_anything_else_that_is_missing() {
        let failed = |message: &str| JujuError::Failed {
            tool: "goal-state",
            message: message.into(),
        };

        assert!(failed("unit \"v/0\" not found").is_forgotten("v/0"));
        assert!(failed("application \"v\" not found").is_forgotten("v/0"));
        assert!(!failed("unit \"peer/0\" not found").is_forgotten("v/0"));
        assert!(!failed("relation not found").is_forgotten("v/0"));
    }

    #[test]
    fn argument_that_is_cut_says_so() {
        let tools = Tools::new(Secrets::default());
        let text = tools.argument(&format!("output={}end", "ä".repeat(LONGEST_ARGUMENT)));
        assert!(text.len() <= LONGEST_ARGUMENT);
        assert!(text.starts_with("output=ä") && text.ends_with("end") && text.contains('…'));
        assert_eq!(tools.argument("short\u{202e}"), "short\u{fffd}");
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_repeated() {
        let error = serde_json::from_str::<BTreeMap<String, String>>("\"canary\"").unwrap_err();
        let text = JujuError::answer("secret-get", &error).to_string();
        assert!(
            text.contains("`secret-get`") && !text.contains("canary"),
            "{text}"
        );
    }

    #[test]
    fn a_relation_that_is_gone_is_told_from_a_unit_that_is() {
        let failed = |tool, message: &str| JujuError::Failed {
            tool,
            message: message.into(),
        };

        let gone = "getting regular relation by key: relation not found";
        assert!(failed("relation-get", gone).is_relation_gone());
        let gone = "invalid value \"tape:7\" for option -r: relation not found";
        assert!(failed("relation-list", gone).is_relation_gone());
        assert!(!failed("relation-get", "relation unit not found").is_relation_gone());
        assert!(!failed("secret-get", "relation not found").is_relation_gone());
    }

    #[test]
    fn refusals_are_told_from_trouble_in_both_dialects_of_juju() {
        let failed = |message: &str| JujuError::Failed {
            tool: "secret-get",
            message: message.into(),
        };

        for (message, refusal) in [
            (
                "getting latest secret revision: secret not found",
                Some(GONE),
            ),
            ("secret \"9m4e\" not found", Some(GONE)),
            ("permission denied", Some(NOT_GRANTED)),
            (
                "\"v/0\" is not allowed to read this secret",
                Some(NOT_GRANTED),
            ),
            (
                "secret URI \"9m4e\" not valid\nmore",
                Some("secret URI \"9m4e\" not valid"),
            ),
            ("connection is shut down", None),
            ("dial tcp 10.0.0.1:17070: connect: connection refused", None),
            ("context deadline exceeded", None),
            ("EOF", None),
            ("", None),
        ] {
            assert_eq!(failed(message).refusal(), refusal, "{message}");
        }
    }

    #[test]
    fn odd_content_is_refused_and_half_an_answer_is_trouble() {
        let answer = |text: &str| {
            let error = serde_json::from_str::<BTreeMap<String, String>>(text).unwrap_err();
            JujuError::answer("secret-get", &error)
        };
        for text in ["{\"key\": 1}", "{\"key\": {}}", "[]", "7"] {
            assert_eq!(answer(text).refusal(), Some("the secret is not text"));
        }
        for text in ["{\"half", "perhaps"] {
            assert_eq!(answer(text).refusal(), None);
        }
    }
}
