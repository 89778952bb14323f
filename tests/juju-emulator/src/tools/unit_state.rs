//! `state-get`, `state-set` and `state-delete`.
//!
//! Invariant: a unit's state is the controller's: it outlives the pod, and changes when a hook ends well.

use super::flags::{Kind, OUTPUT, SMART, flag};
use super::output::{Out, quote};
use super::relations::{from_file, pairs};
use super::{Call, Failure, Outcome, parse, print, silent};
use crate::context::HookContext;
use crate::model::Bag;

const LONGEST_KEY: usize = 256;
const LONGEST_VALUE: usize = 65_536;

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [flag("strict", Kind::Bool), flag("format", SMART), OUTPUT];
    let mut parsed = parse(context, call, &flags)?;
    let key = parsed.take().filter(|key| key != "-" && !key.is_empty());
    parsed.finish()?;
    let state = context.state();
    let value = match key {
        Some(key) => match state.get(&key) {
            None if parsed.is_on("strict") => {
                return Err(Failure::run(format!("{} not found", quote(&key))));
            }
            value => Out::text(value.cloned().unwrap_or_default()),
        },
        // A nil map: JSON knows it, the other formats do not.
        None if state.is_empty() && parsed.get("format") == Some("json") => Out::Null,
        None => Out::map(
            state
                .into_iter()
                .map(|(key, value)| (key, Out::text(value))),
        ),
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
    for (key, value) in &changes {
        let limits = [
            ("key", key.len(), LONGEST_KEY),
            ("value", value.len(), LONGEST_VALUE),
        ];
        if let Some((what, _, most)) = limits.into_iter().find(|(_, len, most)| len > most) {
            let why = format!("max allowed {what} length ({most}): quota limit exceeded");
            return Err(Failure::run(why));
        }
    }
    let changes = changes.into_iter().map(|(key, value)| (key, Some(value)));
    context.pending.state.extend(changes);
    Ok(silent())
}

pub(super) fn delete(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[])?;
    let key = parsed.take();
    parsed.finish()?;
    context.pending.state.extend(key.map(|key| (key, None)));
    Ok(silent())
}
