//! `secret-add`, `secret-set` and `secret-remove`.
//!
//! Invariant: a secret is changed only by its owner: an application's by its leader. What is asked for
//! is done when the hook ends well.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::flags::{Flag, Kind, Parsed, flag};
use super::output::quote;
use super::secrets::parse_id;
use super::{Call, Done, Failure, Outcome, parse, reason, silent};
use crate::context::HookContext;
use crate::secret_changes::{Details, SecretChange};
use crate::secrets::{Content, Owner, Secret, address};

const POLICIES: [&str; 7] = [
    "never",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "yearly",
];
/// The most that all values together may be, in base64.
const LARGEST: usize = 1_000_000;

const FLAGS: [Flag; 6] = [
    flag("label", Kind::Text),
    flag("description", Kind::Text),
    flag("owner", Kind::Text),
    flag("rotate", Kind::Text),
    flag("expire", Kind::Text),
    flag("file", Kind::Text),
];

pub(super) fn add(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &FLAGS)?;
    let details = details(context, call, &parsed)?;
    let owner = owner(context, &parsed)?;
    if details.content.is_empty() {
        return Err(Failure::usage("missing secret value or filename"));
    }
    if matches!(owner, Owner::Application(_)) && !context.is_leader() {
        return Err(Failure::run("this unit is not the leader"));
    }
    // Juju takes a number before it looks at the label.
    let mut secret = Secret::new(owner, details.content.clone())
        .map_err(|error| Failure::run(error.to_string()))?;
    context.model.next.name_secret(&mut secret);
    if let Some(label) = &details.label
        && context.owned_secrets().iter().any(|s| s.label == *label)
    {
        let why = format!("secret with label {} already exists", quote(label));
        return Err(Failure::run(why));
    }
    details.describe(&mut secret);
    let stdout = if context.is_juju_3() {
        format!("secret:{}\n", secret.id)
    } else {
        address(&context.model.uuid, &secret.id) + "\n"
    };
    context
        .pending
        .secrets
        .push(SecretChange::Add(Box::new(secret)));
    Ok(Done { stdout, ..silent() })
}

pub(super) fn set(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &FLAGS)?;
    let uri = parsed.take();
    let id = parse_id(&uri.ok_or_else(|| Failure::usage("missing secret URI"))?)?;
    let details = details(context, call, &parsed)?;
    owner(context, &parsed)?;
    require_owned(context, &id)?;
    context.pending.secrets.push(SecretChange::Set(id, details));
    Ok(silent())
}

pub(super) fn remove(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let mut parsed = parse(context, call, &[flag("revision", Kind::Text)])?;
    let uri = parsed.take();
    let id = parse_id(&uri.ok_or_else(|| Failure::usage("missing secret URI"))?)?;
    parsed.finish()?;
    let revision = parsed.get("revision").map(revision).transpose()?;
    require_owned(context, &id)?;
    context
        .pending
        .secrets
        .push(SecretChange::Remove(id, revision));
    Ok(silent())
}

fn revision(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| {
        let quoted = quote(text);
        let why = format!(
            "invalid value {quoted} for option --revision: strconv.ParseInt: \
             parsing {quoted}: invalid syntax"
        );
        Failure::usage(why)
    })
}

/// Refuses a secret that this unit may not change.
pub(super) fn require_owned(context: &HookContext<'_>, id: &str) -> Result<(), Failure> {
    let owned = context.owned_secrets();
    let secret = owned.iter().find(|secret| secret.id == id);
    let missing = || Failure::run(format!("secret {} not found", quote(id)));
    match &secret.ok_or_else(missing)?.owner {
        Owner::Application(_) if !context.is_leader() => {
            Err(Failure::run("this unit is not the leader"))
        }
        _ => Ok(()),
    }
}

fn owner(context: &HookContext<'_>, parsed: &Parsed) -> Result<Owner, Failure> {
    match parsed.get("owner").unwrap_or("application") {
        "application" => Ok(Owner::Application(context.app().to_owned())),
        "unit" => Ok(Owner::Unit(context.unit.clone())),
        other => {
            let why = format!("secret owner {} not valid", quote(other));
            Err(Failure::usage(why))
        }
    }
}

fn details(context: &HookContext<'_>, call: &Call, parsed: &Parsed) -> Result<Details, Failure> {
    let text = |name| {
        parsed
            .get(name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let rotate = text("rotate");
    if let Some(policy) = rotate.as_ref().filter(|p| !POLICIES.contains(&p.as_str())) {
        let why = format!("rotate policy {} not valid", quote(policy));
        return Err(Failure::usage(why));
    }
    let expire = text("expire").map(|text| moment(&text)).transpose()?;
    let mut values = match parsed.get("file").filter(|file| !file.is_empty()) {
        Some(file) => from_file(context, call, file)?,
        None => Content::new(),
    };
    values.extend(arguments(context, call, &parsed.positional)?);
    if values.values().map(String::len).sum::<usize>() > LARGEST {
        let why = format!("secret content exceeding {LARGEST} bytes not valid");
        return Err(Failure::usage(why));
    }
    Ok(Details {
        content: values,
        label: text("label"),
        description: text("description"),
        rotate,
        expire,
    })
}

/// A time, or a time from now on.
fn moment(text: &str) -> Result<String, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.to_string());
    }
    let wrong = || {
        let why = format!("expire time or duration {} not valid", quote(text));
        Failure::usage(why)
    };
    let seconds = duration(text).ok_or_else(wrong)?;
    if seconds < 0.0 {
        let why = format!("negative expire duration {} not valid", quote(text));
        return Err(Failure::usage(why));
    }
    let span = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    let time = Timestamp::now().checked_add(span).map_err(|_| wrong())?;
    Ok(time.to_string())
}

/// A duration as Go reads it: `1h30m`, `-1.5s`; in seconds.
fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let each = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * each;
        rest = after;
    }
    Some(sign * seconds)
}

fn from_file(context: &HookContext<'_>, call: &Call, file: &str) -> Result<Content, Failure> {
    let path = context.on_host(&call.directory, file);
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("open {file}: {}", reason(&error))))?;
    let map: BTreeMap<String, String> = crate::yaml::string_map(&text)
        .map_err(Failure::usage)?
        .into_iter()
        .collect();
    map.iter()
        .map(|(key, value)| value_of(context, call, key, value))
        .collect()
}

fn arguments(
    context: &HookContext<'_>,
    call: &Call,
    arguments: &[String],
) -> Result<Content, Failure> {
    let one = |argument: &String| {
        let wrong = || Failure::usage(format!("key value {} not valid", quote(argument)));
        let (key, value) = argument.split_once('=').ok_or_else(wrong)?;
        if value.is_empty() || key.is_empty() {
            return Err(wrong());
        }
        value_of(context, call, key, value)
    };
    arguments.iter().map(one).collect()
}

/// A key that may say how its value is given, and the value in base64.
fn value_of(
    context: &HookContext<'_>,
    call: &Call,
    key: &str,
    value: &str,
) -> Result<(String, String), Failure> {
    let (name, form) = key.split_once('#').unwrap_or((key, ""));
    if !is_key(name) {
        return Err(Failure::usage(format!("key {} not valid", quote(name))));
    }
    let value = match form {
        "base64" => value.to_owned(),
        "file" => {
            let read = fs::read(context.on_host(&call.directory, value));
            let bytes = read.map_err(|error| {
                let (key, why) = (quote(name), reason(&error));
                let why = format!("reading content for secret key {key}: open {value}: {why}");
                Failure::usage(why)
            })?;
            STANDARD.encode(bytes)
        }
        _ => STANDARD.encode(value),
    };
    Ok((name.to_owned(), value))
}

/// At least three letters and digits, a letter first, single hyphens between them.
fn is_key(name: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let count = name.chars().filter(|c| known(*c)).count();
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(known)
        && name.chars().all(|c| known(c) || c == '-')
        && !name.contains("--")
        && count >= 3
}
