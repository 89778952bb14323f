//! Values as Juju's tools print them.
//!
//! Invariant: the bytes are those of Go's `json.Marshal`, of goyaml, or of Juju's smart format.

use std::fmt::Write;

use serde_json::Value;

/// Something to print. Maps keep the order in which they were made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number as it comes over the wire.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A map.
    Map(Vec<(String, Self)>),
}

impl Out {
    /// Text.
    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    /// A list of texts.
    pub(crate) fn texts<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::List(values.into_iter().map(Self::text).collect())
    }

    /// A map, in the order given.
    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// What a JSON value becomes on its way over the wire: each number a float.
    pub(crate) fn wire(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(on) => Self::Bool(*on),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or_default()),
            Value::String(text) => Self::text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::wire).collect()),
            Value::Object(map) => Self::map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Self::wire(value))),
            ),
        }
    }

    /// This value in one of the three formats.
    pub(crate) fn format(&self, format: &str) -> String {
        match format {
            "json" => {
                let mut out = String::new();
                json(self, &mut out);
                out + "\n"
            }
            "yaml" => self.yaml(),
            _ => self.smart(),
        }
    }

    fn smart(&self) -> String {
        let text = match self {
            Self::Null => return String::new(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Text(text) => text.clone(),
            Self::List(items) if items.iter().all(|item| matches!(item, Self::Text(_))) => {
                let lines: Vec<_> = items.iter().map(plain).collect();
                lines.join("\n")
            }
            _ => return self.yaml(),
        };
        if text.is_empty() { text } else { text + "\n" }
    }

    fn yaml(&self) -> String {
        let mut out = String::new();
        yaml(self, 0, &mut out);
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out
    }
}

fn plain(item: &Out) -> &str {
    if let Out::Text(text) = item { text } else { "" }
}

fn json(value: &Out, out: &mut String) {
    match value {
        Out::Null => out.push_str("null"),
        Out::Bool(on) => put(out, on),
        Out::Number(number) => out.push_str(&json_number(*number)),
        Out::Text(text) => json_text(text, out),
        Out::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(item, out);
            }
            out.push(']');
        }
        Out::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json_text(key, out);
                out.push(':');
                json(value, out);
            }
            out.push('}');
        }
    }
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                put(out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Go's JSON: plain digits between 1e-6 and 1e21.
fn json_number(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return exponent(number);
    }
    format!("{number}")
}

/// Go's `%g` with as many digits as needed: an exponent below 1e-04 and from 1e+06 on.
fn yaml_number(number: f64) -> String {
    let scientific = format!("{number:e}");
    let power: i32 = scientific
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    if number != 0.0 && !(-4..6).contains(&power) {
        return exponent(number);
    }
    format!("{number}")
}

/// Go writes at least two digits of exponent, and its sign.
fn exponent(number: f64) -> String {
    let text = format!("{number:e}");
    let Some((mantissa, power)) = text.split_once('e') else {
        return text;
    };
    match power.strip_prefix('-') {
        Some(power) => format!("{mantissa}e-{power:0>2}"),
        None => format!("{mantissa}e+{power:0>2}"),
    }
}

fn yaml(value: &Out, depth: usize, out: &mut String) {
    match value {
        Out::Null => out.push_str("null"),
        Out::Bool(on) => put(out, on),
        Out::Number(number) => out.push_str(&yaml_number(*number)),
        Out::Text(text) => yaml_text(text, depth, out),
        Out::List(items) if items.is_empty() => out.push_str("[]"),
        Out::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Out::List(items) => {
            for (index, item) in items.iter().enumerate() {
                line(index, depth, out);
                out.push_str("- ");
                yaml(item, depth + 1, out);
            }
        }
        Out::Map(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                line(index, depth, out);
                yaml_text(key, depth, out);
                out.push(':');
                match value {
                    Out::Map(inner) if !inner.is_empty() => {
                        put(out, format_args!("\n{}", "  ".repeat(depth + 1)));
                        yaml(value, depth + 1, out);
                    }
                    // goyaml does not indent a list below its key.
                    Out::List(inner) if !inner.is_empty() => {
                        put(out, format_args!("\n{}", "  ".repeat(depth)));
                        yaml(value, depth, out);
                    }
                    _ => {
                        out.push(' ');
                        yaml(value, depth + 1, out);
                    }
                }
            }
        }
    }
}

/// Begins another line; the first stands where the cursor is.
fn line(index: usize, depth: usize, out: &mut String) {
    if index > 0 {
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&"  ".repeat(depth));
    }
}

fn yaml_text(text: &str, depth: usize, out: &mut String) {
    let printable = text.chars().all(|c| c == '\n' || !c.is_control());
    if text.contains('\n') && printable && !text.starts_with([' ', '\n']) {
        literal(text, depth, out);
    } else if !printable || looks_typed(text) {
        put(out, quote_yaml(text));
    } else if needs_quotes(text) {
        put(out, format_args!("'{}'", text.replace('\'', "''")));
    } else {
        out.push_str(text);
    }
}

fn literal(text: &str, depth: usize, out: &mut String) {
    let body = text.strip_suffix('\n');
    out.push_str(if body.is_some() { "|" } else { "|-" });
    for row in body.unwrap_or(text).split('\n') {
        out.push('\n');
        if !row.is_empty() {
            put(out, format_args!("{}{row}", "  ".repeat(depth.max(1))));
        }
    }
}

/// Whether a reader would take this text for something else than text.
fn looks_typed(text: &str) -> bool {
    let words = [
        "", "~", "null", "true", "false", "y", "n", "yes", "no", "on", "off", "<<",
    ];
    let lower = text.to_lowercase();
    let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && (text.replace('_', "").parse::<f64>().is_ok()
            || ["0x", "0o", "0b"]
                .iter()
                .any(|base| lower.starts_with(base)));
    let special = [".inf", "-.inf", "+.inf", ".nan"].contains(&lower.as_str());
    words.contains(&lower.as_str()) || number || special
}

fn needs_quotes(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let indicator = "#,[]{}&*!|>'\"%@`".contains(first)
        || ("-?:".contains(first) && text.chars().nth(1).is_none_or(char::is_whitespace));
    indicator
        || text.starts_with([' ', '\t'])
        || text.ends_with([' ', '\t', ':'])
        || text.starts_with("---")
        || text.starts_with("...")
        || text.contains(": ")
        || text.contains(" #")
        || text.contains('\t')
}

fn quote_yaml(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{1b}' => out.push_str("\\e"),
            c if c.is_control() => put(&mut out, format_args!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// Go's `%q`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => put(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || "\u{2028}\u{2029}\u{feff}".contains(c) => {
                put(&mut out, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// Text from bytes as Go converts it: each byte that is no UTF-8 becomes U+FFFD.
pub(crate) fn go_text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    out
}

fn put(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}
