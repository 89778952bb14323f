//! The hook tools, one module for each family.
//!
//! Invariant: a tool either fails and changes nothing, or does all that was asked.

mod actions;
mod cloud;
mod config;
mod flags;
mod leader;
mod network;
pub(crate) mod output;
mod relations;
mod secret_access;
mod secret_write;
mod secrets;
mod state;
mod status;
mod unit_state;

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

/// The tools of Juju 4.
const TOOLS: [(&str, Tool); 38] = [
    ("action-fail", actions::fail),
    ("action-get", actions::get),
    ("action-log", actions::log),
    ("action-set", actions::set),
    ("application-version-set", status::version_set),
    ("close-port", network::close),
    ("config-get", config::get),
    ("credential-get", cloud::credential),
    ("goal-state", state::goal_state),
    ("is-leader", config::is_leader),
    ("juju-log", status::log),
    ("juju-reboot", cloud::reboot),
    ("network-get", network::get),
    ("open-port", network::open),
    ("opened-ports", network::opened),
    ("relation-get", relations::get),
    ("relation-ids", relations::ids),
    ("relation-list", relations::list),
    ("relation-model-get", relations::model),
    ("relation-set", relations::set),
    ("resource-get", cloud::resource),
    ("secret-add", secret_write::add),
    ("secret-get", secrets::get),
    ("secret-grant", secret_access::grant),
    ("secret-ids", secret_access::ids),
    ("secret-info-get", secret_access::info),
    ("secret-remove", secret_write::remove),
    ("secret-revoke", secret_access::revoke),
    ("secret-set", secret_write::set),
    ("state-delete", unit_state::delete),
    ("state-get", unit_state::get),
    ("state-set", unit_state::set),
    ("status-get", status::get),
    ("status-set", status::set),
    ("storage-add", cloud::storage_add),
    ("storage-get", cloud::storage_get),
    ("storage-list", cloud::storage_list),
    ("unit-get", network::unit_get),
];

/// What Juju 3 has besides, as far as charms of its time still call it.
const TOOLS_OF_3: [(&str, Tool); 2] = [("leader-get", leader::get), ("leader-set", leader::set)];

/// Every tool's name; those that Juju 4 does not have are refused there when they are called.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.into_iter().map(|(name, _)| name)
}

/// As [`names`], of this version of Juju.
pub(crate) fn names_in(version: &str) -> impl Iterator<Item = &'static str> + use<> {
    let more = if version.starts_with("3.") {
        TOOLS_OF_3.as_slice()
    } else {
        &[]
    };
    names().chain(more.iter().map(|(name, _)| *name))
}

fn find(context: &HookContext<'_>, name: &str) -> Option<Tool> {
    let more = context.is_juju_3().then_some(TOOLS_OF_3);
    let mut all = TOOLS.into_iter().chain(more.into_iter().flatten());
    all.find(|(known, _)| *known == name).map(|(_, tool)| tool)
}

/// Runs a tool.
pub(crate) fn run(context: &mut HookContext<'_>, call: &Call) -> Reply {
    let outcome = match find(context, &call.tool) {
        Some(tool) => tool(context, call),
        None => Err(Failure::run(format!(
            "bad request: unknown command: {}",
            call.tool
        ))),
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
