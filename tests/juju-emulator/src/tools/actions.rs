//! `action-get`, `action-set`, `action-log` and `action-fail`.
//!
//! Invariant: results are kept whatever the exit code; they are texts in nested maps.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::flags::{OUTPUT, SMART, flag};
use super::output::{Out, quote};
use super::{Call, Failure, Outcome, parse, print, silent};
use crate::context::HookContext;

const RESERVED: [&str; 4] = ["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    let key = parsed.take();
    parsed.finish()?;
    let Some(action) = context.event.action() else {
        return Err(not_an_action());
    };
    let value = match key {
        None => Out::map(
            action
                .params
                .iter()
                .map(|(key, value)| (key.clone(), Out::wire(value))),
        ),
        Some(path) => find(&action.params, &path).map_or(Out::Null, Out::wire),
    };
    print(context, call, &parsed, "smart", &value)
}

fn find<'a>(params: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let mut value = params.get(parts.next()?)?;
    for part in parts {
        value = value.as_object()?.get(part)?;
    }
    Some(value)
}

pub(super) fn set(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[])?;
    // All are looked at before any is kept.
    let entries = parsed
        .positional
        .iter()
        .map(|arg| entry(arg))
        .collect::<Result<Vec<_>, _>>()?;
    require_action(context)?;
    for (path, value) in entries {
        insert(&mut context.action.results, &path, value);
    }
    Ok(silent())
}

fn entry(arg: &str) -> Result<(Vec<&str>, &str), Failure> {
    let wrong = || {
        let why = format!("argument {} must be of the form key...=value", quote(arg));
        Failure::usage(why)
    };
    let (key, value) = arg.split_once('=').ok_or_else(wrong)?;
    let path: Vec<_> = key.split('.').collect();
    for part in &path {
        if RESERVED.contains(part) {
            let why = format!("cannot set reserved action key {}", quote(part));
            return Err(Failure::usage(why));
        }
        if !is_key(part) {
            let why = format!(
                "key {} must start and end with lowercase alphanumeric, \
                 and contain only lowercase alphanumeric and hyphens",
                quote(part)
            );
            return Err(Failure::usage(why));
        }
    }
    Ok((path, value))
}

fn is_key(part: &str) -> bool {
    let inner = part
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    inner && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
}

/// A map stands in for what was no map before, and the other way round: the last call wins.
fn insert(map: &mut Map<String, Value>, path: &[&str], value: &str) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        map.insert((*first).to_owned(), Value::from(value));
        return;
    }
    let slot = map
        .entry(*first)
        .or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Some(inner) = slot.as_object_mut() {
        insert(inner, rest, value);
    }
}

pub(super) fn log(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[])?;
    if parsed.positional.is_empty() {
        return Err(Failure::usage("no message specified"));
    }
    require_action(context)?;
    let (at, text) = (SystemTime::now(), parsed.positional.join(" "));
    (context.listener)(at, &text);
    context.action.log.push((at, text));
    Ok(silent())
}

pub(super) fn fail(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[])?;
    let message = parsed.take().unwrap_or_else(|| {
        "action failed without reason given, check action for errors".to_owned()
    });
    parsed.finish()?;
    require_action(context)?;
    context.action.failure = Some(message);
    Ok(silent())
}

fn require_action(context: &HookContext<'_>) -> Result<(), Failure> {
    context.event.action().map(drop).ok_or_else(not_an_action)
}

fn not_an_action() -> Failure {
    Failure::run("not running an action")
}
