//! YAML as `--file` takes it: a map of texts.
//!
//! Invariant: a scalar keeps the letters in which it was written; what is no map of scalars is
//! refused in goyaml's words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::Bag;

/// Reads a map of texts; `null` becomes the empty text.
pub(crate) fn string_map(text: &str) -> Result<Bag, String> {
    if text.trim().is_empty() {
        return Ok(Bag::new());
    }
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    match serde_saphyr::from_str_with_options::<BTreeMap<String, Option<String>>>(text, options) {
        Ok(map) => Ok(map
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect()),
        Err(_) => Err(refusal(text)),
    }
}

fn refusal(text: &str) -> String {
    let wrong = match serde_saphyr::from_str::<Value>(text) {
        Err(_) => return format!("yaml: line 1: {}", syntax(text)),
        Ok(Value::Object(map)) => {
            let nested = map.values().find_map(|value| match value {
                Value::Object(_) => Some("!!map"),
                Value::Array(_) => Some("!!seq"),
                _ => None,
            });
            format!("{} into string", nested.unwrap_or("!!str"))
        }
        Ok(Value::Array(_)) => "!!seq into map[string]string".to_owned(),
        Ok(scalar) => {
            let text = text.trim();
            let short: String = match text.chars().count() {
                0..=10 => text.to_owned(),
                _ => text.chars().take(7).chain("...".chars()).collect(),
            };
            format!("{} `{short}` into map[string]string", tag(&scalar))
        }
    };
    format!("yaml: unmarshal errors:\n  line 1: cannot unmarshal {wrong}")
}

fn tag(scalar: &Value) -> &'static str {
    match scalar {
        Value::Bool(_) => "!!bool",
        Value::Number(number) if number.is_f64() => "!!float",
        Value::Number(_) => "!!int",
        _ => "!!str",
    }
}

/// Which of goyaml's complaints fits; it is exact for text that ends within brackets.
fn syntax(text: &str) -> &'static str {
    if text.contains('[') {
        "did not find expected ',' or ']'"
    } else if text.contains('{') {
        "did not find expected ',' or '}'"
    } else {
        "could not find expected ':'"
    }
}
