//! A charm of the observability stack at the other end of a relation, and what is said to it.

use std::collections::BTreeMap;

use tracing::{debug, warn};

use crate::juju::{JujuError, Leadership, Tools, Unit};

/// A data bag.
type Bag = BTreeMap<String, String>;

/// Where one of its errors comes back.
const EVENT: &str = "event";

/// One relation.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) id: String,
    remote_app: Option<String>,
    /// What it has said.
    theirs: Bag,
    /// What our application has said, if this unit may read that.
    ours: Option<Bag>,
    /// What this unit has said, where that is of use.
    unit: Option<Bag>,
}

/// Where such relations are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    pub(super) name: &'static str,
    pub(super) units: Units,
}

/// Whether each unit has something of its own to say at an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Units {
    Speak,
    AreSilent,
}

/// What is yet to be written into one of our data bags. An empty text takes a field away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    relation: String,
    speaker: Speaker,
    fields: BTreeMap<&'static str, String>,
}

/// Whose data bag it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaker {
    /// The leader speaks for it.
    Application,
    Unit,
}

impl Observer {
    /// The application at the other end, as the user knows it.
    pub(crate) fn name(&self) -> &str {
        self.remote_app.as_deref().unwrap_or(&self.id)
    }

    /// What it answered to what we have said.
    pub(super) fn event(&self) -> Option<&str> {
        self.theirs.get(EVENT).map(String::as_str)
    }

    /// What this unit has said, and Juju of it.
    pub(super) fn of_unit(&self, field: &str) -> Option<&str> {
        self.unit.as_ref()?.get(field).map(String::as_str)
    }

    /// What our application has yet to say for this to be said; `None` if all of it is.
    pub(super) fn unsaid(&self, fields: BTreeMap<&'static str, String>) -> Option<Words> {
        self.words(Speaker::Application, self.ours.as_ref()?, fields)
    }

    /// The same of this unit.
    pub(super) fn unsaid_by_unit(&self, fields: BTreeMap<&'static str, String>) -> Option<Words> {
        self.words(Speaker::Unit, self.unit.as_ref()?, fields)
    }

    fn words(
        &self,
        speaker: Speaker,
        said: &Bag,
        mut fields: BTreeMap<&'static str, String>,
    ) -> Option<Words> {
        fields.retain(|key, value| said.get(*key) != Some(value));
        (!fields.is_empty()).then(|| Words {
            relation: self.id.clone(),
            speaker,
            fields,
        })
    }
}

impl Words {
    #[cfg(test)]
    pub(super) fn fields(&self) -> &BTreeMap<&'static str, String> {
        &self.fields
    }

    /// Writes them.
    pub(crate) async fn say(&self, tools: &Tools) -> Result<(), JujuError> {
        let Self {
            relation,
            speaker,
            fields,
        } = self;
        let keys: Vec<_> = fields.keys().copied().collect();
        debug!("Telling `{relation}` of {}.", keys.join(", "));
        match speaker {
            Speaker::Application => tools.set_data_bag(relation, fields).await,
            Speaker::Unit => tools.set_unit_bag(relation, fields).await,
        }
    }
}

/// Reads the relations of an endpoint. One that is over is not there, even if Juju still lists it.
pub(crate) async fn read(
    tools: &Tools,
    unit: &Unit,
    leadership: Leadership,
    endpoint: Endpoint,
) -> Result<Vec<Observer>, JujuError> {
    let mut found = Vec::new();
    for id in tools.relation_ids(endpoint.name).await? {
        if unit.broken_relation.as_ref() == Some(&id) {
            continue;
        }
        match read_one(tools, unit, leadership, id, endpoint.units).await {
            Ok(observer) => found.push(observer),
            Err(error) if error.is_relation_gone() => warn!("{error}; it counts as removed."),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn read_one(
    tools: &Tools,
    unit: &Unit,
    leadership: Leadership,
    id: String,
    units: Units,
) -> Result<Observer, JujuError> {
    let remote_app = tools.remote_app(&id).await?.filter(|app| !app.is_empty());
    let (theirs, ours) = match (leadership, &remote_app) {
        (Leadership::Leader, app) => {
            let theirs = match app {
                Some(app) => tools.data_bag(&id, app).await?,
                None => Bag::new(),
            };
            (theirs, Some(tools.data_bag(&id, &unit.application).await?))
        }
        (Leadership::Follower, _) => (Bag::new(), None),
    };
    let own = match units {
        Units::Speak => Some(tools.unit_bag(&id, &unit.name).await?),
        Units::AreSilent => None,
    };
    Ok(Observer {
        id,
        remote_app,
        theirs,
        ours,
        unit: own,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::relations) fn bag(fields: &[(&str, &str)]) -> Bag {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        fields.collect()
    }

    pub(in crate::relations) fn observer(
        theirs: &[(&str, &str)],
        ours: &[(&str, &str)],
    ) -> Observer {
        Observer {
            id: "watch:7".into(),
            remote_app: Some("watcher".into()),
            theirs: bag(theirs),
            ours: Some(bag(ours)),
            unit: Some(bag(&[("ingress-address", "10.1.0.7")])),
        }
    }

    #[test]
    fn words_that_are_said_are_not_said_again() {
        let observer = observer(&[], &[("one", "1"), ("two", "2")]);
        let unsaid = |value: &str| observer.unsaid(BTreeMap::from([("one", value.to_owned())]));

        assert_eq!(unsaid("1"), None);
        let words = unsaid("new").unwrap();
        assert_eq!(words.fields, BTreeMap::from([("one", "new".to_owned())]));
    }

    #[test]
    fn unit_that_does_not_lead_says_nothing_for_its_application() {
        let follower = Observer {
            ours: None,
            ..observer(&[], &[])
        };
        let fields = || BTreeMap::from([("one", "1".to_owned())]);

        assert_eq!(follower.unsaid(fields()), None);
        assert!(follower.unsaid_by_unit(fields()).is_some());
    }
}
