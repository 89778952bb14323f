//! Command lines, read as Go's `gnuflag` reads them.
//!
//! Invariant: what is accepted here, and every refusal's text, is what Juju's tools accept and say.

use std::collections::BTreeMap;

use super::Failure;
use super::output::quote;

/// A flag that a tool knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// The name that its value is found under.
    pub name: &'static str,
    /// Another spelling.
    pub short: Option<&'static str>,
    /// What its value may be.
    pub kind: Kind,
}

/// What a flag's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None, or a boolean after `=`.
    Bool,
    /// Any text.
    Text,
    /// One of these output formats.
    Format(&'static [&'static str]),
    /// A relation that the unit knows.
    Relation,
}

/// Says what is wrong with a relation's id.
pub(crate) type Check<'a> = dyn Fn(&str) -> Result<(), String> + 'a;

/// What was on a command line.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, String>,
    /// What was not a flag.
    pub positional: Vec<String>,
}

/// A flag with a long name only.
pub(crate) const fn flag(name: &'static str, kind: Kind) -> Flag {
    Flag {
        name,
        short: None,
        kind,
    }
}

/// A flag with two names.
pub(crate) const fn flag2(name: &'static str, short: &'static str, kind: Kind) -> Flag {
    Flag {
        name,
        short: Some(short),
        kind,
    }
}

/// The formats of most tools.
pub(crate) const SMART: Kind = Kind::Format(&["json", "smart", "yaml"]);
/// The formats of tools that have no smart one.
pub(crate) const YAML: Kind = Kind::Format(&["json", "yaml"]);
/// `-o`.
pub(crate) const OUTPUT: Flag = flag2("output", "o", Kind::Text);
/// `-r`.
pub(crate) const RELATION: Flag = flag2("relation", "r", Kind::Relation);

impl Parsed {
    /// The flag's last value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a boolean flag is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Takes the next positional argument.
    pub(crate) fn take(&mut self) -> Option<String> {
        if self.positional.is_empty() {
            return None;
        }
        Some(self.positional.remove(0))
    }

    /// Refuses what is left.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.positional.is_empty() {
            return Ok(());
        }
        let quoted: Vec<_> = self.positional.iter().map(|arg| quote(arg)).collect();
        Err(Failure::usage(format!(
            "unrecognized args: [{}]",
            quoted.join(" ")
        )))
    }
}

/// Reads a command line; `relation` says what is wrong with a relation's id.
pub(crate) fn parse(
    args: &[String],
    flags: &[Flag],
    relation: &Check<'_>,
) -> Result<Parsed, Failure> {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            parsed.positional.extend(rest.cloned());
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let flag = find(flags, name)?;
            let value = match (flag.kind, value) {
                (_, Some(value)) => value.to_owned(),
                (Kind::Bool, None) => "true".to_owned(),
                (_, None) => next_value(&mut rest, name)?,
            };
            set(&mut parsed, flag, name, &value, relation)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            cluster(arg, &mut rest, flags, &mut parsed, relation)?;
        } else {
            parsed.positional.push(arg.clone());
        }
    }
    Ok(parsed)
}

/// One dash: flags of one letter each; the first that takes a value takes what follows it.
fn cluster(
    arg: &str,
    rest: &mut std::slice::Iter<'_, String>,
    flags: &[Flag],
    parsed: &mut Parsed,
    relation: &Check<'_>,
) -> Result<(), Failure> {
    let mut letters = arg.chars().skip(1);
    while let Some(letter) = letters.next() {
        let name = letter.to_string();
        let flag = find(flags, &name)?;
        if flag.kind == Kind::Bool {
            set(parsed, flag, &name, "true", relation)?;
            continue;
        }
        let attached: String = letters.by_ref().collect();
        let value = if attached.is_empty() {
            next_value(rest, &name)?
        } else {
            attached
        };
        set(parsed, flag, &name, &value, relation)?;
    }
    Ok(())
}

fn find(flags: &[Flag], name: &str) -> Result<Flag, Failure> {
    let known = flags
        .iter()
        .find(|flag| flag.name == name || flag.short == Some(name));
    match known {
        Some(flag) => Ok(*flag),
        None if name == "help" || name == "h" => Err(Failure::Help),
        None => Err(Failure::usage(format!(
            "option provided but not defined: {}",
            dashed(name)
        ))),
    }
}

fn next_value(rest: &mut std::slice::Iter<'_, String>, name: &str) -> Result<String, Failure> {
    let missing = || Failure::usage(format!("option needs an argument: {}", dashed(name)));
    rest.next().cloned().ok_or_else(missing)
}

fn set(
    parsed: &mut Parsed,
    flag: Flag,
    name: &str,
    value: &str,
    relation: &Check<'_>,
) -> Result<(), Failure> {
    let checked = match flag.kind {
        Kind::Text => Ok(value.to_owned()),
        Kind::Bool => parse_bool(value).map(|on| on.to_string()),
        Kind::Relation => relation(value).map(|()| value.to_owned()),
        Kind::Format(known) if known.contains(&value) => Ok(value.to_owned()),
        Kind::Format(_) => Err(format!("unknown format {}", quote(value))),
    };
    let checked = checked.map_err(|why| {
        let option = dashed(name);
        Failure::usage(format!(
            "invalid value {} for option {option}: {why}",
            quote(value)
        ))
    })?;
    parsed.values.insert(flag.name, checked);
    Ok(())
}

fn parse_bool(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quote(value)
        )),
    }
}

fn dashed(name: &str) -> String {
    if name.chars().count() > 1 {
        format!("--{name}")
    } else {
        format!("-{name}")
    }
}
