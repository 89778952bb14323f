//! The parameters of an action, read with all their faults.
//!
//! **Invariant:** every fault names its parameter, and nothing is started as long as there is one.

mod names;
mod selector;

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use serde_json::{Map, Value};

pub(super) use self::names::{is_name, label_value, target};
use super::Failure;
use crate::{context::Context, velero::duration};

/// How long an action may take if the user does not say.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);
/// The longest: Juju runs no hook of the unit in the meantime.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(24);

/// What the user gave, and what is wrong with it so far.
#[derive(Debug, Default)]
pub(super) struct Params {
    given: Map<String, Value>,
    faults: Vec<String>,
}

impl Params {
    pub(super) async fn read(ctx: &Context) -> Result<Self, Failure> {
        Ok(Self::of(ctx.tools.action_params().await?))
    }

    pub(super) fn of(given: Map<String, Value>) -> Self {
        Self {
            given,
            faults: Vec::new(),
        }
    }

    /// A text without blanks around it; an empty one is none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.given.get(name)?.as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn says(&self, name: &str) -> bool {
        self.given.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// Notes what is wrong with a parameter: a clause that follows its name.
    pub(super) fn fault(&mut self, name: &str, what: &str) {
        self.faults.push(format!("`{name}` {what}"));
    }

    /// What a function makes of a text.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(name, &what);
                None
            }
        }
    }

    /// What is separated by commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        split(text, ',').map(ToOwned::to_owned).collect()
    }

    /// Namespaces, which Velero lets match by `*`.
    pub(super) fn namespaces(&mut self, name: &str) -> Vec<String> {
        let all = self.list(name);
        let odd = all.iter().filter(|one| !names::is_namespace_pattern(one));
        let odd: Vec<_> = odd.map(|one| shortened(one)).collect();
        if !odd.is_empty() {
            let odd = odd.join("`, `");
            self.fault(
                name,
                &format!("has `{odd}`: give names of namespaces, separated by commas"),
            );
        }
        all
    }

    /// Two parameters that cannot be together.
    pub(super) fn either(&mut self, one: &str, other: &str) {
        if self.text(one).is_some() && self.text(other).is_some() {
            self.fault(
                one,
                &format!("and `{other}` exclude each other: give one of them"),
            );
        }
    }

    /// A selector as Kubernetes writes it.
    pub(super) fn selector(&mut self, name: &str) -> Option<Value> {
        self.parsed(name, selector::parse)
    }

    /// Selectors of which any is enough, with ` or ` between them.
    pub(super) fn or_selectors(&mut self, name: &str) -> Vec<Value> {
        let parse = |text: &str| text.split(" or ").map(selector::parse).collect();
        self.parsed(name, parse).unwrap_or_default()
    }

    /// `from:to` pairs.
    pub(super) fn mapping(&mut self, name: &str) -> BTreeMap<String, String> {
        self.parsed(name, names::mapping).unwrap_or_default()
    }

    pub(super) fn timeout(&mut self) -> Duration {
        self.parsed("timeout", time_limit)
            .unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Everything that is wrong, in the order in which it was found.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Failure::Refused(self.faults.join("; ")))
        }
    }
}

fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    text.split(at)
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// How long an action may take; what is wrong is a clause after the parameter's name.
pub(super) fn time_limit(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let limit = parsed
        .and_then(|limit| Duration::try_from(limit).ok())
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| {
            let text = shortened(text);
            format!("is `{text}`: give a duration such as `90s` or `2h`")
        })?;
    if limit > LONGEST_TIMEOUT {
        let text = shortened(text);
        return Err(format!(
            "is `{text}`: give at most `24h`, since no hook runs in the meantime; what the command \
             has started goes on in Velero"
        ));
    }
    Ok(limit)
}

/// How long a Backup is kept, as Velero reads it; what is wrong is a clause after the parameter's name.
pub(super) fn lifetime(text: &str) -> Result<String, String> {
    // Less than a second is nothing to keep, and none at all is Velero's own.
    if duration::parse(text).is_ok_and(|lifetime| lifetime.as_secs() > 0) {
        return Ok(text.to_owned());
    }
    let text = shortened(text);
    Err(format!(
        "is `{text}`: give hours, minutes and seconds, such as `720h` for 30 days or `1h30m`"
    ))
}

/// Enough of a user's text to recognise it.
pub(super) fn shortened(text: &str) -> String {
    let mut letters = text.chars();
    let head: String = letters.by_ref().take(40).collect();
    if letters.next().is_none() {
        head
    } else {
        format!("{head}...")
    }
}

#[cfg(test)]
mod tests;
