//! Actions: their parameters before, and their outcome after the charm has run.
//!
//! Invariant: parameters that do not fit never start the charm; how the charm ends decides the
//! outcome as it does for Juju: only a clean exit lets what was asked for be committed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::agent::Ended;
use super::charm::Charm;
use super::lifecycle::Interruption;
use super::run::{ActionOutcome, Exit};

/// The parameters with their defaults, or Juju's words for what is wrong with them.
pub(crate) fn parameters(
    charm: &Charm,
    juju_version: &str,
    name: &str,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let refuse = |why: &str| format!("cannot run {name:?} action: {why}");
    let spec = charm
        .actions
        .get(name)
        .ok_or_else(|| refuse("not defined"))?;
    let properties = spec
        .get("params")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let invalid = |why: String| refuse(&format!("validation failed: {why}"));
    let faults = faults(spec, &properties, juju_version, given);
    if !faults.is_empty() {
        return Err(invalid(faults.join("; ")));
    }
    let mut merged = given.clone();
    for (key, property) in &properties {
        if let Some(default) = property.get("default") {
            merged.entry(key.clone()).or_insert_with(|| default.clone());
        }
    }
    Ok(merged)
}

/// All that is wrong.
fn faults(
    spec: &Map<String, Value>,
    properties: &Map<String, Value>,
    juju_version: &str,
    given: &Map<String, Value>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let all = Value::Object(given.clone());
    for key in spec
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(key) = key.as_str().filter(|key| !given.contains_key(*key)) {
            let why = format!("\"{key}\" property is missing and required, given {all}");
            faults.push(format!("(root) : {why}"));
        }
    }
    // Juju 4 lets nothing in that is not declared, unless the charm says otherwise.
    let default = juju_version.starts_with("3.");
    let open = spec
        .get("additionalProperties")
        .and_then(Value::as_bool)
        .unwrap_or(default);
    let unknown = given
        .keys()
        .filter(|key| !open && !properties.contains_key(*key));
    faults.extend(unknown.map(|key| {
        let why = format!("additional property \"{key}\" is not allowed, given {all}");
        format!("(root) : {why}")
    }));
    for (key, value) in given {
        if let Some(Err(why)) = properties
            .get(key)
            .map(|property| check_one(property, value))
        {
            faults.push(format!("(root).{key} : {why}"));
        }
    }
    faults
}

fn check_one(property: &Value, value: &Value) -> Result<(), String> {
    if let Some(kind) = property.get("type").and_then(Value::as_str)
        && !is_a(kind, value)
    {
        return Err(format!("must be of type {kind}, given {value}"));
    }
    match property.get("enum") {
        Some(Value::Array(allowed)) if !allowed.contains(value) => {
            let allowed = Value::Array(allowed.clone());
            Err(format!(
                "must match one of the enum values {allowed}, given {value}"
            ))
        }
        _ => Ok(()),
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        // A float without a fraction counts.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

/// An action that was refused before it began.
pub(crate) fn refused(id: u32, why: String) -> ActionOutcome {
    ActionOutcome {
        id,
        status: "error".to_owned(),
        message: why,
        results: Map::new(),
        log: Vec::new(),
        stdout: String::new(),
        stderr: String::new(),
    }
}

/// What Juju makes of an action's end.
pub(crate) fn outcome(id: u32, unit: &str, ended: Ended) -> ActionOutcome {
    let Ended {
        run,
        action,
        stdout,
        stderr,
    } = ended;
    let (status, message) = verdict(&run.exit, unit, action.failure);
    let mut results = action.results;
    let code = match run.exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) | Exit::Interrupted(Interruption::Killed) => Some(-1),
        Exit::NotCommitted(_) => Some(0),
        Exit::NotStarted(_) | Exit::Missing | Exit::Interrupted(_) => None,
    };
    results.extend(code.map(|code| ("return-code".to_owned(), Value::from(code))));
    add_output(&mut results, "stdout", &stdout);
    let mut shown = stderr.clone();
    if let Exit::NotCommitted(why) = &run.exit {
        shown.extend(why.bytes());
    }
    add_output(&mut results, "stderr", &shown);
    ActionOutcome {
        id,
        status: status.to_owned(),
        message,
        results,
        log: action.log,
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

fn verdict(exit: &Exit, unit: &str, failure: Option<String>) -> (&'static str, String) {
    if *exit == Exit::Missing {
        return ("failed", format!("action not implemented on unit {unit:?}"));
    }
    if matches!(exit, Exit::NotCommitted(_)) {
        let message = failure.unwrap_or_else(|| "committing requested changes failed".to_owned());
        return ("failed", message);
    }
    match (exit.reason(), failure) {
        // It hides what `action-fail` said.
        (Some(reason), _) => ("failed", reason),
        (None, Some(message)) => ("failed", message),
        (None, None) => ("completed", String::new()),
    }
}

fn add_output(results: &mut Map<String, Value>, key: &str, output: &[u8]) {
    if output.is_empty() {
        return;
    }
    if let Ok(text) = std::str::from_utf8(output) {
        results.insert(key.to_owned(), Value::from(text));
    } else {
        results.insert(key.to_owned(), Value::from(STANDARD.encode(output)));
        results.insert(format!("{key}-encoding"), Value::from("base64"));
    }
}
