//! Values over time, as lines or as bars.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::panels::{Defaults, DrawStyle, Mode};
use super::words::{Scale, fitting, width};
use super::{Area, Curve, Pen, SMALL, float, text};

/// Next to the plot, and below it.
const VALUES: f64 = 48.0;
const TIMES: f64 = 14.0;
const LINE: f64 = 13.0;
/// About as many marks are at an axis.
const MARKS: f64 = 4.0;
const MINUTE: f64 = 60.0;
/// As long is a line at least, for one value to be seen.
const DOT: f64 = 3.0;
/// Of a legend: the dash before a name, and the space behind it.
const DASH: f64 = 12.0;
const SPACE: f64 = 10.0;
const COLOURS: [&str; 10] = [
    "#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0",
    "#508642", "#cca300",
];

/// Where values and times are in an area.
struct Plot {
    area: Area,
    highest: f64,
    samples: f64,
}

impl Plot {
    fn x(&self, sample: f64) -> f64 {
        self.area.x + self.area.width * sample / self.samples
    }

    fn y(&self, value: f64) -> f64 {
        self.area.bottom() - self.area.height * value / self.highest
    }
}

pub(super) fn chart(
    area: Area,
    curves: &[Curve<'_>],
    defaults: &Defaults,
    step: usize,
) -> Result<String> {
    let legend = legend(curves, area.width);
    let room = TIMES + LINE * float(legend.last().map_or(0, |entry| entry.line + 1));
    let style = &defaults.custom;
    let highest = highest(curves, style.stacking.mode);
    let scale = Scale::of(defaults.unit, highest);
    let mark = round(highest / scale.one / MARKS) * scale.one;
    let samples = curves.first().map_or(1, |curve| curve.samples.count());
    let plot = Plot {
        area: area.within(VALUES, 0.0, 0.0, room),
        highest: (highest / mark).ceil() * mark,
        samples: float(samples),
    };
    let content = match style.draw_style {
        DrawStyle::Line => lines(&plot, curves)?,
        DrawStyle::Bars => bars(&plot, curves, style.stacking.mode)?,
    };
    let below = area.within(0.0, area.height - room + TIMES, 0.0, 0.0);
    Ok(grid(&plot, scale, mark)? + &times(&plot, step) + &content + &listed(&legend, below)?)
}

/// The largest value, or the largest sum of those on top of each other; 1 if there is nothing but zeros.
fn highest(curves: &[Curve<'_>], stacking: Mode) -> f64 {
    let mut sums: Vec<f64> = Vec::new();
    for curve in curves {
        sums.resize(curve.samples.count(), 0.0);
        for (sum, sample) in sums.iter_mut().zip(curve.samples.iter()) {
            let value = sample.unwrap_or_default();
            *sum = match stacking {
                Mode::None => sum.max(value),
                Mode::Normal => *sum + value,
            };
        }
    }
    let highest = sums.into_iter().fold(0.0, f64::max);
    if highest > 0.0 { highest } else { 1.0 }
}

/// The next 1, 2 or 5, or ten times as much, and so on.
fn round(number: f64) -> f64 {
    let magnitude = 10_f64.powf(number.log10().floor());
    let rounds = [1.0, 2.0, 5.0].map(|digit| digit * magnitude);
    let fitting = rounds.into_iter().find(|round| *round >= number);
    fitting.unwrap_or(10.0 * magnitude)
}

fn grid(plot: &Plot, scale: Scale, mark: f64) -> Result<String> {
    let (left, right) = (plot.area.x, plot.area.x + plot.area.width);
    let pen = Pen {
        anchor: "end",
        ..SMALL
    };
    let mut grid = String::new();
    for value in multiples(mark, plot.highest) {
        let y = plot.y(value);
        writeln!(
            grid,
            "<path d=\"M{left:.0} {y:.1}H{right:.0}\" stroke=\"#e6e8eb\"/>"
        )?;
        grid += &text(left - 5.0, y + 3.0, pen, &scale.text(value, 2));
    }
    Ok(grid)
}

fn times(plot: &Plot, step: usize) -> String {
    let length = plot.samples * float(step);
    let mark = round(length / MINUTE / MARKS).max(1.0);
    let pen = Pen {
        anchor: "middle",
        ..SMALL
    };
    let marks = multiples(mark, length / MINUTE).map(|minute| {
        let x = plot.x(minute * MINUTE / float(step));
        text(x, plot.area.bottom() + 11.0, pen, &format!("{minute} min"))
    });
    marks.collect()
}

fn multiples(of: f64, highest: f64) -> impl Iterator<Item = f64> {
    let all = (0..=99_u32).map(move |times| f64::from(times) * of);
    all.take_while(move |one| *one <= highest)
}

/// Values that stay are drawn at once.
fn lines(plot: &Plot, curves: &[Curve<'_>]) -> Result<String> {
    let mut lines = String::new();
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        let mut begin = 0;
        let mut pen = 'M';
        for (value, count) in curve.samples.runs() {
            let (first, last) = (plot.x(float(begin)), plot.x(float(begin + count - 1)));
            let last = last.max(first + DOT);
            begin += count;
            let Some(value) = value else {
                pen = 'M';
                continue;
            };
            write!(path, "{pen}{first:.1} {:.1}H{last:.1}", plot.y(value))?;
            pen = 'L';
        }
        writeln!(
            lines,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-linecap=\"round\"/>"
        )?;
    }
    Ok(lines)
}

/// A bar for each value that is not zero.
fn bars(plot: &Plot, curves: &[Curve<'_>], stacking: Mode) -> Result<String> {
    let width = plot.x(1.0) - plot.x(0.0);
    let mut sums = vec![0.0; curves.first().map_or(0, |curve| curve.samples.count())];
    let mut bars = String::new();
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        for (place, (sum, sample)) in sums.iter_mut().zip(curve.samples.iter()).enumerate() {
            let value = sample.unwrap_or_default();
            if value == 0.0 {
                continue;
            }
            let base = match stacking {
                Mode::None => 0.0,
                Mode::Normal => *sum,
            };
            *sum = base + value;
            let (x, y) = (plot.x(float(place)), plot.y(*sum));
            let height = plot.y(base) - y;
            writeln!(
                bars,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" fill-opacity=\"0.8\"/>"
            )?;
        }
    }
    Ok(bars)
}

/// A name of a legend, and where it is.
struct Entry<'a> {
    x: f64,
    line: usize,
    name: &'a str,
}

/// Names follow each other, on as many lines as they need.
fn legend<'a>(curves: &'a [Curve<'_>], room: f64) -> Vec<Entry<'a>> {
    let (mut x, mut line) = (0.0, 0);
    let entries = curves.iter().map(|Curve { name, .. }| {
        let wide = DASH + width(name, SMALL.size);
        if x > 0.0 && x + wide > room {
            (x, line) = (0.0, line + 1);
        }
        let entry = Entry { x, line, name };
        x += wide + SPACE;
        entry
    });
    entries.collect()
}

fn listed(legend: &[Entry<'_>], below: Area) -> Result<String> {
    let mut listed = String::new();
    for (Entry { x, line, name }, colour) in legend.iter().zip(COLOURS.iter().cycle()) {
        let (x, y) = (below.x + x, below.y + LINE * float(*line) + 10.0);
        let name = fitting(name, below.width - DASH, SMALL.size);
        writeln!(
            listed,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"8\" height=\"3\" fill=\"{colour}\"/>",
            y - 5.0
        )?;
        listed += &text(x + DASH, y, SMALL, &name);
    }
    Ok(listed)
}
