//! A charm's output, line by line.
//!
//! Invariant: giving up waiting loses nothing; the next call continues where the last one stopped.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// A stream read by lines, all of which is kept.
pub(crate) struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    over: bool,
    /// All that was read.
    pub all: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// From its beginning.
    pub(crate) fn new(source: R) -> Self {
        Self {
            source: BufReader::new(source),
            line: Vec::new(),
            over: false,
            all: Vec::new(),
        }
    }

    /// Whether the end was reached.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// The next line without its end; none at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        // What was read before the wait was given up is still in `line`.
        self.source.read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        self.over = !line.ends_with(b"\n");
        self.all.extend(&line);
        if line.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}
