//! `secret-grant`, `secret-revoke`, `secret-ids` and `secret-info-get`.
//!
//! Invariant: they tell of, and give access to, secrets that this unit or its application owns.

use super::flags::{Kind, OUTPUT, RELATION, SMART, YAML, flag, flag2};
use super::output::{Out, quote};
use super::secret_write::require_owned;
use super::secrets::parse_id;
use super::{Call, Failure, Outcome, parse, print, silent};
use crate::context::HookContext;
use crate::model::{Model, split_unit};
use crate::secret_changes::{SecretChange, Withdrawal};
use crate::secrets::{Grant, Owner, Secret};

pub(super) fn grant(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [RELATION, flag("unit", Kind::Text)];
    let mut parsed = parse(context, call, &flags)?;
    let uri = parsed.take();
    let id = parse_id(&uri.ok_or_else(|| Failure::usage("missing secret URI"))?)?;
    let relation = super::relation(context, &parsed)?;
    let app = context
        .remote(relation)
        .map(|side| side.app.clone())
        .unwrap_or_default();
    let unit = parsed.get("unit").filter(|unit| !unit.is_empty());
    if let Some(unit) = unit {
        let (owner, _) = split_unit(unit)
            .ok_or_else(|| Failure::usage(format!("unit {} not valid", quote(unit))))?;
        if owner != app {
            let (unit, app) = (quote(unit), quote(&app));
            let why = format!("cannot specify unit {unit} in relation to application {app}");
            return Err(Failure::usage(why));
        }
    }
    let unit = unit.map(str::to_owned);
    parsed.finish()?;
    require_owned(context, &id)?;
    let grant = Grant {
        relation: Some(relation),
        app,
        unit,
    };
    context.pending.secrets.push(SecretChange::Grant(id, grant));
    Ok(silent())
}

pub(super) fn revoke(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    // gnuflag takes two spellings of each of these.
    let flags = [
        RELATION,
        flag2("app", "application", Kind::Text),
        flag("unit", Kind::Text),
    ];
    let mut parsed = parse(context, call, &flags)?;
    let uri = parsed.take();
    let id = parse_id(&uri.ok_or_else(|| Failure::usage("missing secret URI"))?)?;
    parsed.finish()?;
    let whose = match (
        parsed.get("relation"),
        parsed.get("app"),
        parsed.get("unit"),
    ) {
        (_, Some(_), Some(_)) => {
            return Err(Failure::usage("specify only one of application or unit"));
        }
        (_, _, Some(unit)) => Withdrawal::Unit(unit.to_owned()),
        (_, Some(app), _) => Withdrawal::App(app.to_owned()),
        (Some(_), _, _) => Withdrawal::Relation(super::relation(context, &parsed)?),
        (None, None, None) if context.event.relation().is_some() => {
            Withdrawal::Relation(super::relation(context, &parsed)?)
        }
        (None, None, None) => {
            return Err(Failure::usage("missing relation or application or unit"));
        }
    };
    require_owned(context, &id)?;
    context
        .pending
        .secrets
        .push(SecretChange::Revoke(id, whose));
    Ok(silent())
}

pub(super) fn ids(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    parsed.finish()?;
    let owned = context.owned_secrets();
    // Juju's order is random; one that has none prints a nil slice.
    let value = if owned.is_empty() {
        Out::Null
    } else {
        Out::texts(owned.into_iter().map(|secret| secret.id))
    };
    print(context, call, &parsed, "smart", &value)
}

pub(super) fn info(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [flag("label", Kind::Text), flag("format", YAML), OUTPUT];
    let mut parsed = parse(context, call, &flags)?;
    let uri = parsed.take();
    let label = parsed.get("label").filter(|label| !label.is_empty());
    let wanted = match (&uri, label) {
        (None, None) => return Err(Failure::usage("require either a secret URI or label")),
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "specify either a secret URI or label but not both",
            ));
        }
        (Some(uri), None) => parse_id(uri)?,
        (None, Some(label)) => label.to_owned(),
    };
    parsed.finish()?;
    let by_label = uri.is_none();
    let owned = context.owned_secrets();
    let found = owned.iter().find(|secret| {
        if by_label {
            secret.label == wanted
        } else {
            secret.id == wanted
        }
    });
    let missing = || Failure::run(format!("secret {} not found", quote(&wanted)));
    let secret = found.ok_or_else(missing)?;
    let value = Out::map([(secret.id.clone(), described(context.model, secret))]);
    print(context, call, &parsed, "yaml", &value)
}

fn described(model: &Model, secret: &Secret) -> Out {
    let owner = match secret.owner {
        Owner::Application(_) => "application",
        Owner::Unit(_) => "unit",
        Owner::User => "model",
    };
    let rotation = secret.rotate.as_deref().unwrap_or("never");
    let mut entries = vec![("revision", Out::Number(f64::from(secret.latest())))];
    let texts = [
        ("label", secret.label.as_str()),
        ("owner", owner),
        ("description", &secret.description),
        ("rotation", rotation),
        ("expiry", secret.expire.as_deref().unwrap_or_default()),
    ];
    let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
    entries.extend(given.map(|(key, text)| (key, Out::text(text))));
    if !secret.grants.is_empty() {
        let access = secret.grants.iter().map(|grant| access(model, grant));
        entries.push(("access", Out::List(access.collect())));
    }
    Out::map(entries)
}

fn access(model: &Model, grant: &Grant) -> Out {
    let target = grant.unit.as_ref().map_or_else(
        || format!("application-{}", grant.app),
        |unit| format!("unit-{}", unit.replace('/', "-")),
    );
    let relation = grant.relation.and_then(|id| model.relations.get(&id));
    let key = relation.map(|relation| {
        let ends = relation.sides.iter();
        let mut ends: Vec<_> = ends.map(|s| format!("{}.{}", s.app, s.endpoint)).collect();
        ends.sort();
        ends.join("#")
    });
    Out::map([
        ("target", Out::text(target)),
        (
            "scope",
            Out::text(format!("relation-{}", key.unwrap_or_default())),
        ),
        ("role", Out::text("view")),
    ])
}
