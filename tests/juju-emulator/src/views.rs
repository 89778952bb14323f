//! The model as Juju shows it to people.
//!
//! Invariant: read only; columns as wide as their widest cell.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;

use super::model::{Application, Bag, Kind, Life, Model, Relation, Side, Status, Unit, split_unit};
use super::resolver::app_status;
use super::run::LogLine;
use super::tools::output::Out;

/// A time as `goal-state` writes it.
#[must_use]
pub(crate) fn stamp(at: SystemTime) -> String {
    timestamp(at).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `juju status`.
#[must_use]
pub fn status(model: &Model) -> String {
    let now = timestamp(SystemTime::now())
        .strftime("%H:%M:%SZ")
        .to_string();
    let mut header = vec!["Model", "Controller", "Cloud/Region", "Version"];
    let mut row = vec![&*model.name, "emulator", "kubernetes", &*model.juju_version];
    if model.juju_version.starts_with("3.") {
        header.push("SLA");
        row.push("unsupported");
    }
    header.push("Timestamp");
    row.push(&now);
    let row: Vec<_> = row.into_iter().map(str::to_owned).collect();
    let mut out = table(&header, &[row]);
    let header = [
        "App", "Version", "Status", ">Scale", "Charm", "Channel", ">Rev", "Address", "Exposed",
        "Message",
    ];
    let apps: Vec<_> = model.applications.values().map(app_row).collect();
    out = out + "\n" + &table(&header, &apps);
    let header = ["Unit", "Workload", "Agent", "Address", "Ports", "Message"];
    let units: Vec<_> = model
        .applications
        .values()
        .flat_map(|app| app.units.values().map(move |unit| unit_row(app, unit)))
        .collect();
    out = out + "\n" + &table(&header, &units);
    let header = [
        "Integration provider",
        "Requirer",
        "Interface",
        "Type",
        "Message",
    ];
    let relations: Vec<_> = model.relations.values().map(relation_row).collect();
    if !relations.is_empty() {
        out = out + "\n" + &table(&header, &relations);
    }
    out
}

fn app_row(app: &Application) -> Vec<String> {
    let status = app_status(app);
    let going = |unit: &&Unit| unit.life == Life::Dying;
    let (all, dying) = (app.units.len(), app.units.values().filter(going).count());
    let scale = if dying == 0 {
        all.to_string()
    } else {
        format!("{all}/{}", all - dying)
    };
    vec![
        app.name.clone(),
        app.version.clone(),
        status.level,
        scale,
        charm_name(app),
        String::new(),
        app.charm_revision.to_string(),
        app.service_address.clone(),
        "no".to_owned(),
        first_line(&status.message),
    ]
}

fn charm_name(app: &Application) -> String {
    match &app.kind {
        Kind::Charm(charm) => charm.name.clone(),
        Kind::Scripted(_) => app.name.clone(),
    }
}

fn unit_row(app: &Application, unit: &Unit) -> Vec<String> {
    let name = app.unit_name(unit.number);
    let star = if app.leader == Some(unit.number) {
        "*"
    } else {
        ""
    };
    let status = shown(unit);
    vec![
        name + star,
        status.level,
        agent_state(unit).to_owned(),
        unit.address.clone(),
        ports(unit),
        first_line(&status.message),
    ]
}

/// `80,443/tcp`: one word for each protocol.
fn ports(unit: &Unit) -> String {
    let mut words: Vec<String> = Vec::new();
    for protocol in ["icmp", "tcp", "udp"] {
        let own = unit.ports.iter().filter(|port| port.protocol == protocol);
        let numbers: Vec<_> = own.map(|port| port.number.to_string()).collect();
        match numbers.as_slice() {
            [] => {}
            _ if protocol == "icmp" => words.push(protocol.to_owned()),
            _ => words.push(format!("{}/{protocol}", numbers.join(","))),
        }
    }
    words.join(" ")
}

/// What is shown as the unit's status: a failed hook hides what the charm said.
#[must_use]
pub(crate) fn shown(unit: &Unit) -> Status {
    let said = unit
        .status
        .last()
        .cloned()
        .unwrap_or_else(|| Status::now("unknown", ""));
    match &unit.agent.failed {
        None => said,
        Some(event) => Status {
            level: "error".to_owned(),
            message: format!("hook failed: \"{}\"", event.name()),
            since: said.since,
        },
    }
}

const fn agent_state(unit: &Unit) -> &'static str {
    match (&unit.agent.failed, unit.agent.installed) {
        (Some(_), _) | (None, true) => "idle",
        (None, false) => "allocating",
    }
}

fn relation_row(relation: &Relation) -> Vec<String> {
    let end = |side: Option<&Side>| {
        side.map_or_else(String::new, |side| {
            format!("{}:{}", side.app, side.endpoint)
        })
    };
    let kind = if relation.is_peer() {
        "peer"
    } else {
        "regular"
    };
    // The requirer is the first of the two.
    vec![
        end(relation.sides.last()),
        end(relation.sides.first()),
        relation.interface.clone(),
        kind.to_owned(),
        String::new(),
    ]
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    // Numbers stand at the right, where the header says so.
    let at_right = |column: usize| header.get(column).is_some_and(|h| h.starts_with('>'));
    let titles: Vec<&str> = header.iter().map(|h| h.trim_start_matches('>')).collect();
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        let title = titles.get(column).map_or(0, |title| title.len());
        cells.max().unwrap_or(0).max(title)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.into_iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if at_right(column) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        line.trim_end().to_owned() + "\n"
    };
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(titles.clone())).chain(body).collect()
}

/// One line of `juju debug-log`.
#[must_use]
pub fn log_line(line: &LogLine) -> String {
    let at = timestamp(line.at).strftime("%H:%M:%S");
    format!(
        "{}: {at} {} {} {}",
        line.entity, line.level, line.module, line.text
    )
}

/// A time of day, as `juju run` puts it before each line of an action's log.
#[must_use]
pub fn clock(at: SystemTime) -> String {
    timestamp(at).strftime("%H:%M:%S").to_string()
}

/// `juju config`, in short: each option, its value, and whether the user set it.
#[must_use]
pub fn config(model: &Model, name: &str) -> Option<String> {
    let app = model.applications.get(name)?;
    let charm = app.charm()?;
    let lines = charm.options.keys().map(|key| {
        let value = app
            .setting(key)
            .map_or_else(String::new, ToString::to_string);
        let source = if app.config.contains_key(key) {
            "user"
        } else {
            "default"
        };
        format!("{key}: {value} ({source})")
    });
    Some(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// `juju show-unit`: the unit, its relations and the bags that it can read.
#[must_use]
pub fn show_unit(model: &Model, name: &str) -> Option<String> {
    let (app_name, _) = split_unit(name)?;
    let (app, unit) = (model.applications.get(app_name)?, model.unit(name)?);
    let ports = unit.ports.iter().map(ToString::to_string);
    let life = match unit.life {
        Life::Alive => "alive",
        Life::Dying => "dying",
    };
    let mut entries = Vec::new();
    if !app.version.is_empty() {
        entries.push(("workload-version", Out::text(app.version.clone())));
    }
    entries.extend([
        ("opened-ports", Out::texts(ports)),
        ("charm", Out::text(charm_url(app))),
        ("leader", Out::Bool(model.is_leader(name))),
        ("life", Out::text(life)),
    ]);
    let relations = model.relations_of(app_name);
    let relations: Vec<_> = relations
        .into_iter()
        .filter_map(|relation| relation_info(relation, app_name, name))
        .collect();
    if !relations.is_empty() {
        entries.push(("relation-info", Out::List(relations)));
    }
    entries.extend([
        ("provider-id", Out::text(name.replace('/', "-"))),
        ("address", Out::text(unit.address.clone())),
    ]);
    Some(Out::map([(name, Out::map(entries))]).format("yaml"))
}

fn charm_url(app: &Application) -> String {
    let (name, revision) = (charm_name(app), app.charm_revision);
    format!("local:{name}-{revision}")
}

fn relation_info(relation: &Relation, app: &str, name: &str) -> Option<Out> {
    let (local, remote) = (relation.local(app)?, relation.remote(app)?);
    let unit = |member: &crate::model::UnitBag| {
        Out::map([
            ("in-scope", Out::Bool(member.present)),
            ("data", bag(&member.bag.data)),
        ])
    };
    let mut entries = vec![
        ("relation-id", Out::Number(f64::from(relation.id))),
        ("endpoint", Out::text(local.endpoint.clone())),
        ("related-endpoint", Out::text(remote.endpoint.clone())),
        ("application-data", bag(&local.bag.data)),
    ];
    if let Some(own) = local.units.get(name).filter(|_| relation.is_peer()) {
        entries.push(("local-unit", unit(own)));
    }
    let others: Vec<_> = remote
        .units
        .iter()
        .filter(|(member, u)| u.present && *member != name)
        .map(|(member, u)| (member.clone(), unit(u)))
        .collect();
    if !others.is_empty() {
        entries.push(("related-units", Out::map(others)));
    }
    Some(Out::map(entries))
}

fn bag(data: &Bag) -> Out {
    Out::map(
        data.iter()
            .map(|(key, value)| (key.clone(), Out::text(value.clone()))),
    )
}
