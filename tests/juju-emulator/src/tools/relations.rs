//! `relation-ids`, `relation-list`, `relation-get`, `relation-set` and `relation-model-get`.
//!
//! Invariant: a hook sees remote bags as they were when it began, and its own as it has set them.

use std::fs;

use super::flags::{Kind, OUTPUT, Parsed, RELATION, SMART, flag, flag2};
use super::output::{Out, quote};
use super::{
    Call, Done, Failure, Outcome, deprecated_format, parse, print, reason, relation, silent,
};
use crate::context::{HookContext, Whose};
use crate::model::{Bag, split_unit};
use crate::yaml;

pub(super) fn ids(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    let current = || context.event.relation().map(|event| event.endpoint.clone());
    let endpoint = parsed.take().or_else(current);
    let endpoint = endpoint.ok_or_else(|| Failure::usage("no endpoint name specified"))?;
    parsed.finish()?;
    print(
        context,
        call,
        &parsed,
        "smart",
        &Out::texts(context.relation_ids(&endpoint)),
    )
}

pub(super) fn list(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        RELATION,
        flag("app", Kind::Bool),
        flag("format", SMART),
        OUTPUT,
    ];
    let parsed = parse(context, call, &flags)?;
    let id = relation(context, &parsed)?;
    parsed.finish()?;
    let value = if parsed.is_on("app") {
        context
            .remote(id)
            .map_or(Out::Null, |side| Out::text(side.app.clone()))
    } else {
        Out::texts(context.members(id))
    };
    print(context, call, &parsed, "smart", &value)
}

pub(super) fn model(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[RELATION, flag("format", SMART), OUTPUT])?;
    relation(context, &parsed)?;
    parsed.finish()?;
    let value = Out::map([("uuid", Out::text(context.model.uuid.clone()))]);
    print(context, call, &parsed, "smart", &value)
}

fn whose(parsed: &Parsed) -> Whose {
    if parsed.is_on("app") {
        Whose::App
    } else {
        Whose::Unit
    }
}

/// Whose bag `relation-get` is to read.
enum Target {
    Unit(String),
    App(String),
}

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        RELATION,
        flag("app", Kind::Bool),
        flag("format", SMART),
        OUTPUT,
    ];
    let mut parsed = parse(context, call, &flags)?;
    let id = relation(context, &parsed)?;
    let key = parsed.take().filter(|key| key != "-" && !key.is_empty());
    let named = parsed.take();
    let whose = whose(&parsed);
    let target = match named {
        Some(name) => named_target(&name, whose)?,
        None => current_target(context, whose)?,
    };
    parsed.finish()?;
    let bag = bag(context, id, &target)?;
    let value = match key {
        Some(key) => bag
            .get(&key)
            .map_or(Out::Null, |value| Out::text(value.clone())),
        None => Out::map(bag.into_iter().map(|(key, value)| (key, Out::text(value)))),
    };
    print(context, call, &parsed, "smart", &value)
}

fn named_target(name: &str, whose: Whose) -> Result<Target, Failure> {
    let unit = split_unit(name).filter(|(app, _)| is_app_name(app));
    match (whose, unit) {
        (Whose::Unit, Some(_)) => Ok(Target::Unit(name.to_owned())),
        (Whose::App, Some((app, _))) => Ok(Target::App(app.to_owned())),
        (Whose::App, None) if is_app_name(name) => Ok(Target::App(name.to_owned())),
        (Whose::App, None) => Err(Failure::usage(format!(
            "invalid application name {}",
            quote(name)
        ))),
        (Whose::Unit, None) if is_app_name(name) => {
            let why = format!("expected unit name, got application name {}", quote(name));
            Err(Failure::usage(why))
        }
        (Whose::Unit, None) => Err(Failure::usage(format!("invalid unit name {}", quote(name)))),
    }
}

fn current_target(context: &HookContext<'_>, whose: Whose) -> Result<Target, Failure> {
    let event = context.event.relation();
    let event = event.ok_or_else(|| Failure::usage("no unit or application specified"))?;
    Ok(match &event.remote_unit {
        Some(unit) if whose == Whose::Unit => Target::Unit(unit.clone()),
        _ => Target::App(event.remote_app.clone()),
    })
}

fn bag(context: &HookContext<'_>, id: u32, target: &Target) -> Result<Bag, Failure> {
    if context.is_gone(id) {
        let why = "getting regular relation by key: relation not found";
        return Err(Failure::run(why));
    }
    match target {
        Target::Unit(name) if *name == context.unit => Ok(context.own_bag(id, Whose::Unit)),
        Target::Unit(name) => context
            .remote(id)
            .and_then(|side| side.unit_bag(name).cloned())
            .ok_or_else(|| Failure::run(denied(context, "relation unit not found"))),
        Target::App(name) if name == context.app() => {
            if context.is_juju_3() && !context.is_leader() {
                return Err(Failure::run("permission denied"));
            }
            Ok(context.own_bag(id, Whose::App))
        }
        Target::App(name) => context
            .remote(id)
            .filter(|side| side.app == *name)
            .map(|side| side.bag.data.clone())
            .ok_or_else(|| Failure::run(denied(context, "application not found"))),
    }
}

/// Juju 3 does not tell what it refuses.
fn denied<'a>(context: &HookContext<'_>, juju_4: &'a str) -> &'a str {
    if context.is_juju_3() {
        "permission denied"
    } else {
        juju_4
    }
}

fn is_app_name(name: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase();
    let word =
        |part: &str| !part.is_empty() && part.chars().all(|c| lower(c) || c.is_ascii_digit());
    name.starts_with(lower)
        && name.split('-').all(word)
        && name.split('-').skip(1).all(|part| part.contains(lower))
}

pub(super) fn set(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        RELATION,
        flag("app", Kind::Bool),
        flag("file", Kind::Text),
        flag2("format", "format", Kind::Text),
    ];
    let parsed = parse(context, call, &flags)?;
    let id = relation(context, &parsed)?;
    let arguments = pairs(&parsed.positional)?;
    let mut changes = match parsed.get("file").filter(|file| !file.is_empty()) {
        Some(file) => from_file(context, call, file)?,
        None => Bag::new(),
    };
    changes.extend(arguments);
    let whose = whose(&parsed);
    if whose == Whose::App && !context.is_leader() {
        return Err(Failure::run("cannot write relation settings"));
    }
    context.set_bag(id, whose, changes);
    Ok(Done {
        stderr: deprecated_format(call, &parsed).stderr,
        ..silent()
    })
}

/// `key=value` arguments, white space around both cut off.
pub(super) fn pairs(args: &[String]) -> Result<Bag, Failure> {
    let mut pairs = Bag::new();
    for arg in args {
        let wrong = || Failure::usage(format!("expected \"key=value\", got {}", quote(arg)));
        let (key, value) = arg.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err(wrong());
        }
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            let why = format!("key {} specified more than once", quote(key));
            return Err(Failure::usage(why));
        }
    }
    Ok(pairs)
}

pub(super) fn from_file(
    context: &HookContext<'_>,
    call: &Call,
    file: &str,
) -> Result<Bag, Failure> {
    let bytes = if file == "-" {
        call.stdin.clone().ok_or(Failure::Stdin)?
    } else {
        let path = context.on_host(&call.directory, file);
        fs::read(path).map_err(|error| Failure::run(format!("open {file}: {}", reason(&error))))?
    };
    yaml::string_map(&String::from_utf8_lossy(&bytes)).map_err(Failure::run)
}
