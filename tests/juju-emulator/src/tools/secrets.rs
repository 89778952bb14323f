//! `secret-get`.
//!
//! Invariant: who may not read learns no more than that.

use super::flags::{Kind, OUTPUT, YAML, flag};
use super::output::{Out, go_text, quote};
use super::{Call, Failure, Outcome, parse, print};
use crate::context::HookContext;
use crate::secret_changes::SecretChange;
use crate::secrets::{Content, Reading, Secret, decode, parse_uri};

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        flag("label", Kind::Text),
        flag("peek", Kind::Bool),
        flag("refresh", Kind::Bool),
        flag("format", YAML),
        OUTPUT,
    ];
    let mut parsed = parse(context, call, &flags)?;
    let label = parsed
        .get("label")
        .filter(|label| !label.is_empty())
        .map(str::to_owned);
    let uri = parsed.take();
    if uri.is_none() && label.is_none() {
        return Err(Failure::usage("require either a secret URI or label"));
    }
    let id = uri.map(|uri| parse_id(&uri)).transpose()?;
    let how = match (parsed.is_on("peek"), parsed.is_on("refresh")) {
        (true, true) => {
            return Err(Failure::usage(
                "specify one of --peek or --refresh but not both",
            ));
        }
        (true, false) => Reading::Peek,
        (false, true) => Reading::Refresh,
        (false, false) => Reading::Tracked,
    };
    let key = parsed.take();
    parsed.finish()?;
    let found = read(context, id, label, how)?;
    let value = match key {
        Some(key) => one(&found, &key)?,
        None => Out::map(
            found
                .iter()
                .map(|(key, value)| (key.clone(), Out::text(go_text(&decode(value))))),
        ),
    };
    print(context, call, &parsed, "yaml", &value)
}

pub(super) fn parse_id(uri: &str) -> Result<String, Failure> {
    let wrong = || Failure::usage(format!("secret URI {} not valid", quote(uri)));
    parse_uri(uri).map(str::to_owned).ok_or_else(wrong)
}

fn read(
    context: &mut HookContext<'_>,
    id: Option<String>,
    label: Option<String>,
    how: Reading,
) -> Result<Content, Failure> {
    let (id, new_label) = match id {
        Some(id) => (id, label),
        None => (by_label(context, &label.unwrap_or_default())?, None),
    };
    if let Some(own) = context.owned_secrets().into_iter().find(|s| s.id == id) {
        return Ok(read_own(context, &own, how, new_label.as_deref()));
    }
    read_granted(context, &id, how, new_label.as_deref())
}

/// An own secret, as this hook has changed it. What is tracked moves when the hook ends.
fn read_own(
    context: &mut HookContext<'_>,
    own: &Secret,
    how: Reading,
    label: Option<&str>,
) -> Content {
    let unit = context.unit.clone();
    let latest = own.content().cloned().unwrap_or_default();
    let Some(committed) = context.model.secrets.get_mut(&own.id) else {
        return latest;
    };
    match how {
        Reading::Peek => latest,
        Reading::Refresh => {
            let change = SecretChange::Track(own.id.clone(), unit, own.latest());
            context.pending.secrets.push(change);
            latest
        }
        Reading::Tracked => committed.read(&unit, how, label),
    }
}

fn read_granted(
    context: &mut HookContext<'_>,
    id: &str,
    how: Reading,
    label: Option<&str>,
) -> Result<Content, Failure> {
    let unit = context.unit.clone();
    let Some(secret) = context.model.secrets.get(id) else {
        return Err(Failure::run(if context.is_juju_3() {
            format!("secret {} not found", quote(id))
        } else {
            "getting latest secret revision: secret not found".to_owned()
        }));
    };
    if !context.model.may_read(&unit, secret) {
        return Err(Failure::run(if context.is_juju_3() {
            "permission denied".to_owned()
        } else {
            format!("{} is not allowed to read this secret", quote(&unit))
        }));
    }
    let secret = context.model.secrets.get_mut(id);
    Ok(secret
        .map(|secret| secret.read(&unit, how, label))
        .unwrap_or_default())
}

fn by_label(context: &HookContext<'_>, label: &str) -> Result<String, Failure> {
    let own = context.owned_secrets();
    if let Some(own) = own.into_iter().find(|secret| secret.label == label) {
        return Ok(own.id);
    }
    let found = context.model.secret_by_label(&context.unit, label);
    found.map(|secret| secret.id.clone()).ok_or_else(|| {
        let label = quote(label);
        Failure::run(if context.is_juju_3() {
            format!("consumer label {label} not found")
        } else {
            format!("secret URI for consumer label {label} not found")
        })
    })
}

fn one(content: &Content, key: &str) -> Result<Out, Failure> {
    let (name, raw) = match key.strip_suffix("#base64") {
        Some(name) => (name, true),
        None => (key, false),
    };
    let value = content
        .get(name)
        .ok_or_else(|| Failure::run(format!("secret key value {} not found", quote(name))))?;
    Ok(Out::text(if raw {
        value.clone()
    } else {
        go_text(&decode(value))
    }))
}
