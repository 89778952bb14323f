//! What `juju status` shows for a unit: what to do first, then why.

use std::fmt;

use serde::Deserialize;

use super::text;

/// In bytes. The log has what a longer message leaves out.
const LONGEST: usize = 500;

/// A cause that is cut keeps this much, in bytes.
const SHORTEST_CAUSE: usize = 60;

/// The levels that a charm may set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    Active,
    Waiting,
    Maintenance,
    Blocked,
}

/// A status to be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Status {
    pub(crate) level: Level,
    /// The most important first.
    pub(crate) clauses: Vec<Clause>,
    /// How many other findings there are, which are counted and not shown.
    pub(crate) others: usize,
}

/// One thing that is wrong, awaited or under way. Either part may be empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Clause {
    /// What to do, or what is awaited. It is never cut.
    pub(crate) advice: String,
    /// Why.
    pub(crate) cause: String,
}

/// A status as Juju has it, no matter who has set it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub(crate) struct Shown {
    #[serde(rename = "status")]
    pub(super) level: String,
    #[serde(default)]
    pub(crate) message: String,
}

impl Status {
    pub(crate) fn new(level: Level, clause: Clause) -> Self {
        Self {
            level,
            clauses: vec![clause],
            others: 0,
        }
    }

    /// As Juju gets it: one line, without secrets. Causes are cut to fit; if that is not enough, the last
    /// clauses are counted and not shown.
    pub(super) fn shown(&self, redact: impl Fn(&str) -> String) -> Shown {
        let line = |text: &str| text::one_line(&redact(text));
        let clauses = self.clauses.iter();
        let clauses = clauses.map(|clause| Clause::new(line(&clause.advice), line(&clause.cause)));
        Shown {
            level: self.level.to_string(),
            message: fit(&by_advice(clauses), self.others),
        }
    }
}

/// Each advice once, with all that it is for.
fn by_advice(clauses: impl Iterator<Item = Clause>) -> Vec<Clause> {
    let mut together: Vec<Clause> = Vec::new();
    for clause in clauses {
        let mut said = together.iter_mut();
        match said.find(|said| !said.advice.is_empty() && said.advice == clause.advice) {
            Some(said) if said.cause.is_empty() => said.cause = clause.cause,
            Some(_) if clause.cause.is_empty() => {}
            Some(said) => said.cause = format!("{}, {}", said.cause, clause.cause),
            None => together.push(clause),
        }
    }
    together
}

fn fit(clauses: &[Clause], others: usize) -> String {
    let joined = |longest| {
        let clauses: Vec<_> = clauses.iter().map(|clause| clause.cut(longest)).collect();
        format!("{}{}", clauses.join("; "), more(others))
    };
    let mut lengths = (SHORTEST_CAUSE..=LONGEST).rev();
    if let Some(text) =
        lengths.find_map(|longest| Some(joined(longest)).filter(|text| text.len() <= LONGEST))
    {
        return text;
    }
    match clauses {
        [] | [_] => text::cut(&joined(SHORTEST_CAUSE), LONGEST).into_owned(),
        [first @ .., _] => fit(first, others + 1),
    }
}

/// What stands behind one of several things that is shown for all.
pub(crate) fn more(others: usize) -> String {
    match others {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    }
}

impl Clause {
    pub(crate) fn new(advice: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            advice: advice.into(),
            cause: cause.into(),
        }
    }

    /// Nothing is known that can be done about it.
    pub(crate) fn of_cause(cause: impl Into<String>) -> Self {
        Self::new("", cause)
    }

    /// There is nothing more to say.
    pub(crate) fn of_advice(advice: impl Into<String>) -> Self {
        Self::new(advice, "")
    }

    /// Of this subject, which the cause does not name.
    pub(crate) fn prefix(self, subject: &str) -> Self {
        Self {
            cause: format!("{subject}: {}", self.cause),
            ..self
        }
    }

    /// With a cause of at most so many bytes.
    fn cut(&self, longest: usize) -> String {
        let cause = text::cut(&self.cause, longest);
        match (self.advice.as_str(), cause.as_ref()) {
            ("", cause) => cause.to_owned(),
            (advice, "") => advice.to_owned(),
            (advice, cause) => format!("{advice}: {cause}"),
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cut(usize::MAX))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Maintenance => "maintenance",
            Self::Blocked => "blocked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(clauses: &[Clause], others: usize) -> String {
        let status = Status {
            level: Level::Blocked,
            clauses: clauses.to_vec(),
            others,
        };
        status
            .shown(|text| text.replace("canary-4711", "***"))
            .message
    }

    #[test]
    fn clause_says_what_to_do_first() {
        assert_eq!(
            Clause::new("do this", "it is so").to_string(),
            "do this: it is so"
        );
        assert_eq!(Clause::of_cause("it is so").to_string(), "it is so");
        assert_eq!(Clause::of_advice("do this").to_string(), "do this");
    }

    #[test]
    fn advice_is_given_once_for_all_that_it_is_for() {
        let clauses = [
            Clause::new("set the keys in `it`", "`access-key` is blank"),
            Clause::new("set `bucket` in `it`", "`bucket` is missing"),
            Clause::new("set the keys in `it`", "`secret-key` is blank"),
            Clause::of_cause("one"),
            Clause::of_cause("two"),
        ];
        assert_eq!(
            message(&clauses, 0),
            "set the keys in `it`: `access-key` is blank, `secret-key` is blank; set `bucket` in `it`: `bucket` is \
             missing; one; two"
        );
    }

    #[test]
    fn cause_is_cut_in_its_middle_and_advice_never() {
        let advice = "do this ".repeat(20);
        let cause = format!("it began\n{} and ended", "ä".repeat(LONGEST));
        let shown = message(&[Clause::new(&advice, cause)], 2);

        assert!(
            shown.starts_with(&format!("{}: it began ä", advice.trim())),
            "{shown}"
        );
        assert!(shown.ends_with("ä and ended (and 2 more)"), "{shown}");
        assert!(shown.contains(" … "), "{shown}");
        assert!(
            (LONGEST - 4..=LONGEST).contains(&shown.len()),
            "{}",
            shown.len()
        );
    }

    #[test]
    fn long_causes_are_cut_before_short_ones() {
        let short = Clause::new("do this", "x".repeat(SHORTEST_CAUSE + 1));
        let long = Clause::new("do that", "y".repeat(LONGEST));
        let shown = message(&[short.clone(), long], 0);

        assert!(
            shown.starts_with(&format!("{short}; do that: y")),
            "{shown}"
        );
    }

    #[test]
    fn clause_without_room_is_counted() {
        let advice = |number: u32| format!("{number} {}", "do ".repeat(60).trim());
        let clauses = (1..=5).map(|number| Clause::new(advice(number), "it is so"));

        assert_eq!(
            message(&clauses.collect::<Vec<_>>(), 1),
            format!(
                "{}: it is so; {}: it is so (and 4 more)",
                advice(1),
                advice(2)
            )
        );
    }

    #[test]
    fn secret_is_redacted_before_a_cause_is_cut() {
        // Cut in the middle of a key, half of it would be left.
        for before in 200..300 {
            let cause = format!("{}canary-4711{}", "x".repeat(before), "y".repeat(LONGEST));
            let shown = message(&[Clause::of_cause(cause)], 0);
            assert!(!shown.contains("can") && !shown.contains("711"), "{shown}");
        }
    }
}
