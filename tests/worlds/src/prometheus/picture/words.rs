//! Numbers as people read them, and how much room words take.

use super::super::panels::{Defaults, Unit};
use super::float;

/// A letter of a usual typeface is about as wide, of its size.
const LETTER: f64 = 0.56;

/// A value in its unit and colour, or the word that stands for it.
pub(super) struct Shown<'a> {
    pub(super) text: String,
    pub(super) colour: &'a str,
}

impl<'a> Shown<'a> {
    pub(super) fn of(value: f64, defaults: &'a Defaults) -> Self {
        let mapped = defaults.mappings.iter();
        let mut mapped = mapped.filter_map(|mapping| mapping.options.get(&value.to_string()));
        if let Some(word) = mapped.next() {
            return Self {
                text: word.text.clone(),
                colour: hue(&word.color),
            };
        }
        let steps = defaults.thresholds.steps.iter();
        let mut reached = steps.filter(|step| step.value.is_none_or(|least| least <= value));
        Self {
            text: Scale::of(defaults.unit, value).text(value, 1),
            colour: reached
                .next_back()
                .map_or("#24292e", |step| hue(&step.color)),
        }
    }
}

/// Grafana's colours.
fn hue(name: &str) -> &str {
    match name {
        "green" => "#37872d",
        "orange" => "#ff780a",
        "red" => "#c4162a",
        other => other,
    }
}

/// A unit in the size in which a value is read best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) one: f64,
    name: &'static str,
}

impl Scale {
    pub(super) fn of(unit: Unit, value: f64) -> Self {
        let sizes: &[(f64, &str)] = match unit {
            Unit::Short => &[(1.0, ""), (1e3, " K"), (1e6, " M")],
            Unit::S => &[(1.0, " s"), (60.0, " min"), (3600.0, " h"), (86400.0, " d")],
            Unit::Bytes => &[(1.0, " B"), (1024.0, " KiB"), (1_048_576.0, " MiB")],
        };
        let fitting = sizes.iter().rev().find(|(one, _)| value >= *one);
        let (one, name) = *fitting.unwrap_or(&sizes[0]);
        Self { one, name }
    }

    pub(super) fn text(self, value: f64, decimals: usize) -> String {
        let number = format!("{:.decimals$}", value / self.one);
        let short = match number.split_once('.') {
            Some(_) => number.trim_end_matches('0').trim_end_matches('.'),
            None => &number,
        };
        format!("{short}{}", self.name)
    }
}

/// How wide words are.
pub(super) fn width(words: &str, size: f64) -> f64 {
    float(words.chars().count()) * size * LETTER
}

/// The largest size in which they fit.
pub(super) fn size(words: &str, room: f64, largest: f64) -> f64 {
    largest.min(room / width(words, 1.0))
}

/// As much of them as fits.
pub(super) fn fitting(words: &str, room: f64, size: f64) -> String {
    if width(words, size) <= room {
        return words.to_owned();
    }
    let mut kept = String::new();
    for letter in words.chars() {
        if width(&kept, size) + width("m…", size) > room {
            break;
        }
        kept.push(letter);
    }
    kept + "…"
}

pub(super) fn escaped(words: &str) -> String {
    let words = words.replace('&', "&amp;");
    words.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_in_their_unit() {
        let text = |unit, value| Scale::of(unit, value).text(value, 1);
        assert_eq!(text(Unit::Short, 0.0), "0");
        assert_eq!(text(Unit::Short, 100.0), "100");
        assert_eq!(text(Unit::S, 93_600.0), "1.1 d");
        assert_eq!(text(Unit::S, 0.42), "0.4 s");
        assert_eq!(text(Unit::Bytes, 1536.0), "1.5 KiB");
    }

    #[test]
    fn value_has_the_word_or_colour_of_the_dashboard() {
        let defaults = json!({
            "mappings": [{"options": {"0": {"text": "Unavailable", "color": "red"}}}],
            "thresholds": {"steps": [
                {"color": "green", "value": null}, {"color": "orange", "value": 2.0},
            ]},
        });
        let defaults: Defaults =
            serde_json::from_value(defaults).unwrap_or_else(|error| panic!("{error}"));
        let shown = |value| {
            let shown = Shown::of(value, &defaults);
            (shown.text, shown.colour)
        };
        assert_eq!(shown(0.0), ("Unavailable".to_owned(), hue("red")));
        assert_eq!(shown(1.0), ("1".to_owned(), hue("green")));
        assert_eq!(shown(2.0), ("2".to_owned(), hue("orange")));
    }

    #[test]
    fn words_fit_where_they_stand() {
        assert_eq!(fitting("daily", 100.0, 10.0), "daily");
        let cut = fitting("a name that is long", 60.0, 10.0);
        assert!(cut.starts_with("a name") && cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 10.0) <= 60.0, "{cut}");
    }
}
