//! What Velero has written down of a Backup or Restore that did not go well.
//!
//! It is in the store, behind a `DownloadRequest`: the bundled CLI makes one and reads what it leads to,
//! with the certificate of the location.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, time::timeout};
use tracing::debug;

use super::{Failure, attend::Work, output::plain};
use crate::{
    cluster::Cluster,
    context::Context,
    juju::env::in_cluster,
    velero::cli::{Cli, CliError},
};

/// The CLI waits half as long for Velero's answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// As much is read of the CLI's output.
const READ: u64 = 512 * 1024;
/// As many messages are shown of a kind.
const SHOWN: usize = 5;
/// As much of each, in characters.
const LONGEST: usize = 400;

/// The first messages, as plain text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Messages {
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Reads them; that they cannot be read is a message too.
pub(super) async fn messages(
    ctx: &Context,
    cluster: &Cluster,
    work: &Work,
) -> Result<Messages, Failure> {
    let kind = work.kind.to_lowercase();
    let text = described(ctx, cluster, &[&kind, "describe", &work.name]).await?;
    Ok(Messages::of(&text.unwrap_or_default()))
}

/// What the CLI prints, as far as it is read; `None` if it takes too long.
pub(super) async fn described(
    ctx: &Context,
    cluster: &Cluster,
    command: &[&str],
) -> Result<Option<String>, CliError> {
    let cli = Cli::new(&ctx.unit.charm_dir, cluster.namespace(), in_cluster());
    let mut prepared = cli.prepare(command)?;
    let mut child = prepared.command.spawn()?;
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        let mut output = output.take(READ);
        let read = timeout(PATIENCE, output.read_to_end(&mut text)).await;
        let Ok(read) = read else {
            debug!("The CLI did not answer to `{}` in time.", command.join(" "));
            return Ok(None);
        };
        read?;
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

impl Messages {
    /// Of what `describe` prints.
    fn of(text: &str) -> Self {
        Self {
            errors: section(text, "Errors:"),
            warnings: section(text, "Warnings:"),
        }
    }
}

/// The messages below a heading, each with its namespace, or next to the heading if there is only one.
fn section(text: &str, heading: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(heading));
    let Some(first) = lines.next() else {
        return Vec::new();
    };
    let beside = first.get(heading.len()..).unwrap_or_default();
    let below = lines.take_while(|line| line.starts_with(' '));
    let mut found = Vec::new();
    let mut of = Of::Velero;
    for line in [beside].into_iter().chain(below) {
        let message = line.trim_start();
        let indent = line.len() - message.len();
        let labelled = message.split_once(':');
        let message = match (labelled, &of) {
            (Some(("Velero" | "Cluster", rest)), _) => {
                of = Of::Velero;
                rest
            }
            (Some(("Namespaces", rest)), _) => {
                of = Of::Namespaces;
                rest
            }
            // What follows the first message of a namespace is further to the right.
            (Some((namespace, rest)), Of::Namespaces) => {
                of = Of::Namespace(namespace.to_owned(), indent);
                rest
            }
            (Some((namespace, rest)), Of::Namespace(_, of_labels)) if indent == *of_labels => {
                of = Of::Namespace(namespace.to_owned(), indent);
                rest
            }
            _ => message,
        };
        let message = message.trim();
        if message.is_empty() || message == "<none>" {
            continue;
        }
        let named = match &of {
            Of::Namespace(namespace, _) => format!("{namespace}: {message}"),
            Of::Velero | Of::Namespaces => message.to_owned(),
        };
        if found.len() < SHOWN {
            found.push(plain(&named).chars().take(LONGEST).collect());
        }
    }
    found
}

/// Whose messages come next.
enum Of {
    Velero,
    Namespaces,
    /// Its name, and how far to the right it stands.
    Namespace(String, usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_their_namespaces() {
        let text = "Name:         x\nPhase:  PartiallyFailed (run `velero backup logs x` for more)\n\n\n\
                    Warnings:\n  Velero:     <none>\n  Cluster:    <none>\n  Namespaces: <none>\n\n\
                    Errors:\n  Velero:   name: /cart message: /Error backing up item error: /no node agent\n\
                    \x20           second of Velero\n  Cluster:    could not list: x\n  Namespaces:\n\
                    \x20   shop:   could not restore, Pod \"cart\" exists: y\n    bank:   one\n            resource: /pods\n\n\
                    Namespaces:\n  Included:  shop\n";
        let messages = Messages::of(text);
        assert!(messages.warnings.is_empty());
        assert_eq!(
            messages.errors,
            [
                "name: /cart message: /Error backing up item error: /no node agent",
                "second of Velero",
                "could not list: x",
                "shop: could not restore, Pod \"cart\" exists: y",
                "bank: one",
            ]
        );
    }

    #[test]
    fn messages_that_cannot_be_had_say_so() {
        let text = "Errors:  <error getting errors: \u{1b}[1mno\u{1b}[0m https://s/x?X-Amz-Signature=KEY>\n";
        assert_eq!(
            Messages::of(text).errors,
            ["<error getting errors: no https://s/x?[signature removed]>"]
        );
        assert_eq!(Messages::of(""), Messages::default());
    }
}
