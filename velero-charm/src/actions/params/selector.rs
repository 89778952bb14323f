//! Label selectors as people write them for Kubernetes.

use serde_json::{Value, json};

use super::{shortened, split};

/// A `LabelSelector`: `a=b, c!=d, e in (f, g), h, !i`.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let requirements: Result<Vec<_>, String> =
        requirements(text).into_iter().map(requirement).collect();
    let requirements = requirements?;
    if requirements.is_empty() {
        return Err("has an empty selector: give one such as `app=shop`".into());
    }
    Ok(json!({"matchExpressions": requirements}))
}

/// At the commas that are not inside of parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn requirement(text: &str) -> Result<Value, String> {
    let fault = || {
        let text = shortened(text);
        format!(
            "has `{text}`: give requirements such as `app=shop`, `app!=shop`, `app in (shop, bank)`, `app` or `!app`"
        )
    };
    let (key, operator, values) = split_requirement(text).ok_or_else(fault)?;
    if !is_key(key) || !values.iter().all(|value| is_value(value)) {
        return Err(fault());
    }
    Ok(if values.is_empty() {
        json!({"key": key, "operator": operator})
    } else {
        json!({"key": key, "operator": operator, "values": values})
    })
}

fn split_requirement(text: &str) -> Option<(&str, &'static str, Vec<&str>)> {
    if let Some(key) = text.strip_prefix('!') {
        return Some((key.trim(), "DoesNotExist", Vec::new()));
    }
    if let Some((before, list)) = text.split_once('(') {
        let values: Vec<_> = split(list.trim_end().strip_suffix(')')?, ',').collect();
        let (key, word) = before.trim().rsplit_once(char::is_whitespace)?;
        let operator = match word {
            "in" => "In",
            "notin" => "NotIn",
            _ => return None,
        };
        return (!values.is_empty()).then_some((key.trim(), operator, values));
    }
    for (mark, operator) in [("!=", "NotIn"), ("==", "In"), ("=", "In")] {
        if let Some((key, value)) = text.split_once(mark) {
            return Some((key.trim(), operator, vec![value.trim()]));
        }
    }
    Some((text, "Exists", Vec::new()))
}

/// An optional prefix and a name.
fn is_key(text: &str) -> bool {
    let name = match text.split_once('/') {
        Some((prefix, name)) if is_value(prefix) && !prefix.is_empty() => name,
        Some(_) => return false,
        None => text,
    };
    !name.is_empty() && is_value(name)
}

fn is_value(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 253
        && text
            .chars()
            .all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
        && (text.is_empty() || (text.starts_with(plain) && text.ends_with(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selector_says_what_kubernetes_lets_it_say() {
        let selector =
            parse("app.kubernetes.io/name = minio, tier!=web, zone in (a, b), kept, !gone, x==y")
                .unwrap();
        assert_eq!(
            selector["matchExpressions"],
            json!([
                {"key": "app.kubernetes.io/name", "operator": "In", "values": ["minio"]},
                {"key": "tier", "operator": "NotIn", "values": ["web"]},
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "kept", "operator": "Exists"},
                {"key": "gone", "operator": "DoesNotExist"},
                {"key": "x", "operator": "In", "values": ["y"]},
            ])
        );
    }

    #[test]
    fn selector_that_says_nothing_clear_is_refused() {
        for text in [
            ",",
            "=a",
            "a=b=c",
            "a in b",
            "a in ()",
            "a b",
            "a=b;c",
            "a within (b)",
            "/x=y",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
