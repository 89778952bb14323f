//! The little plain HTTP that health checks and the stores need.
//!
//! Invariant: one request, one connection, and a deadline on both together.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// What is sent along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) kind: &'a str,
    /// Who asks, where a bearer token says so.
    pub(super) token: Option<&'a str>,
    /// Which name is asked, if it is not the authority.
    pub(super) host: Option<&'a str>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Content<'a> {
    pub(super) const NONE: Self = Self::of(b"");

    /// Bytes of which nothing is known.
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self {
            kind: "application/octet-stream",
            token: None,
            host: None,
            bytes,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Sends `body` to `http://<authority><target>`.
pub(super) async fn send(
    method: &str,
    authority: &str,
    target: &str,
    body: &Content<'_>,
) -> Result<Response> {
    timeout(LIMIT, exchange(method, authority, target, body))
        .await
        .unwrap_or_else(|_| bail!("no answer within {} s", LIMIT.as_secs()))
        .with_context(|| format!("{method} http://{authority}{target}"))
}

/// What comes back from `http://<authority><target>` on success.
pub async fn fetch(method: &str, authority: &str, target: &str) -> Result<Vec<u8>> {
    let answer = send(method, authority, target, &Content::NONE).await?;
    if answer.status >= 300 {
        let (status, said) = (answer.status, String::from_utf8_lossy(&answer.body));
        bail!("{method} http://{authority}{target}: {status}: {said}");
    }
    Ok(answer.body)
}

/// Whether a GET is answered with success.
pub(super) async fn answers(authority: &str, target: &str) -> bool {
    fetch("GET", authority, target).await.is_ok()
}

async fn exchange(
    method: &str,
    authority: &str,
    target: &str,
    body: &Content<'_>,
) -> Result<Response> {
    let mut stream = TcpStream::connect(authority).await?;
    // HTTP/1.0: the answer ends with the connection, and no server may send it in chunks.
    let bearer = |token| format!("Authorization: Bearer {token}\r\n");
    let authorization = body.token.map(bearer).unwrap_or_default();
    let head = format!(
        "{method} {target} HTTP/1.0\r\nHost: {}\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n{authorization}\r\n",
        body.host.unwrap_or(authority),
        body.kind,
        body.bytes.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&answer).context("not an HTTP answer")
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at(end);
    let status = std::str::from_utf8(head)
        .ok()?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some(Response {
        status,
        body: body.get(4..)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nno\r\n\r\nsuch").unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.body, b"no\r\n\r\nsuch");
        assert!(parse(b"nonsense").is_none());
    }
}
