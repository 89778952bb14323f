//! What the CLI prints, on its way to the action's log and result.
//!
//! **Invariant:** bounded: a batch is at most 16 KiB, the kept output at most 64 KiB and the error at
//! most 4 KiB, whatever the CLI prints; where something was cut, that is said.

/// Logged as soon as this much has come.
pub(super) const BATCH: usize = 16 * 1024;
/// Kept for the result.
const KEPT: usize = 64 * 1024;

/// Output on its way to the log.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<u8>);

/// The end of an output.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    dropped: usize,
}

impl Batch {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= BATCH
    }

    /// What has come so far, but for the beginning of a character that is still on its way.
    pub(super) fn take(&mut self) -> Option<String> {
        let started = self
            .0
            .utf8_chunks()
            .last()
            .map_or(0, |last| last.invalid().len());
        let rest = self.0.split_off(self.0.len() - started);
        text(&std::mem::replace(&mut self.0, rest))
    }

    /// What is left at the end.
    pub(super) fn finish(self) -> Option<String> {
        text(&self.0)
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Tail {
    pub(super) fn of_output() -> Self {
        Self {
            bytes: Vec::new(),
            limit: KEPT,
            dropped: 0,
        }
    }

    pub(super) fn of_error() -> Self {
        Self {
            bytes: Vec::new(),
            limit: 4096,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let surplus = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..surplus);
        self.dropped += surplus;
    }

    /// The text, from the first whole line on if something was cut.
    pub(super) fn into_text(self) -> String {
        if self.dropped == 0 {
            return String::from_utf8_lossy(&self.bytes).trim_end().to_owned();
        }
        let start = self
            .bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let kept = self.bytes.get(start..).unwrap_or_default();
        let cut = self.dropped + start;
        format!(
            "[the first {cut} bytes are cut]\n{}",
            String::from_utf8_lossy(kept).trim_end()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_lose_nothing_and_cut_no_character() {
        let mut batch = Batch::default();
        batch.push("waiting ...\ngr\u{fc}".as_bytes().split_last().unwrap().1);
        assert_eq!(batch.take().unwrap(), "waiting ...\ngr");
        assert_eq!(batch.take(), None);
        batch.push(b"\xbcn");
        assert_eq!(batch.finish().unwrap(), "\u{fc}n");
    }

    #[test]
    fn a_batch_is_full_at_its_limit() {
        let mut batch = Batch::default();
        batch.push(&[b'x'; BATCH - 1]);
        assert!(!batch.is_full());
        batch.push(b"x");
        assert!(batch.is_full());
        assert_eq!(batch.take().unwrap().len(), BATCH);
        assert!(!batch.is_full());
    }

    #[test]
    fn a_long_output_keeps_its_end_and_says_so() {
        let mut tail = Tail::of_output();
        for number in 0..20_000 {
            tail.push(format!("line {number}\n").as_bytes());
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
    fn a_short_output_is_kept_as_it_is() {
        let mut tail = Tail::of_output();
        tail.push("grüße\n".as_bytes());
        assert_eq!(tail.into_text(), "grüße");
    }
}
