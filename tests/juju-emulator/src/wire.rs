//! What a hook tool and the agent say to each other.
//!
//! Invariant: one connection carries one request and one reply, so nobody holds the agent while
//! waiting for standard input; a tool that needs it gets that answer and asks again with it, as Juju does.

use std::io::{self, Read, Write};

/// The longest message that is accepted; arguments are bounded far below it by the kernel.
const LIMIT: u32 = 64 << 20;

/// One call of one hook tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `JUJU_CONTEXT_ID` of the caller.
    pub context: String,
    /// The name it was called by.
    pub tool: String,
    /// Its working directory.
    pub directory: String,
    /// Its arguments, without the name.
    pub arguments: Vec<String>,
    /// Its standard input, once it was asked for.
    pub stdin: Option<Vec<u8>>,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Ask again, with standard input.
    NeedStdin,
    /// The tool has run.
    Done {
        /// Its exit code.
        code: u8,
        /// What goes to standard output.
        stdout: Vec<u8>,
        /// What goes to standard error.
        stderr: Vec<u8>,
    },
}

impl Request {
    /// The message that carries this request, its length first.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let flag: &[u8] = if self.stdin.is_some() { b"1" } else { b"0" };
        let mut fields: Vec<&[u8]> = vec![
            self.context.as_bytes(),
            self.tool.as_bytes(),
            self.directory.as_bytes(),
            flag,
            self.stdin.as_deref().unwrap_or_default(),
        ];
        fields.extend(self.arguments.iter().map(String::as_bytes));
        frame(&fields)
    }

    /// The request in a message's body.
    pub fn decode(body: &[u8]) -> io::Result<Self> {
        let mut fields = split(body)?.into_iter();
        let mut next = || fields.next().ok_or_else(|| bad("a field is missing"));
        let context = text(&next()?);
        let tool = text(&next()?);
        let directory = text(&next()?);
        let asked = next()? == b"1";
        let stdin = next()?;
        Ok(Self {
            context,
            tool,
            directory,
            stdin: asked.then_some(stdin),
            arguments: fields.map(|field| text(&field)).collect(),
        })
    }
}

impl Reply {
    /// The message that carries this reply, its length first.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::NeedStdin => frame(&[]),
            Self::Done {
                code,
                stdout,
                stderr,
            } => frame(&[&[*code], stdout, stderr]),
        }
    }

    /// The reply in a message's body.
    pub fn decode(body: &[u8]) -> io::Result<Self> {
        let fields = split(body)?;
        match <[Vec<u8>; 3]>::try_from(fields) {
            Ok([code, stdout, stderr]) => Ok(Self::Done {
                code: code.first().copied().unwrap_or(3),
                stdout,
                stderr,
            }),
            Err(fields) if fields.is_empty() => Ok(Self::NeedStdin),
            Err(_) => Err(bad("a reply has three fields or none")),
        }
    }
}

/// Sends a message.
pub fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    to.write_all(message)?;
    to.flush()
}

/// Receives one message's body.
pub fn receive(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut body = vec![0; body_length(length)?];
    from.read_exact(&mut body)?;
    Ok(body)
}

/// How long the body is that this prefix announces.
pub fn body_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix);
    if length > LIMIT {
        return Err(bad("the message is too long"));
    }
    usize::try_from(length).map_err(io::Error::other)
}

fn frame(fields: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 4];
    for field in fields {
        message.extend(
            u32::try_from(field.len())
                .map_err(io::Error::other)?
                .to_le_bytes(),
        );
        message.extend(*field);
    }
    let body = u32::try_from(message.len() - 4).map_err(io::Error::other)?;
    message.splice(..4, body.to_le_bytes());
    Ok(message)
}

fn split(mut body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut fields = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body
            .split_first_chunk::<4>()
            .ok_or_else(|| bad("cut short"))?;
        let length = body_length(*length)?;
        let field = rest.get(..length).ok_or_else(|| bad("cut short"))?;
        fields.push(field.to_vec());
        body = rest.get(length..).unwrap_or_default();
    }
    Ok(fields)
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
