//! `list-backups`: what can be restored, the newest first.
//!
//! **Invariant:** read page by page, of which one row is kept for each Backup. What does not fit into a
//! result is counted: Linux takes no longer argument.

mod table;

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::{Value, json};

use self::table::table;
use super::{
    Failure,
    params::{Params, label_value, target},
    ready::ready,
    words,
};
use crate::{
    cluster::Cluster,
    context::Context,
    velero::{
        self,
        job::{Light, Status},
    },
    volumes::note::Note,
};

/// Objects in a page.
const PAGE: u32 = 500;
/// A result is at most this long, in bytes.
const LONGEST: usize = 120_000;

/// Which Backups are asked for: labels of the previous charm, which a Schedule's Backups have too.
#[derive(Debug, Default, Eq, PartialEq)]
struct Wanted {
    labels: BTreeMap<&'static str, String>,
    form: Form,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Form {
    #[default]
    Table,
    Json,
}

/// What is shown of a Backup.
#[derive(Clone, Debug)]
struct Row {
    id: String,
    uid: String,
    labels: BTreeMap<&'static str, String>,
    created: Option<Timestamp>,
    volumes: Option<Note>,
    status: Status,
}

/// Where the Backups are.
#[derive(Debug, Default)]
struct Place {
    bucket: String,
    path: String,
}

/// The labels that tell whose a Backup is.
const LABELS: [&str; 3] = ["app", "endpoint", "model"];

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let wanted = Wanted::understand(Params::read(ctx).await?)?;
    let cluster = ready(ctx).await?;
    let place = Place::read(&cluster).await?;
    let rows = rows(&cluster, &wanted).await?;
    let number = rows.len();
    let (text, shown) = match wanted.form {
        Form::Table => table(&place, &rows, LONGEST),
        Form::Json => as_json(&rows, LONGEST),
    };
    let mut results = vec![
        ("status", String::from("success")),
        ("backups", text),
        ("number", number.to_string()),
    ];
    if shown < number {
        results.push(("left-out", format!("{} older backups", number - shown)));
    }
    Ok(ctx.tools.action_set_all(&results).await?)
}

/// The newest first; those of one moment by their names.
async fn rows(cluster: &Cluster, wanted: &Wanted) -> Result<Vec<Row>, Failure> {
    let kind = velero::kind("Backup");
    let select = ListParams::default().labels(&wanted.selector()).limit(PAGE);
    let row = |one: Light| Some(Row::of(one));
    let mut rows = cluster.glean(&kind, select, row).await?;
    rows.sort_by(|one, other| {
        let moments = other.moment().cmp(&one.moment());
        moments.then_with(|| one.id.cmp(&other.id))
    });
    Ok(rows)
}

impl Wanted {
    fn understand(mut params: Params) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        if params.text("output") == Some("json") {
            wanted.form = Form::Json;
        }
        params.either("target", "app");
        params.either("target", "endpoint");
        if params.text("endpoint").is_some() && params.text("app").is_none() {
            params.fault("endpoint", "is not enough: add `app`");
        }
        if let Some((app, endpoint)) = params.parsed("target", target) {
            wanted.labels.insert("app", app);
            wanted.labels.insert("endpoint", endpoint);
        }
        for name in LABELS {
            if let Some(value) = params.parsed(name, label_value) {
                wanted.labels.insert(name, value);
            }
        }
        params.finish()?;
        Ok(wanted)
    }

    fn selector(&self) -> String {
        let labels = self.labels.iter();
        let terms: Vec<_> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        terms.join(",")
    }
}

impl Place {
    async fn read(cluster: &Cluster) -> Result<Self, Failure> {
        let kind = velero::kind("BackupStorageLocation");
        let location = cluster.get(&kind, velero::LOCATION).await?;
        let said = |field: &str| {
            let store = location
                .as_ref()
                .map(|one| &one.data["spec"]["objectStorage"]);
            let text = store.and_then(|store| store[field].as_str());
            text.unwrap_or_default().to_owned()
        };
        Ok(Self {
            bucket: said("bucket"),
            path: format!("/{}", said("prefix").trim_matches('/')),
        })
    }
}

impl Row {
    fn of(backup: Light) -> Self {
        let Light { metadata, status } = backup;
        let labels = LABELS.iter().filter_map(|key| {
            let value = metadata.labels.get(*key)?;
            Some((*key, value.clone()))
        });
        Self {
            labels: labels.collect(),
            created: metadata.created(),
            volumes: Note::of(&metadata.annotations),
            id: metadata.name,
            uid: metadata.uid,
            status,
        }
    }

    fn moment(&self) -> Option<Timestamp> {
        self.status.begun().or(self.created)
    }

    fn label(&self, key: &str) -> &str {
        self.labels.get(key).map(String::as_str).unwrap_or_default()
    }

    /// `app:endpoint`, if it was made for an application.
    fn target(&self) -> String {
        match (self.label("app"), self.label("endpoint")) {
            ("", _) => String::new(),
            (app, endpoint) => format!("{app}:{endpoint}"),
        }
    }

    /// As the database charms say it: `finished`, or what went wrong.
    fn said(&self) -> String {
        let status = &self.status;
        match status.phase() {
            "Completed" => "finished".into(),
            "PartiallyFailed" => {
                format!("partially failed: {}", words::count(status.errors, "error"))
            }
            "Failed" | "FailedValidation" => {
                format!(
                    "failed: {}",
                    status.reason().as_deref().unwrap_or("Velero says no more")
                )
            }
            "Deleting" => "being deleted".into(),
            "New" | "Queued" | "ReadyToStart" => "waiting".into(),
            phase if !status.has_ended() => format!("in progress: {phase}"),
            phase => phase.to_owned(),
        }
    }

    /// Under the names of the previous charm, and what it did not have.
    fn json(&self) -> Value {
        let status = &self.status;
        let moment = |at: Option<Timestamp>| at.map(words::moment);
        json!({
            "name": self.id,
            "uid": self.uid,
            "app": self.label("app"),
            "endpoint": self.label("endpoint"),
            "model": self.label("model"),
            "phase": status.phase(),
            "start-timestamp": moment(status.begun()),
            "completion-timestamp": moment(status.ended()),
            "expiration": moment(status.expires()),
            "errors": status.errors,
            "warnings": status.warnings,
            "reason": status.reason(),
            "volumes": self.volumes.as_ref().map(|note| note.saved.as_str()),
            "volumes-without-data": self.volumes.as_ref().and_then(|note| note.without_data.as_deref()),
            "bytes": self.volumes.as_ref().map(|note| note.bytes),
        })
    }
}

/// An array of as many rows as fit, and how many these are.
fn as_json(rows: &[Row], longest: usize) -> (String, usize) {
    let mut text = String::from("[");
    let mut shown = 0;
    for row in rows {
        let row = row.json().to_string();
        if text.len() + row.len() + 2 > longest {
            break;
        }
        if shown > 0 {
            text.push(',');
        }
        text.push_str(&row);
        shown += 1;
    }
    text.push(']');
    (text, shown)
}

#[cfg(test)]
mod tests;
