//! The target that a user means, by what it is called.

use std::{collections::BTreeMap, fmt};

use provider_api::Problems;
use serde_json::{Map, Value};

use super::clients;
use crate::{
    ours::schedule::Key,
    relations::backups::{Client, check_ttl},
    velero::template::Template,
};

/// As many of those that there are get named.
const NAMED: usize = 20;

/// What a user calls a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Name {
    pub(crate) app: String,
    pub(crate) endpoint: String,
    /// Needed where several models have one of this name.
    pub(crate) model: Option<String>,
}

/// Why nothing can be backed up under a name; the text is for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFound {
    #[error("{name} does not ask to be backed up{}", named(.others))]
    Unknown { name: Name, others: Vec<Key> },
    #[error("name the `model`: {name} asks to be backed up in `{}`", .models.join("`, `"))]
    Several { name: Name, models: Vec<String> },
    #[error("{name} asks for what cannot be done: {problems}")]
    Wrong { name: Name, problems: Box<Problems> },
    #[error("set `ttl` to {right}, or give the action one: the option {reason}")]
    Lifetime { right: &'static str, reason: String },
}

impl Name {
    fn is_of(&self, key: &Key) -> bool {
        let is_its_model = |model: &String| *model == key.model;
        key.app == self.app
            && key.endpoint == self.endpoint
            && self.model.as_ref().is_none_or(is_its_model)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}:{}`", self.app, self.endpoint)?;
        match &self.model {
            Some(model) => write!(f, " in model `{model}`"),
            None => Ok(()),
        }
    }
}

/// The one target of this name, and what its Backups hold, be they made by its Schedule or by hand. A lifetime that the
/// user gives counts before its own.
///
/// # Errors
/// There is none, there are several, or it is wrong.
pub(crate) fn find(
    sent: &[Client],
    config: &Map<String, Value>,
    name: &Name,
    ttl: Option<&str>,
) -> Result<(Key, Template), NotFound> {
    let clients = clients(sent, config);
    let wanted = clients.wanted.into_iter();
    let wanted = wanted.map(|(key, wanted)| (key, Ok(wanted.template)));
    let faults = clients.faults.into_iter();
    let faults = faults.filter_map(|fault| Some((fault.key()?.clone(), Err(fault.problems))));
    let all: BTreeMap<Key, Result<Template, Problems>> = wanted.chain(faults).collect();
    let (mut meant, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(key, _)| name.is_of(key));
    let name = name.clone();
    let Some((key, asked)) = meant.pop() else {
        let others = others.into_iter().map(|(key, _)| key).collect();
        return Err(NotFound::Unknown { name, others });
    };
    if !meant.is_empty() {
        let keys = meant.into_iter().map(|(key, _)| key).chain([key]);
        let models = keys.map(|key| key.model).collect();
        return Err(NotFound::Several { name, models });
    }
    let mut template = asked.map_err(|problems| NotFound::Wrong {
        name,
        problems: Box::new(problems),
    })?;
    if let Some(ttl) = ttl {
        template.ttl = Some(ttl.to_owned());
    }
    // Its own was checked as it was read: what is left is the option, which Velero cannot read if it is wrong.
    let checked = template.ttl.as_deref().map_or(Ok(()), check_ttl);
    checked.map_err(|(reason, right)| NotFound::Lifetime { right, reason })?;
    Ok((key, template))
}

fn named(keys: &[Key]) -> String {
    if keys.is_empty() {
        return ", nor does any other application: integrate it with `velero-backups`".into();
    }
    let first = keys.iter().take(NAMED);
    let first: Vec<_> = first
        .map(|key| format!("`{key}` (model `{}`)", key.model))
        .collect();
    let more = match keys.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; those that do are {}{more}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(relation: &str, app: &str, model: &str, spec: &Value) -> Client {
        let list = json!([{"app": app, "relation_name": "backup", "model": model, "spec": spec}]);
        let bag = [("backup_targets".to_owned(), list.to_string())];
        Client::understand(relation, Some("somebody"), bag.into())
    }

    fn name(app: &str, model: Option<&str>) -> Name {
        Name {
            app: app.into(),
            endpoint: "backup".into(),
            model: model.map(ToOwned::to_owned),
        }
    }

    fn looked_up(app: &str, model: Option<&str>, ttl: Option<&str>) -> Result<Template, String> {
        let sent = [
            client("velero-backups:1", "minio", "here", &json!({"ttl": "1h"})),
            client("velero-backups:2", "minio", "there", &json!({})),
            client("velero-backups:3", "mlmd", "here", &json!({"ttl": "30d"})),
            client("velero-backups:4", "shop", "here", &json!({})),
            client(
                "velero-backups:5",
                "shop",
                "here",
                &json!({"schedule": "@daily"}),
            ),
        ];
        let config = json!({"ttl": "7d"});
        let found = find(&sent, config.as_object().unwrap(), &name(app, model), ttl);
        let found = found.map_err(|error| error.to_string());
        found.map(|(key, template)| {
            assert_eq!(key.app, app);
            template
        })
    }

    #[test]
    fn target_is_found_by_what_the_user_calls_it() {
        let ttl = |model, ttl| looked_up("minio", Some(model), ttl).map(|found| found.ttl);
        assert_eq!(ttl("here", None), Ok(Some("1h".into())));
        assert_eq!(ttl("here", Some("5h")), Ok(Some("5h".into())));
        assert_eq!(ttl("there", Some("5h")), Ok(Some("5h".into())));
    }

    #[test]
    fn target_that_is_not_told_from_others_says_why() {
        let why = |app, model| looked_up(app, model, None).unwrap_err();
        assert_eq!(
            why("minio", None),
            "name the `model`: `minio:backup` asks to be backed up in `here`, `there`"
        );
        let unknown = why("minio", Some("elsewhere"));
        assert!(
            unknown.starts_with("`minio:backup` in model `elsewhere` does not ask to be backed up"),
            "{unknown}"
        );
        assert!(
            unknown.contains("`minio:backup` (model `here`), `mlmd:backup` (model `here`)"),
            "{unknown}"
        );
        let nobody = find(&[], &Map::new(), &name("a", None), None).unwrap_err();
        assert!(nobody.to_string().contains("`velero-backups`"), "{nobody}");
    }

    #[test]
    fn target_that_is_wrong_says_its_problems() {
        let why = |app, model| looked_up(app, model, None).unwrap_err();
        assert!(why("mlmd", None).contains("`ttl` `30d` has a unit `d`"));
        assert!(why("shop", None).contains("in different ways"));
        let option = why("minio", Some("there"));
        assert!(option.starts_with("set `ttl` to a duration"), "{option}");
    }
}
