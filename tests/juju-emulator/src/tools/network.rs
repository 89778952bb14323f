//! `network-get`, `unit-get`, `open-port`, `close-port` and `opened-ports`.
//!
//! Invariant: a unit listens on its pod's address and is reached at its application's service.

use super::flags::{Kind, OUTPUT, Parsed, RELATION, SMART, flag};
use super::output::{Out, quote};
use super::{Call, Failure, Outcome, parse, print, silent};
use crate::context::HookContext;
use crate::model::Port;

/// What can be asked for alone, in the order of its keys.
const PARTS: [&str; 4] = [
    "bind-address",
    "egress-subnets",
    "ingress-address",
    "primary-address",
];

struct Addresses {
    pod: String,
    /// What the pod's network is called, if it is.
    interface: String,
    service: String,
}

fn addresses(context: &HookContext<'_>) -> Addresses {
    let pod = context
        .model
        .unit(&context.unit)
        .map(|unit| unit.address.clone())
        .unwrap_or_default();
    let interface = context.model.unit(&context.unit);
    let interface = interface.map(|unit| unit.interface.clone());
    let service = context.model.app_of(&context.unit);
    let service = service.map(|app| app.service_address.clone());
    Addresses {
        service: service
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| pod.clone()),
        interface: interface.unwrap_or_default(),
        pod,
    }
}

pub(super) fn get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parts = PARTS.map(|part| flag(part, Kind::Bool));
    let mut flags = vec![RELATION, flag("format", SMART), OUTPUT];
    flags.extend(parts);
    let mut parsed = parse(context, call, &flags)?;
    let binding = parsed
        .take()
        .ok_or_else(|| Failure::usage("no arguments specified"))?;
    if binding.is_empty() {
        return Err(Failure::usage("no binding name specified"));
    }
    parsed.finish()?;
    if !knows(context, &binding) {
        let why = format!("no network config found for binding {}", quote(&binding));
        return Err(Failure::run(why));
    }
    let addresses = addresses(context);
    let mut asked = PARTS.into_iter().filter(|part| parsed.is_on(part));
    let value = match (asked.next(), asked.next()) {
        (None, _) => whole(&addresses, &parsed),
        (Some(one), None) => part(&addresses, one),
        _ => Out::map(
            PARTS
                .into_iter()
                .filter(|name| parsed.is_on(name))
                .map(|name| (name, part(&addresses, name))),
        ),
    };
    print(context, call, &parsed, "smart", &value)
}

fn knows(context: &HookContext<'_>, binding: &str) -> bool {
    let charm = context.model.app_of(&context.unit).and_then(|a| a.charm());
    charm.is_some_and(|charm| {
        charm.endpoints.contains_key(binding) || charm.extra_bindings.contains_key(binding)
    }) || binding == "juju-info"
}

fn part(addresses: &Addresses, name: &str) -> Out {
    match name {
        "egress-subnets" => Out::texts([format!("{}/32", addresses.service)]),
        "ingress-address" => Out::text(addresses.service.clone()),
        _ => Out::text(addresses.pod.clone()),
    }
}

/// All of it. What is not JSON repeats some keys in their former spelling.
fn whole(addresses: &Addresses, parsed: &Parsed) -> Out {
    let json = parsed.get("format") == Some("json");
    let empty = || Out::text("");
    // A controller gives a named network all of these, or none of them.
    let (host, cidr) = if addresses.interface.is_empty() {
        ("", "")
    } else {
        (addresses.pod.as_str(), "0.0.0.0/0")
    };
    let mut address = vec![
        ("hostname", Out::text(host)),
        ("value", Out::text(addresses.pod.clone())),
        ("cidr", Out::text(cidr)),
    ];
    let interface = || Out::text(addresses.interface.clone());
    let mut device = vec![("mac-address", empty()), ("interface-name", interface())];
    if !json {
        address.push(("address", Out::text(addresses.pod.clone())));
    }
    device.push(("addresses", Out::List(vec![Out::map(address)])));
    if !json {
        device.extend([("macaddress", empty()), ("interfacename", interface())]);
    }
    Out::map([
        ("bind-addresses", Out::List(vec![Out::map(device)])),
        ("egress-subnets", part(addresses, "egress-subnets")),
        ("ingress-addresses", Out::texts([addresses.service.clone()])),
    ])
}

pub(super) fn unit_get(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("format", SMART), OUTPUT])?;
    let setting = parsed
        .take()
        .ok_or_else(|| Failure::usage("no setting specified"))?;
    let addresses = addresses(context);
    let value = match setting.as_str() {
        "private-address" => addresses.pod,
        "public-address" => addresses.service,
        other => return Err(Failure::usage(format!("unknown setting {}", quote(other)))),
    };
    parsed.finish()?;
    print(context, call, &parsed, "smart", &Out::text(value))
}

pub(super) fn open(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let port = asked_port(context, call)?;
    context.pending.ports.insert(port, true);
    Ok(silent())
}

pub(super) fn close(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let port = asked_port(context, call)?;
    context.pending.ports.insert(port, false);
    Ok(silent())
}

fn asked_port(context: &HookContext<'_>, call: &Call) -> Result<Port, Failure> {
    let flags = [flag("endpoints", Kind::Text), flag("format", Kind::Text)];
    let mut parsed = parse(context, call, &flags)?;
    let text = parsed
        .take()
        .ok_or_else(|| Failure::usage("no port or range specified"))?;
    let port = read_port(&text)?;
    parsed.finish()?;
    Ok(port)
}

fn read_port(text: &str) -> Result<Port, Failure> {
    let lower = text.to_lowercase();
    if lower == "icmp" {
        return Ok(Port {
            protocol: lower,
            number: 0,
        });
    }
    let (range, protocol) = lower.split_once('/').unwrap_or((&lower, "tcp"));
    if !["tcp", "udp"].contains(&protocol) {
        let protocol = quote(protocol);
        let why = format!("invalid protocol {protocol}, expected \"tcp\", \"udp\", or \"icmp\"");
        return Err(Failure::usage(why));
    }
    let number = |word: &str| {
        word.parse::<i64>().map_err(|_| {
            let word = quote(word);
            let why = format!("invalid port {word}: strconv.Atoi: parsing {word}: invalid syntax");
            Failure::usage(why)
        })
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    let legal = |number: i64| u16::try_from(number).ok().filter(|number| *number > 0);
    let (Some(one), Some(two)) = (legal(first), legal(last)) else {
        let why = format!("port range bounds must be between 1 and 65535, got {first}-{last}");
        return Err(Failure::usage(why));
    };
    if one != two {
        return Err(Failure::run(
            "port ranges are not supported for k8s applications, please specify a single port",
        ));
    }
    Ok(Port {
        protocol: protocol.to_owned(),
        number: one,
    })
}

pub(super) fn opened(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let flags = [flag("endpoints", Kind::Bool), flag("format", SMART), OUTPUT];
    let parsed = parse(context, call, &flags)?;
    parsed.finish()?;
    // On Kubernetes a port is opened for all endpoints.
    let end = if parsed.is_on("endpoints") {
        " (*)"
    } else {
        ""
    };
    let ports = context.ports().into_iter();
    let value = Out::texts(ports.map(|port| format!("{port}{end}")));
    print(context, call, &parsed, "smart", &value)
}
