//! The dashboard as Grafana reads it: where a panel is, what it asks Prometheus, and how it shows the answer.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::series::Span;

/// How long a rate looks back: Grafana chooses.
const RATE_INTERVAL: &str = "$__rate_interval";
/// All of the time that is shown.
const RANGE: &str = "$__range";

/// All of it.
#[derive(Debug, Deserialize)]
pub struct Dashboard {
    /// Its name.
    pub title: String,
    /// Its panels, from top to bottom.
    pub panels: Vec<Panel>,
}

/// A part of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    /// How it looks.
    #[serde(rename = "type")]
    pub kind: PanelKind,
    /// What stands above it.
    pub title: String,
    /// Where it is.
    pub grid_pos: Place,
    /// What it asks.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// How it shows what it gets.
    #[serde(default)]
    pub field_config: FieldConfig,
}

/// The kinds of panels that there are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PanelKind {
    /// A heading.
    Row,
    /// The last value of each series.
    Stat,
    /// Values over time.
    TimeSeries,
}

/// Column and row, in 24 columns, and size.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Place {
    /// The first column.
    pub x: f64,
    /// The first row.
    pub y: f64,
    /// Columns.
    pub w: f64,
    /// Rows.
    pub h: f64,
}

/// One query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// With Grafana's variables in it.
    pub expr: String,
    legend_format: String,
}

/// How values are shown.
#[derive(Debug, Default, Deserialize)]
pub struct FieldConfig {
    /// The same for each series.
    pub defaults: Defaults,
}

/// How a value is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Defaults {
    /// What it is a number of.
    pub unit: Unit,
    /// Words for values.
    pub mappings: Vec<Mapping>,
    /// Colours of values.
    pub thresholds: Thresholds,
    /// How a series is drawn.
    pub custom: Style,
}

/// What a value is a number of.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Things.
    #[default]
    Short,
    /// Seconds.
    S,
    /// Bytes.
    Bytes,
}

/// Words for values, by the values.
#[derive(Debug, Deserialize)]
pub struct Mapping {
    /// By the value as text.
    pub options: BTreeMap<String, Word>,
}

/// What stands for a value.
#[derive(Debug, Deserialize)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Its colour, by name.
    pub color: String,
}

/// Colours of values, by the smallest value that has it.
#[derive(Debug, Default, Deserialize)]
pub struct Thresholds {
    /// From the smallest on.
    pub steps: Vec<Threshold>,
}

/// From a value on, or for all values.
#[derive(Debug, Deserialize)]
pub struct Threshold {
    /// The smallest value, if there is one.
    pub value: Option<f64>,
    /// By name.
    pub color: String,
}

/// How a series is drawn.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Style {
    /// What it is drawn with.
    pub draw_style: DrawStyle,
    /// How it is to the others.
    pub stacking: Stacking,
}

/// How series are to each other.
#[derive(Debug, Default, Deserialize)]
pub struct Stacking {
    /// Whether they add up.
    pub mode: Mode,
}

/// Whether series add up.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each begins at zero.
    #[default]
    None,
    /// Each begins where the one before it ends.
    Normal,
}

/// What a series is drawn with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrawStyle {
    /// A line.
    #[default]
    Line,
    /// Bars.
    Bars,
}

impl Target {
    /// As Grafana asks it, if it shows a span of what a Prometheus has scraped every `pace` seconds.
    pub fn query(&self, span: Span, pace: usize) -> Result<String> {
        let interval = (span.step + pace).max(4 * pace);
        let query = self.expr.replace(RATE_INTERVAL, &format!("{interval}s"));
        let query = query.replace(RANGE, &format!("{}s", span.end - span.begin));
        ensure!(!query.contains('$'), "a variable is unknown: {query}");
        Ok(query)
    }

    /// What a series is called.
    #[must_use]
    pub fn legend(&self, labels: &BTreeMap<String, String>) -> String {
        let mut parts = self.legend_format.split("{{");
        let mut legend = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (label, rest) = part.split_once("}}").unwrap_or((part, ""));
            legend += labels.get(label).map_or("", String::as_str);
            legend += rest;
        }
        legend.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_labels_are_filled_in() {
        let target = Target {
            expr: "increase(done[$__rate_interval]) / increase(done[$__range])".to_owned(),
            legend_format: "{{node}} done {{other}}".to_owned(),
        };
        let span = Span {
            begin: 0,
            end: 60,
            step: 15,
        };
        let asked = |pace| target.query(span, pace).ok();
        let query = |rate| Some(format!("increase(done[{rate}]) / increase(done[60s])"));
        assert_eq!(asked(1), query("16s"));
        assert_eq!(asked(60), query("240s"));
        let labels = BTreeMap::from([("node".to_owned(), "n1".to_owned())]);
        assert_eq!(target.legend(&labels), "n1 done");
    }
}
