//! Who Velero's pods are in the clouds of providers: by annotations of their ServiceAccount, and labels of theirs.

use provider_api::{Descriptor, Identity, Problem, Registry};

use super::options::{self, ANNOTATIONS, POD_LABELS};
use crate::velero::settings::Settings;

/// Who they are in the provider's cloud, if that is set.
pub(super) fn of_pods(settings: &Settings, descriptor: &Descriptor) -> Option<String> {
    let annotation = descriptor.identity?.annotation;
    settings.account.get(annotation).cloned()
}

/// What is wrong with who they are said to be, in each of the clouds.
pub(super) fn faults(settings: &Settings, registry: &Registry) -> Vec<Problem> {
    let known = registry.descriptors().filter_map(|one| one.identity);
    let found = known.filter_map(|identity| {
        let who = settings.account.get(identity.annotation);
        who.map(|who| [unsound(who, identity), unlabelled(settings, identity)])
    });
    found.flatten().flatten().collect()
}

/// One of the options is wrong, so nobody knows who they are to be.
pub(super) fn is_unknown(read: &options::Read) -> bool {
    let options = [ANNOTATIONS, POD_LABELS];
    let mut wrong = read.problems.iter();
    wrong.any(|problem| options.contains(&problem.field.as_str()))
}

fn unsound(who: &str, identity: Identity) -> Option<Problem> {
    let Identity {
        annotation, shape, ..
    } = identity;
    let reason = format!("has `{annotation}`, which is not {shape}");
    let remedy = "correct it or leave it out";
    (!(identity.is_sound)(who)).then(|| Problem::invalid(ANNOTATIONS, reason, remedy))
}

fn unlabelled(settings: &Settings, identity: Identity) -> Option<Problem> {
    let (key, value) = identity.label?;
    if settings.server.label(key) == Some(value) {
        return None;
    }
    let annotation = identity.annotation;
    Some(Problem::invalid(
        POD_LABELS,
        format!("lacks `{key}={value}`, without which `{annotation}` has no effect"),
        format!("add it, or take the annotation out of `{ANNOTATIONS}`"),
    ))
}
