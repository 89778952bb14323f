//! The model as Juju shows it to people.
//!
//! Invariant: read only; columns as wide as their widest cell.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;

use super::model::{Application, Bag, Kind, Model, Relation, Side, Status, Unit, split_unit};
use super::resolver::app_status;
use super::run::LogLine;

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
    let header = [
        "Model",
        "Controller",
        "Cloud/Region",
        "Version",
        "Timestamp",
    ];
    let row = [
        &*model.name,
        "emulator",
        "kubernetes",
        &*model.juju_version,
        &*now,
    ];
    let mut out = table(&header, &[row.map(str::to_owned).to_vec()]);
    let header = [
        "App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Message",
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
    let charm = match &app.kind {
        Kind::Charm(charm) => charm.name.clone(),
        Kind::Scripted(_) => app.name.clone(),
    };
    vec![
        app.name.clone(),
        app.version.clone(),
        status.level,
        app.units.len().to_string(),
        charm,
        String::new(),
        app.charm_revision.to_string(),
        first_line(&status.message),
    ]
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
        String::new(),
        first_line(&status.message),
    ]
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
    vec![
        end(relation.sides.first()),
        end(relation.sides.last()),
        relation.interface.clone(),
        kind.to_owned(),
        String::new(),
    ]
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        let title = header.get(column).map_or(0, |title| title.len());
        cells.max().unwrap_or(0).max(title)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.trim_end().to_owned() + "\n"
    };
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(header.to_vec())).chain(body).collect()
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
    let (app, _) = split_unit(name)?;
    let unit = model.unit(name)?;
    let mut lines = vec![
        format!("{name}:"),
        format!("  leader: {}", model.is_leader(name)),
        format!("  address: {}", unit.address),
        "  relation-info:".to_owned(),
    ];
    for relation in model.relations_of(app) {
        lines.extend(relation_lines(relation, app, name).into_iter().flatten());
    }
    Some(lines.join("\n") + "\n")
}

fn relation_lines(relation: &Relation, app: &str, name: &str) -> Option<Vec<String>> {
    let (local, remote) = (relation.local(app)?, relation.remote(app)?);
    let mut lines = vec![
        format!("  - relation-id: {}", relation.id),
        format!("    endpoint: {}", local.endpoint),
        format!("    related-endpoint: {}", remote.endpoint),
    ];
    lines.extend(bag_lines("application-data", 4, &remote.bag.data));
    lines.push("    related-units:".to_owned());
    for (member, unit) in remote
        .units
        .iter()
        .filter(|(member, u)| u.present && *member != name)
    {
        lines.push(format!("      {member}:"));
        lines.push("        in-scope: true".to_owned());
        lines.extend(bag_lines("data", 8, &unit.bag.data));
    }
    Some(lines)
}

fn bag_lines(title: &str, indent: usize, bag: &Bag) -> Vec<String> {
    let space = " ".repeat(indent);
    if bag.is_empty() {
        return vec![format!("{space}{title}: {{}}")];
    }
    let lines = bag
        .iter()
        .map(|(key, value)| format!("{space}  {key}: {value}"));
    std::iter::once(format!("{space}{title}:"))
        .chain(lines)
        .collect()
}
