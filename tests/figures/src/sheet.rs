//! Samples, and the sheet that shows them.
//!
//! Invariant: a figure is the median of its samples; a goal is met if the median is no more than it.

use std::fmt::{self, Display};

/// What was measured again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(Vec<f64>);

/// What a number is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One for each of the other.
    Times,
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Whole things.
    Count,
    /// Thousands of bytes.
    Kilobytes,
    /// Millions of bytes.
    Megabytes,
}

/// All figures of one run, in the order in which they were told.
#[derive(Debug, Default)]
pub struct Sheet(Vec<Line>);

#[derive(Debug)]
enum Line {
    Heading(String),
    Figure([String; 5]),
    Note(String),
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(all: I) -> Self {
        let mut sorted: Vec<f64> = all.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }
}

impl Samples {
    /// The middle one, or the mean of the middle two; of nothing it is no number.
    #[must_use]
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let at = |place: usize| self.0.get(place).copied().unwrap_or(f64::NAN);
        if self.0.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        }
    }

    /// Nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn range(&self, unit: Unit) -> String {
        match self.0.as_slice() {
            [low, .., high] if low < high => format!("{} – {}", unit.bare(*low), unit.bare(*high)),
            _ => String::new(),
        }
    }
}

impl Unit {
    fn bare(self, number: f64) -> String {
        let digits = match self {
            Self::Times | Self::Seconds => 2,
            Self::Milliseconds | Self::Kilobytes | Self::Megabytes => 1,
            Self::Count => 0,
        };
        format!("{number:.digits$}")
    }

    fn told(self, number: f64) -> String {
        self.bare(number)
            + match self {
                Self::Times => "×",
                Self::Milliseconds => " ms",
                Self::Seconds => " s",
                Self::Count => "",
                Self::Kilobytes => " kB",
                Self::Megabytes => " MB",
            }
    }
}

impl Sheet {
    /// Begins a part.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.0.push(Line::Heading(text.into()));
    }

    /// A figure that has no goal.
    pub fn figure(&mut self, what: impl Into<String>, unit: Unit, samples: &Samples) {
        let figure = unit.told(samples.median());
        let cells = [
            what.into(),
            String::new(),
            figure,
            samples.range(unit),
            String::new(),
        ];
        self.0.push(Line::Figure(cells));
    }

    /// A figure that is to be no more than its goal; tells whether it is.
    pub fn judged(
        &mut self,
        what: impl Into<String>,
        goal: f64,
        unit: Unit,
        samples: &Samples,
    ) -> bool {
        let met = samples.median() <= goal;
        let verdict = if met { "met" } else { "NOT MET" };
        let cells = [
            what.into(),
            format!("≤ {}", unit.told(goal)),
            unit.told(samples.median()),
            samples.range(unit),
            verdict.to_owned(),
        ];
        self.0.push(Line::Figure(cells));
        met
    }

    /// A line of text.
    pub fn note(&mut self, text: impl Into<String>) {
        self.0.push(Line::Note(text.into()));
    }
}

impl Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = TITLES.map(|title| title.chars().count());
        for line in &self.0 {
            if let Line::Figure(cells) = line {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = cell.chars().count().max(*width);
                }
            }
        }
        for line in &self.0 {
            match line {
                Line::Heading(text) => {
                    writeln!(f, "\n{text}")?;
                    row(f, &TITLES.map(ToOwned::to_owned), &widths)?;
                }
                Line::Figure(cells) => row(f, cells, &widths)?,
                Line::Note(text) => writeln!(f, "    {text}")?,
            }
        }
        Ok(())
    }
}

const TITLES: [&str; 5] = ["", "goal", "median", "range", ""];

fn row(f: &mut fmt::Formatter<'_>, cells: &[String; 5], widths: &[usize; 5]) -> fmt::Result {
    let [what, goal, median, range, verdict] = cells;
    let [w0, w1, w2, w3, _] = *widths;
    let line = format!("  {what:<w0$}  {goal:>w1$}  {median:>w2$}  {range:>w3$}  {verdict}");
    writeln!(f, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(all: &[f64]) -> Samples {
        all.iter().copied().collect()
    }

    #[test]
    fn the_median_is_in_the_middle_however_they_came() {
        assert!((samples(&[9.0, 1.0, 2.0]).median() - 2.0).abs() < f64::EPSILON);
        assert!((samples(&[4.0, 1.0, 2.0, 9.0]).median() - 3.0).abs() < f64::EPSILON);
        assert!(samples(&[]).median().is_nan());
    }

    #[test]
    fn a_sheet_tells_goal_figure_and_verdict() {
        let mut sheet = Sheet::default();
        sheet.heading("Steady");
        assert!(sheet.judged("ratio", 1.5, Unit::Times, &samples(&[1.5, 1.25, 1.75])));
        assert!(!sheet.judged("CLI starts", 0.0, Unit::Count, &samples(&[1.0])));
        sheet.figure("charm", Unit::Milliseconds, &samples(&[40.0, 41.0]));
        sheet.note("as seen");
        let told = "\n\
                    Steady\n\
                    \u{20}                goal   median        range\n\
                    \u{20} ratio       ≤ 1.50×    1.50×  1.25 – 1.75  met\n\
                    \u{20} CLI starts      ≤ 0        1               NOT MET\n\
                    \u{20} charm                40.5 ms  40.0 – 41.0\n\
                    \u{20}   as seen\n";
        assert_eq!(sheet.to_string(), told);
    }

    /// No samples are no success.
    #[test]
    fn figure_that_was_never_measured_meets_no_goal() {
        assert!(!Sheet::default().judged("lag", 0.1, Unit::Seconds, &samples(&[])));
    }
}
