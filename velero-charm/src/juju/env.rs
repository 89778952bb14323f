//! What Juju says of a hook through the environment.
//!
//! **Invariant:** every variable that the charm reads is named here, once.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]

use std::{env, path::PathBuf};

/// Set in every hook and action; its absence means that a person started the binary.
const DISPATCH_PATH: &str = "JUJU_DISPATCH_PATH";
const UNIT_NAME: &str = "JUJU_UNIT_NAME";
const MODEL_NAME: &str = "JUJU_MODEL_NAME";
const MODEL_UUID: &str = "JUJU_MODEL_UUID";
const CHARM_DIR: &str = "JUJU_CHARM_DIR";
const RELATION: &str = "JUJU_RELATION";
const RELATION_ID: &str = "JUJU_RELATION_ID";

/// How the last hook of a relation ends.
const BROKEN: &str = "-relation-broken";

/// What a program of ours needs to find the API server from inside a pod.
const IN_CLUSTER: [&str; 2] = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];

/// The model's proxies: what Juju says, and what other programs call it.
const PROXIES: [(&str, &str); 2] = [
    ("JUJU_CHARM_HTTP_PROXY", "HTTP_PROXY"),
    ("JUJU_CHARM_HTTPS_PROXY", "HTTPS_PROXY"),
];
const NO_PROXY: (&str, &str) = ("JUJU_CHARM_NO_PROXY", "NO_PROXY");

/// Names that are the cluster's own.
const IN_CLUSTER_NAMES: [&str; 2] = [".svc", ".cluster.local"];

/// Why Juju calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// The user runs an action.
    Action(String),
    /// The last hook of a unit.
    Remove,
    /// A hook that may belong to the unit's end: only the goal state tells.
    Parting(String),
    /// Any other hook, known or not.
    Hook(String),
}

/// Whether a secret may have changed that was read before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum News {
    /// Juju says so, or this unit may have begun again and hears of no change before it asks.
    OfSecrets,
    None,
}

/// The unit that the hook runs in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unit {
    /// For example `velero-operator/0`.
    pub(crate) name: String,
    /// The unit's application.
    pub(crate) application: String,
    /// The model, as the user calls it.
    pub(crate) model: String,
    /// Tells models of one name apart.
    pub(crate) model_uuid: String,
    /// Where the charm is unpacked.
    pub(crate) charm_dir: PathBuf,
    /// The endpoint of the relation that the hook tells of.
    pub(crate) endpoint: Option<String>,
    /// The relation whose last hook this is. It is over, though Juju still lists it and its data can still
    /// be read.
    pub(crate) broken_relation: Option<String>,
}

/// A variable without which the hook cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not set: this is not the environment of a Juju hook")]
pub(crate) struct Missing(&'static str);

impl Event {
    /// The event; `None` if Juju did not start us.
    pub(crate) fn from_env() -> Option<Self> {
        env::var(DISPATCH_PATH).ok().map(|path| Self::parse(&path))
    }

    fn parse(dispatch_path: &str) -> Self {
        let name = dispatch_path.rsplit('/').next().unwrap_or(dispatch_path);
        if dispatch_path.starts_with("actions/") {
            return Self::Action(name.into());
        }
        match name {
            "remove" => Self::Remove,
            _ if name == "stop" || name.ends_with(BROKEN) => Self::Parting(name.into()),
            _ => Self::Hook(name.into()),
        }
    }

    pub(crate) fn news(&self) -> News {
        match self {
            Self::Hook(name)
                if name.starts_with("secret-")
                    || ["start", "leader-elected", "upgrade-charm"].contains(&name.as_str()) =>
            {
                News::OfSecrets
            }
            Self::Hook(_) | Self::Parting(_) | Self::Action(_) | Self::Remove => News::None,
        }
    }
}

impl Unit {
    pub(crate) fn from_env() -> Result<Self, Missing> {
        let get = |name| env::var(name).map_err(|_| Missing(name));
        let name = get(UNIT_NAME)?;
        Ok(Self {
            application: name.split('/').next().unwrap_or(&name).to_owned(),
            name,
            model: get(MODEL_NAME)?,
            model_uuid: get(MODEL_UUID)?,
            charm_dir: get(CHARM_DIR)?.into(),
            endpoint: env::var(RELATION).ok().filter(|name| !name.is_empty()),
            broken_relation: broken_relation(
                &get(DISPATCH_PATH)?,
                env::var(RELATION_ID).unwrap_or_default(),
            ),
        })
    }
}

fn broken_relation(dispatch_path: &str, relation: String) -> Option<String> {
    let broken = dispatch_path.starts_with("hooks/") && dispatch_path.ends_with(BROKEN);
    Some(relation).filter(|id| broken && !id.is_empty())
}

/// What a program of ours needs to find the API server, and the store.
pub(crate) fn in_cluster() -> impl Iterator<Item = (&'static str, String)> {
    let way = IN_CLUSTER.into_iter();
    let way = way.filter_map(|name| Some((name, env::var(name).ok()?)));
    way.chain(proxies())
}

/// The proxies of the model, if it has any, with the cluster's own names and API server excepted.
pub(crate) fn proxies() -> Vec<(&'static str, String)> {
    proxies_of(|name| env::var(name).ok())
}

fn proxies_of(get: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let set = |name| get(name).filter(|value| !value.trim().is_empty());
    let proxies = PROXIES
        .iter()
        .filter_map(|(juju, name)| Some((*name, set(juju)?)));
    let mut proxies: Vec<_> = proxies.collect();
    if !proxies.is_empty() {
        let [host, _] = IN_CLUSTER;
        let own = IN_CLUSTER_NAMES.map(ToOwned::to_owned);
        let excepted = set(NO_PROXY.0).into_iter().chain(own).chain(set(host));
        proxies.push((NO_PROXY.1, excepted.collect::<Vec<_>>().join(",")));
    }
    proxies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart_only_where_it_matters() {
        let hook = |name: &str| Event::Hook(name.into());

        assert_eq!(Event::parse("hooks/install"), hook("install"));
        assert_eq!(Event::parse("hooks/never-heard-of"), hook("never-heard-of"));
        assert_eq!(
            Event::parse("hooks/tape-relation-changed"),
            hook("tape-relation-changed")
        );
        assert_eq!(Event::parse("hooks/stop"), Event::Parting("stop".into()));
        assert_eq!(Event::parse("hooks/remove"), Event::Remove);
        assert_eq!(Event::parse("actions/run"), Event::Action("run".into()));
    }

    #[test]
    fn secrets_may_have_changed_when_juju_says_so_or_a_unit_begins() {
        for name in [
            "secret-changed",
            "secret-expired",
            "start",
            "leader-elected",
            "upgrade-charm",
        ] {
            assert_eq!(
                Event::parse(&format!("hooks/{name}")).news(),
                News::OfSecrets
            );
        }
        for name in [
            "update-status",
            "config-changed",
            "stop",
            "remove",
            "tape-relation-changed",
        ] {
            assert_eq!(Event::parse(&format!("hooks/{name}")).news(), News::None);
        }
    }

    #[test]
    fn broken_hook_alone_takes_its_relation_away() {
        let broken = |path| broken_relation(path, "tape:7".into());

        assert_eq!(broken("hooks/tape-relation-broken"), Some("tape:7".into()));
        assert_eq!(broken("hooks/tape-relation-departed"), None);
        assert_eq!(broken("hooks/config-changed"), None);
        assert_eq!(
            broken_relation("hooks/tape-relation-broken", String::new()),
            None
        );
    }

    #[test]
    fn proxies_of_the_model_leave_the_cluster_out() {
        let of = |set: &[(&str, &str)]| {
            proxies_of(|name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let always = [
            ("JUJU_CHARM_HTTP_PROXY", ""),
            ("JUJU_CHARM_NO_PROXY", "127.0.0.1,localhost"),
            ("KUBERNETES_SERVICE_HOST", "10.1.0.1"),
        ];
        assert_eq!(of(&always), []);
        let https = ("JUJU_CHARM_HTTPS_PROXY", "http://p:3128");
        let excepted = "127.0.0.1,localhost,.svc,.cluster.local,10.1.0.1";
        assert_eq!(
            of(&[&always[..], &[https]].concat()),
            [
                ("HTTPS_PROXY", https.1.to_owned()),
                ("NO_PROXY", excepted.to_owned())
            ]
        );
    }
}
