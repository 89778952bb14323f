//! A picture of the dashboard, drawn from what its queries gave when they were recorded.
//!
//! Invariant: a panel is where Grafana puts it and shows what its queries gave, or nothing. Equal recordings give equal
//! pictures.

mod chart;
mod words;

use anyhow::{Context as _, Result};

use self::words::{Shown, escaped, fitting};
use super::panels::{Dashboard, Defaults, Panel, PanelKind, Place};
use super::recording::{Answers, Recording};
use super::series::Samples;

/// Of one of Grafana's columns, and of its rows.
const COLUMN: f64 = 50.0;
const ROW: f64 = 27.0;
const COLUMNS: f64 = 24.0;
/// Around panels, and within them.
const GAP: f64 = 4.0;
const PADDING: f64 = 10.0;
const TITLE: f64 = 26.0;
/// A number is about as much wider than high.
const OBLONG: f64 = 2.0;
const LARGEST: f64 = 28.0;

/// What a panel draws of one series.
struct Curve<'a> {
    name: String,
    samples: &'a Samples,
}

/// A part of the picture.
#[derive(Debug, Clone, Copy)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// How a text is written.
#[derive(Debug, Clone, Copy)]
struct Pen<'a> {
    size: f64,
    anchor: &'static str,
    colour: &'a str,
}

const HEADING: Pen<'_> = Pen {
    size: 15.0,
    anchor: "start",
    colour: "#24292e",
};
const NAME: Pen<'_> = Pen {
    size: 12.0,
    ..HEADING
};
const SMALL: Pen<'_> = Pen {
    size: 10.0,
    anchor: "start",
    colour: "#52575c",
};

impl Area {
    fn of(place: Place) -> Self {
        Self {
            x: place.x * COLUMN + GAP,
            y: place.y * ROW + GAP,
            width: place.w * COLUMN - 2.0 * GAP,
            height: place.h * ROW - 2.0 * GAP,
        }
    }

    /// What is left of it within these margins.
    fn within(self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self {
            x: self.x + left,
            y: self.y + top,
            width: self.width - left - right,
            height: self.height - top - bottom,
        }
    }

    /// One of the equal parts in columns and rows.
    fn cell(self, place: usize, columns: usize, rows: usize) -> Self {
        let (width, height) = (self.width / float(columns), self.height / float(rows));
        Self {
            x: self.x + float(place % columns) * width,
            y: self.y + float(place / columns) * height,
            width,
            height,
        }
    }

    fn bottom(self) -> f64 {
        self.y + self.height
    }
}

/// Draws it, as SVG.
pub fn draw(dashboard: &Dashboard, recording: &Recording) -> Result<String> {
    let places = dashboard.panels.iter().map(|panel| panel.grid_pos);
    let rows = places.fold(0.0, |last: f64, place| last.max(place.y + place.h));
    let (width, height) = (COLUMNS * COLUMN, rows * ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" role=\"img\">\n\
         <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f5\"/>\n",
        escaped(&dashboard.title)
    );
    for panel in &dashboard.panels {
        svg += &drawn(panel, recording)?;
    }
    Ok(svg + "</svg>\n")
}

fn drawn(panel: &Panel, recording: &Recording) -> Result<String> {
    let area = Area::of(panel.grid_pos);
    let curves = curves(panel, &recording.shown)?;
    let inside = area.within(PADDING, TITLE, PADDING, GAP);
    let defaults = &panel.field_config.defaults;
    let content = match panel.kind {
        PanelKind::Row => {
            let line = area.bottom() - GAP;
            return Ok(text(area.x + GAP, line, HEADING, &panel.title));
        }
        PanelKind::Stat => values(inside, &curves, defaults),
        PanelKind::TimeSeries => chart::chart(inside, &curves, defaults, recording.step)?,
    };
    let Area {
        x,
        y,
        width,
        height,
    } = area;
    let title = text(x + PADDING, y + TITLE - PADDING, NAME, &panel.title);
    Ok(format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"#fff\" stroke=\"#dce0e5\"/>\n\
         {title}{content}"
    ))
}

fn curves<'a>(panel: &Panel, shown: &'a Answers) -> Result<Vec<Curve<'a>>> {
    let mut curves = Vec::new();
    for target in &panel.targets {
        let found = shown.get(&target.expr);
        let found = found.with_context(|| format!("not recorded: {}", target.expr))?;
        curves.extend(found.iter().map(|series| Curve {
            name: target.legend(&series.labels),
            samples: &series.samples,
        }));
    }
    Ok(curves)
}

/// The last value of each, side by side.
fn values(area: Area, curves: &[Curve<'_>], defaults: &Defaults) -> String {
    let count = curves.len();
    let is_oblong = |columns: &usize| {
        let cell = area.cell(0, *columns, count.div_ceil(*columns));
        cell.width <= OBLONG * cell.height
    };
    let columns = (1..=count).find(is_oblong).unwrap_or(count);
    let cells = curves.iter().enumerate();
    let cells = cells.filter_map(|(place, curve)| {
        let cell = area.cell(place, columns, count.div_ceil(columns));
        let shown = Shown::of(curve.samples.last()?, defaults);
        let size = LARGEST.min(cell.height / 2.0);
        let pen = Pen {
            size: words::size(&shown.text, cell.width - 2.0 * PADDING, size),
            anchor: "middle",
            colour: shown.colour,
        };
        let middle = cell.x + cell.width / 2.0;
        let line = cell.y + cell.height * 0.7;
        let small = Pen {
            anchor: "middle",
            ..SMALL
        };
        let name = fitting(&curve.name, cell.width, SMALL.size);
        let name = text(middle, line - size, small, &name);
        Some(name + &text(middle, line, pen, &shown.text))
    });
    cells.collect()
}

fn text(x: f64, y: f64, pen: Pen<'_>, words: &str) -> String {
    let Pen {
        size,
        anchor,
        colour,
    } = pen;
    let words = escaped(words);
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size:.0}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>\n"
    )
}

fn float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
