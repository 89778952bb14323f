//! `status-set`, `status-get`, `application-version-set` and `juju-log`: what takes effect at once.
//!
//! Invariant: nothing here waits for the hook's end or depends on how it ends.

use super::flags::{Kind, OUTPUT, SMART, flag, flag2};
use super::output::{Out, quote};
use super::{Call, Failure, Outcome, deprecated_format, parse, print, silent};
use crate::context::HookContext;
use crate::model::{Application, Status};
use crate::resolver::app_status;

const LEVELS: [&str; 4] = ["maintenance", "blocked", "waiting", "active"];

pub(super) fn set(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("application", Kind::Bool)])?;
    let level = parsed
        .take()
        .ok_or_else(|| Failure::usage("invalid args, require <status> [message]"))?;
    if !LEVELS.contains(&level.as_str()) {
        let known = LEVELS.join(" ");
        let why = format!(
            "invalid status {}, expected one of [{known}]",
            quote(&level)
        );
        return Err(Failure::usage(why));
    }
    let message = parsed.take().unwrap_or_default();
    parsed.finish()?;
    let status = Status::now(&level, &message);
    if parsed.is_on("application") {
        set_application(context, &status)?;
    } else if let Some(unit) = context.model.unit_mut(&context.unit) {
        unit.agent.spoke = true;
        unit.status.push(status.clone());
    }
    context.record.statuses.push(status);
    Ok(silent())
}

fn set_application(context: &mut HookContext<'_>, status: &Status) -> Result<(), Failure> {
    if !context.is_leader() {
        return Err(Failure::run("this unit is not the leader"));
    }
    let app = context.app().to_owned();
    if let Some(app) = context.model.applications.get_mut(&app) {
        app.status.push(status.clone());
    }
    Ok(())
}

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        flag("application", Kind::Bool),
        flag("include-data", Kind::Bool),
        flag("format", SMART),
        OUTPUT,
    ];
    let parsed = parse(context, call, &flags)?;
    parsed.finish()?;
    let data = if parsed.is_on("include-data") {
        Data::With
    } else {
        Data::Without
    };
    let smart = parsed.get("format").is_none_or(|format| format == "smart");
    if parsed.is_on("application") {
        if !context.is_leader() {
            let why = "finding application status: this unit is not the leader";
            return Err(Failure::run(why));
        }
        let Some(app) = context.model.app_of(&context.unit) else {
            return Err(Failure::run("application not found"));
        };
        let status = app_status(app);
        let value = match (data, smart) {
            (Data::Without, true) => Out::text(status.level),
            _ => application(app, &status, data),
        };
        return print(context, call, &parsed, "smart", &value);
    }
    let status = context
        .model
        .unit(&context.unit)
        .and_then(|unit| unit.status.last().cloned());
    let status = status.unwrap_or_else(|| Status::now("unknown", ""));
    let value = match (data, smart) {
        (Data::Without, true) => Out::text(status.level),
        _ => one(&status, data, None),
    };
    print(context, call, &parsed, "smart", &value)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    With,
    Without,
}

fn one(status: &Status, data: Data, units: Option<Out>) -> Out {
    let mut entries = Vec::new();
    if data == Data::With {
        entries.push(("message", Out::text(status.message.clone())));
    }
    entries.push(("status", Out::text(status.level.clone())));
    if data == Data::With {
        entries.push(("status-data", Out::Map(Vec::new())));
    }
    entries.extend(units.map(|units| ("units", units)));
    Out::map(entries)
}

fn application(app: &Application, status: &Status, data: Data) -> Out {
    let units = Out::map(app.units.values().map(|unit| {
        let unknown = || Status::now("unknown", "");
        let status = unit.status.last().cloned().unwrap_or_else(unknown);
        (app.unit_name(unit.number), one(&status, data, None))
    }));
    Out::map([("application-status", one(status, data, Some(units)))])
}

pub(super) fn version_set(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[])?;
    let version = parsed
        .take()
        .ok_or_else(|| Failure::usage("no version specified"))?;
    parsed.finish()?;
    let app = context.app().to_owned();
    if let Some(app) = context.model.applications.get_mut(&app) {
        app.version = version;
    }
    Ok(silent())
}

pub(super) fn log(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        flag("debug", Kind::Bool),
        flag2("log-level", "l", Kind::Text),
        flag("format", Kind::Text),
    ];
    let parsed = parse(context, call, &flags)?;
    if parsed.positional.is_empty() {
        return Err(Failure::usage("no message specified"));
    }
    let prefix = context.event.relation().map_or_else(String::new, |event| {
        format!("{}:{}: ", event.endpoint, event.id)
    });
    let message = prefix + &parsed.positional.join(" ");
    let asked = parsed.get("log-level").unwrap_or("INFO");
    let level = if parsed.is_on("debug") {
        "DEBUG"
    } else {
        log_level(asked).unwrap_or("INFO")
    };
    if log_level(asked).is_none() {
        let why = format!("Specified log level of {} is not valid", quote(asked));
        context.log("WARNING", "juju-log", &why);
    }
    context.log(level, "juju-log", &message);
    Ok(deprecated_format(call, &parsed))
}

fn log_level(name: &str) -> Option<&'static str> {
    Some(match name.to_uppercase().as_str() {
        "UNSPECIFIED" => "UNSPECIFIED",
        "TRACE" => "TRACE",
        "DEBUG" => "DEBUG",
        "INFO" => "INFO",
        "WARN" | "WARNING" => "WARNING",
        "ERROR" => "ERROR",
        "CRITICAL" => "CRITICAL",
        _ => return None,
    })
}
