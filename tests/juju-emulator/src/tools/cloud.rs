//! `credential-get`, `resource-get`, `juju-reboot` and `storage-*`.
//!
//! Invariant: a charm without trust gets no credential. No storage is played: charms that declare some
//! are told that there is none.

use std::fs;

use super::flags::{Kind, OUTPUT, SMART, flag, flag2};
use super::output::{Out, quote};
use super::{Call, Done, Failure, Outcome, parse, print, silent};
use crate::context::HookContext;

pub(super) fn credential(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    parsed.finish()?;
    let refuse = |why: &str| Failure::run(format!("cannot access cloud credentials: {why}"));
    let trusted = context
        .model
        .app_of(&context.unit)
        .is_some_and(|a| a.trusted);
    if !trusted {
        return Err(refuse("getting model credentials: permission denied"));
    }
    let Some(endpoint) = context.api_server.clone() else {
        return Err(refuse(
            "reading in-cluster config: unable to load in-cluster configuration, \
             KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined",
        ));
    };
    let file = |name: &str| fs::read_to_string(context.service_account.join(name));
    let (token, ca) = match (file("token"), file("ca.crt")) {
        (Ok(token), Ok(ca)) => (token, ca),
        (Err(error), _) | (_, Err(error)) => return Err(refuse(&error.to_string())),
    };
    let credential = Out::map([
        ("auth-type", Out::text("oauth2")),
        ("attrs", Out::map([("Token", Out::text(token))])),
    ]);
    let value = Out::map([
        ("type", Out::text("kubernetes")),
        ("name", Out::text("kubernetes")),
        ("endpoint", Out::text(endpoint)),
        ("is-controller-cloud", Out::Bool(true)),
        ("credential", credential),
        ("cacertificates", Out::texts([ca])),
    ]);
    print(context, call, &parsed, "smart", &value)
}

pub(super) fn resource(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[])?;
    let name = parsed
        .take()
        .ok_or_else(|| Failure::usage("missing required resource name"))?;
    parsed.finish()?;
    let app = context.model.app_of(&context.unit);
    let path = app.and_then(|app| app.resources.get(&name));
    let missing = || {
        let what = format!("resource#{}/{name}", context.app());
        Failure::run(format!("could not download resource: {what} not found"))
    };
    // Without a line's end, so that a script can use it as it is.
    Ok(Done {
        stdout: path.cloned().ok_or_else(missing)?,
        ..silent()
    })
}

pub(super) fn reboot(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[flag("now", Kind::Bool)])?;
    parsed.finish()?;
    if context.event.action().is_some() {
        let why = "juju-reboot is not supported when running an action.";
        return Err(Failure::run(why));
    }
    // A pod has no machine to restart; the agent asks and continues.
    context.log("WARNING", "juju-reboot", "a pod is not rebooted");
    Ok(silent())
}

pub(super) fn storage_list(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    parsed.take();
    parsed.finish()?;
    print(context, call, &parsed, "smart", &Out::List(Vec::new()))
}

pub(super) fn storage_get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [
        flag2("s", "storage", Kind::Text),
        flag("format", SMART),
        OUTPUT,
    ];
    let mut parsed = parse(context, call, &flags)?;
    parsed.take();
    parsed.finish()?;
    match parsed.get("s") {
        None => Err(Failure::usage("no storage instance specified")),
        Some(id) => Err(Failure::usage(format!(
            "invalid value {} for option -s: storage not found",
            quote(id)
        ))),
    }
}

pub(super) fn storage_add(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[])?;
    match parsed.positional.first() {
        None => Err(Failure::usage("storage add requires a storage directive")),
        Some(name) => {
            let name = quote(name.split('=').next().unwrap_or(name));
            Err(Failure::run(format!("charm storage {name} not found")))
        }
    }
}
