//! What the CLI prints, on its way to the action's log and result.
//!
//! **Invariant:** what leaves is plain text: no terminal codes, no control characters but ends of lines
//! and tabs, nothing without a shape, and no signature of an address. And bounded: a
//! batch is at most 32 KiB, the log 1 MiB, the kept output 64 KiB and the error 4 KiB, whatever the CLI
//! prints; where something was cut, that is said.

use anstream::adapter::{StripBytes, strip_str};

use crate::juju::printable;

/// Logged as soon as this much has come.
pub(super) const BATCH: usize = 16 * 1024;
/// A longer line is cut into several.
const LINE: usize = 16 * 1024;
/// Juju never deletes an action's log.
const LOGGED: usize = 1024 * 1024;
/// Kept for the result.
const KEPT: usize = 64 * 1024;

/// Parts of a query that allow anybody who has the address to download what is there.
const SIGNED: [&str; 3] = ["Signature=", "X-Amz-Security-Token=", "sig="];

/// Makes lines of an output that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Lines {
    strip: StripBytes,
    begun: Vec<u8>,
}

/// Output on its way to the log.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: String,
    logged: usize,
}

/// The end of an output.
#[derive(Debug)]
pub(super) struct Tail {
    text: String,
    limit: usize,
    dropped: usize,
}

impl Lines {
    /// The lines that are complete with this piece.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        for part in self.strip.strip_next(bytes) {
            self.begun.extend_from_slice(part);
        }
        let mut lines = Vec::new();
        while let Some(end) = self.end() {
            let rest = self.begun.split_off(end);
            let line = std::mem::replace(&mut self.begun, rest);
            lines.push(plain_line(&line));
        }
        lines
    }

    /// What is left when the output ends.
    pub(super) fn finish(self) -> Option<String> {
        (!self.begun.is_empty()).then(|| plain_line(&self.begun))
    }

    /// Where the next line ends, an endless one at a blank or at least between two characters.
    fn end(&self) -> Option<usize> {
        if let Some(newline) = self.begun.iter().position(|byte| *byte == b'\n') {
            return Some(newline + 1);
        }
        let long = self.begun.get(..LINE)?;
        let blank = long.iter().rposition(|byte| *byte == b' ');
        let started = long.utf8_chunks().last();
        let started = started.map_or(0, |last| last.invalid().len());
        Some(blank.map_or(LINE - started, |blank| blank + 1))
    }
}

fn plain_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    unsigned(&printable(text.trim_end()))
}

/// A text as it may leave.
pub(super) fn plain(text: &str) -> String {
    unsigned(&printable(&strip_str(text).to_string()))
}

/// Cuts queries that are as good as a key.
fn unsigned(text: &str) -> String {
    let mut parts = text.split('?');
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let end = part.find(ends).unwrap_or(part.len());
        let (query, after) = part.split_at(end);
        clean.push('?');
        clean.push_str(if SIGNED.iter().any(|mark| query.contains(mark)) {
            "[signature removed]"
        } else {
            query
        });
        clean.push_str(after);
    }
    clean
}

impl Batch {
    pub(super) fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= BATCH
    }

    /// What has come so far, as long as the log may grow.
    pub(super) fn take(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim_end();
        if text.is_empty() || self.logged > LOGGED {
            return None;
        }
        self.logged += text.len();
        Some(if self.logged > LOGGED {
            "[the log is cut at 1 MiB; the result has the end of the output]".into()
        } else {
            text.to_owned()
        })
    }
}

impl Tail {
    pub(super) fn of_output() -> Self {
        Self::of(KEPT)
    }

    pub(super) fn of_error() -> Self {
        Self::of(4096)
    }

    fn of(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        let surplus = self.text.len().saturating_sub(self.limit);
        let cut = self.text.ceil_char_boundary(surplus);
        self.text.drain(..cut);
        self.dropped += cut;
    }

    /// The text, from the first whole line on if something was cut.
    pub(super) fn into_text(self) -> String {
        if self.dropped == 0 {
            return self.text.trim_end().to_owned();
        }
        let (partial, whole) = self.text.split_once('\n').unwrap_or(("", &self.text));
        let (cut, kept) = if whole.is_empty() {
            (self.dropped, self.text.as_str())
        } else {
            (self.dropped + partial.len() + 1, whole)
        };
        format!("[the first {cut} bytes are cut]\n{}", kept.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<_> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn lines_are_whole_however_the_output_is_cut() {
        let text = "gr\u{fc}\u{df}e\n\n\u{1b}[1mName:\u{1b}[0m  \u{1b}[38;5;9mx\u{1b}]0;title\u{7}y\r\nend";
        let whole = lines(&[text.as_bytes()]);

        assert_eq!(whole, ["gr\u{fc}\u{df}e", "", "Name:  xy", "end"]);
        for size in 1..text.len() {
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            assert_eq!(lines(&pieces), whole, "pieces of {size}");
        }
    }

    #[test]
    fn output_leaves_as_plain_text() {
        let hostile = "a\u{1b}[31mb\u{1b}[0m\u{0}\u{8}\u{7f}\u{9b}\u{202e}c\u{2066}\u{200f}\u{61c}\u{2028}d\te\nf";

        let plain_text = plain(hostile);
        assert!(plain_text.starts_with("ab") && plain_text.ends_with("d\te\nf"));
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(
            !plain_text.contains(odd) && !plain_text.contains(['\u{202e}', '\u{2066}', '\u{200f}'])
        );
        assert_eq!(lines(&[hostile.as_bytes()]).join("\n"), plain_text);
        assert_eq!(lines(&[b"a\xff\xfeb"]), ["ab"]);
        assert_eq!(
            plain("gr\u{fc}\u{df}e \u{1f600}"),
            "gr\u{fc}\u{df}e \u{1f600}"
        );
    }

    #[test]
    fn signatures_of_addresses_do_not_leave() {
        for signed in [
            "X-Amz-Algorithm=a&X-Amz-Signature=SECRET",
            "sv=2026&sig=SECRET",
            "KeyId=x\\u0026Signature=SECRET",
        ] {
            let text = plain(&format!(
                "Get \"https://store/b/k?{signed}\": refused; why? x"
            ));
            assert_eq!(
                text,
                "Get \"https://store/b/k?[signature removed]\": refused; why? x"
            );
        }
        assert_eq!(plain("a?b=c"), "a?b=c");
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut lines = Lines::default();
        let complete = lines.push(&vec![b'.'; 3 * LINE]);
        assert_eq!(complete.len(), 3);

        let words = "\u{fc}".repeat(LINE);
        let complete = lines.push(words.as_bytes());
        assert!(!complete.is_empty());
        assert!(complete.iter().all(|line| !line.contains('\u{fffd}')));
    }

    #[test]
    fn a_batch_is_full_at_its_limit() {
        let mut batch = Batch::default();
        batch.push(&"x".repeat(BATCH - 2));
        assert!(!batch.is_full());
        batch.push("");
        assert!(batch.is_full());
        assert_eq!(batch.take().unwrap().len(), BATCH - 2);
        assert!(!batch.is_full());
        assert_eq!(batch.take(), None);
    }

    #[test]
    fn the_log_is_cut_and_says_so() {
        let mut batch = Batch::default();
        let logged: Vec<_> = std::iter::repeat_with(|| {
            batch.push(&"x".repeat(BATCH));
            batch.take()
        })
        .take(100)
        .flatten()
        .collect();

        let size: usize = logged.iter().map(String::len).sum();
        assert!(size <= LOGGED + 100, "{size}");
        assert!(logged.last().unwrap().contains("cut at 1 MiB"));
        let told = logged.iter().filter(|text| text.contains("cut")).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn a_long_output_keeps_its_end_and_says_so() {
        let mut tail = Tail::of_output();
        for number in 0..20_000 {
            tail.push(&format!("line {number}"));
        }
        let text = tail.into_text();

        assert!(text.len() <= KEPT + 64);
        assert!(text.starts_with("[the first "));
        assert!(
            text.lines().nth(1).unwrap().starts_with("line "),
            "cut within a line"
        );
        assert!(text.ends_with("line 19999"));
    }

    #[test]
    fn long_line_keeps_its_end() {
        let mut tail = Tail::of_error();
        tail.push(&"\u{fc}".repeat(5000));
        let text = tail.into_text();
        assert!(text.len() > 4000 && text.ends_with('\u{fc}'), "{text}");
    }

    #[test]
    fn a_short_output_is_kept_as_it_is() {
        let mut tail = Tail::of_output();
        tail.push("gr\u{fc}\u{df}e");
        tail.push("");
        assert_eq!(tail.into_text(), "gr\u{fc}\u{df}e");
    }
}
