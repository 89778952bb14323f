//! `config-get` and `is-leader`.
//!
//! Invariant: an option is what the user set, else its default, else not there.

use std::collections::BTreeMap;

use super::flags::{OUTPUT, SMART, flag, flag2};
use super::output::{Out, quote};
use super::{Call, Failure, Outcome, parse, print};
use crate::context::HookContext;
use crate::tools::flags::Kind;

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [flag2("all", "a", Kind::Bool), flag("format", SMART), OUTPUT];
    let mut parsed = parse(context, call, &flags)?;
    let key = parsed.take().filter(|key| !key.is_empty());
    if let (true, Some(key)) = (parsed.is_on("all"), &key) {
        let why = format!("cannot use argument --all together with key {}", quote(key));
        return Err(Failure::usage(why));
    }
    parsed.finish()?;
    let settings = settings(context);
    let value = if let Some(key) = key {
        settings.get(&key).cloned().unwrap_or(Out::Null)
    } else {
        let all = parsed.is_on("all");
        Out::map(
            settings
                .into_iter()
                .filter(|(_, value)| all || *value != Out::Null),
        )
    };
    print(context, call, &parsed, "smart", &value)
}

fn settings(context: &HookContext<'_>) -> BTreeMap<String, Out> {
    let app = context.model.app_of(&context.unit);
    let Some((app, charm)) = app.and_then(|app| Some((app, app.charm()?))) else {
        return BTreeMap::new();
    };
    let value = |key: &str| app.setting(key).map_or(Out::Null, Out::wire);
    charm
        .options
        .keys()
        .map(|key| (key.clone(), value(key)))
        .collect()
}

pub(super) fn is_leader(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    parsed.finish()?;
    print(
        context,
        call,
        &parsed,
        "smart",
        &Out::Bool(context.is_leader()),
    )
}
