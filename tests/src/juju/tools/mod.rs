//! The hook tools, one module for each family.
//!
//! Invariant: a tool either fails and changes nothing, or does all that was asked.

mod actions;
mod config;
mod flags;
pub(crate) mod output;
mod relations;
mod secrets;
mod state;
mod status;

use std::fs;

use self::flags::{Flag, Parsed};
use self::output::{Out, quote};
use super::context::HookContext;
use super::wire::Reply;

/// One call, as it came in.
#[derive(Debug)]
pub(crate) struct Call {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its working directory, as the charm sees it.
    pub directory: String,
    /// Its standard input, once it was asked for.
    pub stdin: Option<Vec<u8>>,
}

/// What a tool prints when it succeeds.
#[derive(Debug, Default)]
pub(crate) struct Done {
    stdout: String,
    stderr: String,
}

/// Why a tool fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line was wrong: exit code 2.
    Usage(String),
    /// It could not be done: exit code 1.
    Run(String),
    /// It needs standard input first.
    Stdin,
    /// Help was asked for.
    Help,
}

impl Failure {
    /// The command line was wrong.
    pub(crate) fn usage(why: impl Into<String>) -> Self {
        Self::Usage(why.into())
    }

    /// It could not be done.
    pub(crate) fn run(why: impl Into<String>) -> Self {
        Self::Run(why.into())
    }
}

type Outcome = Result<Done, Failure>;
type Tool = fn(&mut HookContext<'_>, &Call) -> Outcome;

/// The tools of Juju 4, and how each is played; none: not yet.
const TOOLS: [(&str, Option<Tool>); 38] = [
    ("action-fail", Some(actions::fail)),
    ("action-get", Some(actions::get)),
    ("action-log", Some(actions::log)),
    ("action-set", Some(actions::set)),
    ("application-version-set", Some(status::version_set)),
    ("close-port", None),
    ("config-get", Some(config::get)),
    ("credential-get", None),
    ("goal-state", Some(state::goal_state)),
    ("is-leader", Some(config::is_leader)),
    ("juju-log", Some(status::log)),
    ("juju-reboot", None),
    ("network-get", None),
    ("open-port", None),
    ("opened-ports", None),
    ("relation-get", Some(relations::get)),
    ("relation-ids", Some(relations::ids)),
    ("relation-list", Some(relations::list)),
    ("relation-model-get", Some(relations::model)),
    ("relation-set", Some(relations::set)),
    ("resource-get", None),
    ("secret-add", None),
    ("secret-get", Some(secrets::get)),
    ("secret-grant", None),
    ("secret-ids", None),
    ("secret-info-get", None),
    ("secret-remove", None),
    ("secret-revoke", None),
    ("secret-set", None),
    ("state-delete", None),
    ("state-get", None),
    ("state-set", None),
    ("status-get", Some(status::get)),
    ("status-set", Some(status::set)),
    ("storage-add", None),
    ("storage-get", None),
    ("storage-list", None),
    ("unit-get", None),
];

/// Every tool's name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.into_iter().map(|(name, _)| name)
}

/// Names of the tools that are played.
pub fn played() -> impl Iterator<Item = &'static str> {
    TOOLS
        .into_iter()
        .filter(|(_, tool)| tool.is_some())
        .map(|(name, _)| name)
}

/// Runs a tool.
pub(crate) fn run(context: &mut HookContext<'_>, call: &Call) -> Reply {
    let outcome = match TOOLS.into_iter().find(|(name, _)| *name == call.tool) {
        None => Err(Failure::run(format!(
            "bad request: unknown command: {}",
            call.tool
        ))),
        Some((name, None)) => Err(Failure::run(format!("{name}: not in the emulator yet"))),
        Some((_, Some(tool))) => tool(context, call),
    };
    match outcome {
        Ok(Done { stdout, stderr }) => done(0, stdout, stderr),
        Err(Failure::Stdin) => Reply::NeedStdin,
        Err(Failure::Help) => {
            // Juju's own prose is not repeated here; nothing but people reads it.
            done(
                0,
                format!("Usage: {} [options]\n", call.tool),
                String::new(),
            )
        }
        Err(Failure::Usage(why)) => done(2, String::new(), format!("ERROR {why}\n")),
        Err(Failure::Run(why)) => done(1, String::new(), format!("ERROR {why}\n")),
    }
}

fn done(code: u8, stdout: String, stderr: String) -> Reply {
    Reply::Done {
        code,
        stdout: stdout.into_bytes(),
        stderr: stderr.into_bytes(),
    }
}

/// Reads the command line, with the relations that this unit knows.
fn parse(context: &HookContext<'_>, call: &Call, flags: &[Flag]) -> Result<Parsed, Failure> {
    flags::parse(&call.args, flags, &|id| context.relation_id(id).map(drop))
}

/// The relation that was asked for, or that the hook is about.
fn relation(context: &HookContext<'_>, parsed: &Parsed) -> Result<u32, Failure> {
    match parsed.get("relation") {
        Some(id) => context.relation_id(id).map_err(Failure::usage),
        None => match context.event.relation() {
            Some(event) => Ok(event.id),
            None => Err(Failure::usage("no relation id specified")),
        },
    }
}

/// Prints a value in the format that was asked for, there where it was asked for.
fn print(
    context: &HookContext<'_>,
    call: &Call,
    parsed: &Parsed,
    default: &str,
    value: &Out,
) -> Outcome {
    let stdout = value.format(parsed.get("format").unwrap_or(default));
    match parsed.get("output").filter(|file| !file.is_empty()) {
        None => Ok(Done {
            stdout,
            ..Done::default()
        }),
        Some(file) => {
            let written = fs::write(context.on_host(&call.directory, file), stdout);
            written.map_err(|error| Failure::run(format!("open {file}: {}", reason(&error))))?;
            Ok(Done::default())
        }
    }
}

/// Done, with nothing to say.
fn silent() -> Done {
    Done::default()
}

/// A tool that takes `--format` for old times' sake says so.
fn deprecated_format(call: &Call, parsed: &Parsed) -> Done {
    let stderr = if parsed.get("format").is_some() {
        format!("--format flag deprecated for command {}", quote(&call.tool))
    } else {
        String::new()
    };
    Done {
        stderr,
        ..Done::default()
    }
}

/// An error number in Go's words.
fn reason(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |number| nix::errno::Errno::from_raw(number).desc().to_lowercase(),
    )
}
