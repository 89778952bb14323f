//! Options that are text: what each may be, and what it becomes.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::table::Text;
use crate::cluster::quantity::Quantity;

/// Memory or processors.
pub(super) const QUANTITY: Text = Text {
    shape: "a quantity such as `500m` or `1Gi`",
    read: |text| match Quantity::parse(text) {
        Some(quantity) if quantity > Quantity::ZERO => Ok(json!(text)),
        Some(_) => Err("is not more than zero".into()),
        None => Err("is no quantity".into()),
    },
};

/// As Go writes it.
pub(super) const DURATION: Text = Text {
    shape: "a duration in hours, minutes and seconds, such as `720h`",
    read: |text| {
        let is_go = text
            .chars()
            .all(|c| c.is_ascii_digit() || ".hms".contains(c));
        match text.parse::<SignedDuration>() {
            Ok(duration) if is_go && duration.is_positive() => Ok(json!(text)),
            _ => Err("is no such duration".into()),
        }
    },
};

/// The name of an object.
pub(super) const NAME: Text = Text {
    shape: "the name of one that is there",
    read: |text| named(text).map(|name| json!(name)),
};

/// The name of a Secret, as a pod refers to it.
pub(super) const PULL_SECRET: Text = Text {
    shape: "the name of a Secret in the model's namespace",
    read: |text| named(text).map(|name| json!([{"name": name}])),
};

/// A folder of the node.
pub(super) const FOLDER: Text = Text {
    shape: "a folder such as `/var/lib/k0s/kubelet`",
    read: |text| {
        let folder = text.trim_end_matches('/');
        let mut steps = folder.split('/');
        let is_absolute = steps.next() == Some("") && !folder.is_empty();
        if is_absolute && steps.all(|step| !["", ".", ".."].contains(&step)) {
            Ok(json!(folder))
        } else {
            Err("is no absolute path of a folder".into())
        }
    },
};

/// Labels of nodes.
pub(super) const LABELS: Text = Text {
    shape: "labels such as `disk=ssd,zone=a`",
    read: |text| {
        let mut labels = Map::new();
        for label in parts(text) {
            let (key, value) = label
                .split_once('=')
                .ok_or_else(|| format!("has no `=` in `{label}`"))?;
            if !is_key(key) || !is_value(value) {
                return Err(format!("has `{label}`, which is no label"));
            }
            if labels.insert(key.to_owned(), json!(value)).is_some() {
                return Err(format!("has `{key}` twice"));
            }
        }
        Ok(labels.into())
    },
};

/// Taints of nodes that do not matter, as `kubectl taint` writes them.
pub(super) const TOLERATIONS: Text = Text {
    shape: "taints such as `dedicated=backup:NoSchedule,gpu`, or to `*` for all",
    read: |text| {
        parts(text)
            .map(toleration)
            .collect::<Result<Vec<_>, _>>()
            .map(Value::from)
    },
};

fn toleration(taint: &str) -> Result<Value, String> {
    if taint == "*" {
        return Ok(json!({"operator": "Exists"}));
    }
    let (label, effect) = match taint.split_once(':') {
        Some((label, effect)) => (label, Some(effect)),
        None => (taint, None),
    };
    let (key, value) = match label.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (label, None),
    };
    let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    if !is_key(key)
        || !value.is_none_or(is_value)
        || !effect.is_none_or(|one| effects.contains(&one))
    {
        return Err(format!("has `{taint}`, which is no taint"));
    }
    let mut toleration = match value {
        Some(value) => json!({"key": key, "operator": "Equal", "value": value}),
        None => json!({"key": key, "operator": "Exists"}),
    };
    if let Some(effect) = effect {
        toleration["effect"] = json!(effect);
    }
    Ok(toleration)
}

pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

fn named(text: &str) -> Result<&str, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = text.len() <= 253
        && text.chars().all(is_inner)
        && text.starts_with(is_end)
        && text.ends_with(is_end);
    is_name
        .then_some(text)
        .ok_or_else(|| "is no name that Kubernetes knows".into())
}

/// The key of a label or taint, with the name of a domain before it or without.
pub(super) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => named(domain).is_ok() && !name.is_empty() && is_value(name),
        None => !text.is_empty() && is_value(text),
    }
}

pub(super) fn is_value(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || (text.len() <= 63
            && text.chars().all(|c| is_end(c) || "-_.".contains(c))
            && text.starts_with(is_end)
            && text.ends_with(is_end))
}
