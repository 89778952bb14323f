//! The table, laid out as the database charms lay out theirs.

use super::{Place, Row};
use crate::actions::{output::plain, words};

const COLUMNS: [&str; 8] = [
    "backup-id",
    "target",
    "status",
    "start-time",
    "duration",
    "volumes",
    "size",
    "expires",
];
/// A longer reason is in the JSON.
const LONGEST_CELL: usize = 60;

/// As many rows as fit into so many bytes, and how many these are.
pub(super) fn table(place: &Place, rows: &[Row], longest: usize) -> (String, usize) {
    let heading = format!(
        "Storage bucket name: {}\nBackups base path: {}\n\n",
        place.bucket, place.path
    );
    let cells: Vec<_> = rows.iter().map(cells).collect();
    let mut widths = COLUMNS.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = line(&COLUMNS.map(ToOwned::to_owned), &widths);
    let rule = "-".repeat(head.len());
    let mut text = format!("{heading}{head}\n{rule}");
    let mut shown = 0;
    for row in &cells {
        let row = line(row, &widths);
        if text.len() + row.len() >= longest {
            break;
        }
        text.push('\n');
        text.push_str(&row);
        shown += 1;
    }
    (text, shown)
}

fn cells(row: &Row) -> [String; 8] {
    let status = &row.status;
    [
        row.id.clone(),
        row.target(),
        cut(&plain(&row.said())),
        row.moment().map(words::moment).unwrap_or_default(),
        status.duration().map(words::duration).unwrap_or_default(),
        row.volumes
            .as_ref()
            .map(|note| note.saved.clone())
            .unwrap_or_default(),
        row.volumes
            .as_ref()
            .map(|note| words::size(note.bytes))
            .unwrap_or_default(),
        status.expires().map(words::moment).unwrap_or_default(),
    ]
}

/// On one line.
fn cut(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= LONGEST_CELL {
        return text;
    }
    let head: String = text.chars().take(LONGEST_CELL - 3).collect();
    format!("{head}...")
}

fn line(cells: &[String; 8], widths: &[usize; 8]) -> String {
    let cells = cells.iter().zip(widths);
    let cells: Vec<_> = cells
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    cells.join(" | ").trim_end().to_owned()
}
