//! A charm's environment.
//!
//! Invariant: the variables that Juju's unit agent sets, and no other; none of this process's own.

use std::collections::BTreeMap;

use super::event::Event;
use super::model::Model;
use super::paths::UnitPaths;

/// The agent's `PATH` in a charm container.
const AGENT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/charm/bin";

/// Builds it.
pub(crate) fn build(
    model: &Model,
    unit: &str,
    paths: &UnitPaths,
    event: &Event,
    cluster: &[(String, String)],
    context_id: &str,
) -> BTreeMap<String, String> {
    let charm = paths.charm_inside().display().to_string();
    let socket = paths
        .agent_inside()
        .join("agent.socket")
        .display()
        .to_string();
    let path = format!("{}:{AGENT_PATH}", paths.tools_inside().display());
    let fixed = [
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("CHARM_DIR", &charm),
        ("CLOUD_API_VERSION", &model.cloud_api_version),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("JUJU_AGENT_SOCKET_ADDRESS", &socket),
        ("JUJU_AGENT_SOCKET_NETWORK", "unix"),
        ("JUJU_API_ADDRESSES", &model.api_addresses),
        ("JUJU_AVAILABILITY_ZONE", ""),
        ("JUJU_CHARM_DIR", &charm),
        ("JUJU_CONTEXT_ID", context_id),
        ("JUJU_MACHINE_ID", ""),
        ("JUJU_MODEL_NAME", &model.name),
        ("JUJU_MODEL_UUID", &model.uuid),
        ("JUJU_PRINCIPAL_UNIT", ""),
        ("JUJU_UNIT_NAME", unit),
        ("JUJU_VERSION", &model.juju_version),
        ("LANG", "C.UTF-8"),
        ("PATH", &path),
        ("TERM", "tmux-256color"),
    ];
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let mut all: BTreeMap<String, String> = fixed.iter().map(own).collect();
    all.extend(by_version(model).iter().map(own));
    all.extend(proxies(model));
    all.extend(
        event
            .variables()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value)),
    );
    all.extend(cluster.iter().cloned());
    all
}

/// The proxies for charms are always told; those of old only if the model has them.
fn proxies(model: &Model) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for kind in ["http", "https", "ftp", "no"] {
        let default = if kind == "no" {
            "127.0.0.1,localhost,::1"
        } else {
            ""
        };
        let set = model.proxies.get(&format!("juju-{kind}-proxy"));
        let value = set.map_or(default, String::as_str).to_owned();
        let upper = kind.to_uppercase();
        all.insert(format!("JUJU_CHARM_{upper}_PROXY"), value);
        if let Some(value) = model.proxies.get(&format!("{kind}-proxy")) {
            all.insert(format!("{kind}_proxy"), value.clone());
            all.insert(format!("{upper}_PROXY"), value.clone());
        }
    }
    all
}

/// What only one of the two Juju versions sets.
fn by_version(model: &Model) -> &'static [(&'static str, &'static str)] {
    if model.juju_version.starts_with("3.") {
        &[("JUJU_SLA", "")]
    } else {
        &[
            ("JUJU_CHARM_TRACE_CONFIG_CA_CERT", ""),
            ("JUJU_CHARM_TRACE_CONFIG_GRPC", ""),
            ("JUJU_CHARM_TRACE_CONFIG_HTTP", ""),
        ]
    }
}
