//! `leader-get` and `leader-set`, which Juju 4 has no more.
//!
//! Invariant: played for Juju 3 alone, and held back until the hook's end like all settings.

use super::flags::{Kind, OUTPUT, SMART, flag};
use super::output::Out;
use super::relations::{from_file, pairs};
use super::{Call, Failure, Outcome, parse, print, silent};
use crate::context::HookContext;
use crate::model::Bag;

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    let key = parsed.take().filter(|key| key != "-");
    parsed.finish()?;
    let app = context.model.app_of(&context.unit);
    let mut all = app
        .map(|app| app.leader_settings.clone())
        .unwrap_or_default();
    all.extend(context.pending.leader_settings.clone());
    all.retain(|_, value| !value.is_empty());
    let value = match key {
        Some(key) => all.remove(&key).map_or(Out::Null, Out::text),
        None => Out::map(all.into_iter().map(|(key, value)| (key, Out::text(value)))),
    };
    print(context, call, &parsed, "smart", &value)
}

pub(super) fn set(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[flag("file", Kind::Text)])?;
    let arguments = pairs(&parsed.positional)?;
    let mut changes = match parsed.get("file").filter(|file| !file.is_empty()) {
        Some(file) => from_file(context, call, file)?,
        None => Bag::new(),
    };
    changes.extend(arguments);
    if !context.is_leader() {
        let why = "cannot write leadership settings: cannot write settings: not the leader";
        return Err(Failure::run(why));
    }
    context.pending.leader_settings.extend(changes);
    Ok(silent())
}
