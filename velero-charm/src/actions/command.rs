//! The user's words for the Velero CLI.
//!
//! **Invariant:** what passes is a verb of the table and flags that it allows, and is handed on in a
//! form of our own: each flag as `--name=value`, in one word. So the CLI cannot understand a word
//! differently than it was understood here.

use super::{
    Failure,
    allowed::{self, Flag, KINDS, Rule, Takes, Verb},
};

/// Longer commands are not for a person; the kernel takes 128 KiB as one argument.
const LONGEST: usize = 64 * 1024;
/// How many faults are reported at once.
const TOLD: usize = 10;

/// A command that the CLI may be started with.
#[derive(Debug)]
pub(crate) struct Command {
    verb: &'static Verb,
    names: Vec<String>,
    flags: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    flag: &'static Flag,
    value: Option<String>,
}

impl Command {
    /// Splits a command as a shell does, and refuses what is not for an action.
    pub(crate) fn parse(command: &str) -> Result<Self, Failure> {
        if command.len() > LONGEST {
            return Err(refused("`command` is longer than 64 KiB: shorten it"));
        }
        if command.contains('\0') {
            return Err(refused("`command` has a NUL character in it: remove it"));
        }
        let mut words = shell_words::split(command)
            .map_err(|_| refused("`command` has an opening quote without a closing one"))?;
        if words.first().is_some_and(|word| word == "velero") {
            words.remove(0);
        }
        let mut words = words.into_iter();
        let verb = verb(words.next(), words.next())?;
        let mut faults = Vec::new();
        if let Rule::Refused(why) = verb.rule {
            faults.push(format!(
                "`{} {}` is not allowed: {why}",
                verb.kind, verb.name
            ));
            return Err(all(&faults));
        }
        let mut command = Self {
            verb,
            names: Vec::new(),
            flags: Vec::new(),
        };
        while let Some(word) = words.next() {
            if let Err(fault) = command.take(word, &mut words)
                && !faults.contains(&fault)
            {
                faults.push(fault);
            }
        }
        if verb.name == "delete" && command.says("confirm") != Some(true) && !command.is_help() {
            faults.push(
                "`delete` asks for confirmation, which an action cannot give: add `--confirm`"
                    .into(),
            );
        }
        if faults.is_empty() {
            Ok(command)
        } else {
            Err(all(&faults))
        }
    }

    /// The words for the CLI.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let verb = [self.verb.kind, self.verb.name].map(ToOwned::to_owned);
        let flags = self.flags.iter().map(|given| match &given.value {
            Some(value) => format!("--{}={value}", given.flag.long),
            None => format!("--{}", given.flag.long),
        });
        verb.into_iter()
            .chain(self.names.iter().cloned())
            .chain(flags)
            .collect()
    }

    pub(super) fn kind(&self) -> &'static str {
        self.verb.kind
    }

    /// It makes an object, and does not only show what it would be.
    pub(super) fn creates(&self, kind: &str) -> bool {
        self.verb.kind == kind
            && self.verb.name == "create"
            && self.value("output").is_none_or(str::is_empty)
            && !self.is_help()
    }

    /// The one Backup that it describes for people.
    pub(super) fn described_backup(&self) -> Option<&str> {
        let describes = self.verb.kind == "backup"
            && self.verb.name == "describe"
            && self.value("output") != Some("json")
            && !self.is_help();
        match &self.names[..] {
            [name] if describes => Some(name),
            _ => None,
        }
    }

    /// What a flag says that is true or false; nothing if it is not there or is neither.
    pub(super) fn says(&self, long: &str) -> Option<bool> {
        let given = self.last(long)?;
        match given.value.as_deref() {
            // As Go reads them.
            None | Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Some(true),
            Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Some(false),
            Some(_) => None,
        }
    }

    /// The value that counts: each flag overrides what was given of it before.
    pub(super) fn value(&self, long: &str) -> Option<&str> {
        self.last(long)?.value.as_deref()
    }

    fn last(&self, long: &str) -> Option<&Given> {
        self.flags
            .iter()
            .rev()
            .find(|given| given.flag.long == long)
    }

    fn is_help(&self) -> bool {
        self.says("help") == Some(true)
    }

    /// Takes a word as the CLI's flag library does; a flag may need the word that comes next.
    fn take(
        &mut self,
        word: String,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        match word.strip_prefix("--") {
            Some("") => Err("`--` is not allowed: leave it out".into()),
            Some(long) => self.take_long(long, rest),
            None => match word.strip_prefix('-') {
                None | Some("") => {
                    self.names.push(word);
                    Ok(())
                }
                Some(cluster) => self.take_cluster(cluster, rest),
            },
        }
    }

    fn take_long(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let flag = self.verb.long(name);
        self.give(flag, &format!("--{name}"), value, rest)
    }

    /// One-letter flags in one word; what follows one that takes a value is that value.
    fn take_cluster(
        &mut self,
        cluster: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let mut letters = cluster.chars();
        while let Some(letter) = letters.next() {
            let flag = self.verb.short(letter);
            let after = letters.as_str();
            let value = match (after.strip_prefix('='), flag.map(|flag| flag.takes)) {
                (Some(value), _) => Some(value),
                (None, Some(Takes::Value)) if !after.is_empty() => Some(after),
                (None, _) => None,
            };
            let ends = value.is_some();
            self.give(
                flag,
                &format!("-{letter}"),
                value.map(ToOwned::to_owned),
                rest,
            )?;
            if ends {
                break;
            }
        }
        Ok(())
    }

    fn give(
        &mut self,
        flag: Option<&'static Flag>,
        shown: &str,
        value: Option<String>,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let Some(flag) = flag else {
            return Err(format!(
                "`{shown}` is not a flag that `{} {}` may have: leave it out",
                self.verb.kind, self.verb.name
            ));
        };
        let value = match (flag.takes, value) {
            (Takes::Value, None) => match rest.next() {
                Some(next) => Some(next),
                None => return Err(format!("`{shown}` needs a value: give it one")),
            },
            (_, value) => value,
        };
        if let Rule::Refused(why) = flag.rule {
            return Err(format!("`{shown}` is not allowed: {why}"));
        }
        self.flags.push(Given { flag, value });
        Ok(())
    }
}

/// Kind and verb are the first two words, whatever comes later.
fn verb(kind: Option<String>, verb: Option<String>) -> Result<&'static Verb, Failure> {
    let Some(kind) = kind else {
        return Err(refused(
            "`command` is empty: give a Velero command such as `backup get`",
        ));
    };
    if !KINDS.contains(&kind.as_str()) {
        let kinds = KINDS.join("`, `");
        return Err(refused(format!(
            "`{kind}` is not for this action: use `{kinds}`"
        )));
    }
    let name = verb.unwrap_or_default();
    allowed::find(&kind, &name).ok_or_else(|| {
        let passing = allowed::of(&kind).filter(|verb| verb.rule == Rule::Passes);
        let verbs: Vec<_> = passing.map(|verb| verb.name).collect();
        let verbs = verbs.join("`, `");
        refused(if name.is_empty() {
            format!("`{kind}` alone does nothing: follow it with `{verbs}`")
        } else {
            format!("`{kind} {name}` is not for this action: `{kind}` is followed by `{verbs}`")
        })
    })
}

fn all(faults: &[String]) -> Failure {
    let mut text = faults
        .iter()
        .take(TOLD)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("; ");
    if faults.len() > TOLD {
        text = format!("{text}; and {} more", faults.len() - TOLD);
    }
    refused(text)
}

fn refused(text: impl Into<String>) -> Failure {
    Failure::Refused(text.into())
}

#[cfg(test)]
mod tests;
