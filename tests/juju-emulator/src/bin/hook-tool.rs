//! Every hook tool: asks the unit agent to do what it was called for, under the name it was called by.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use juju_emulator::wire::{Reply, Request, receive, send};
use nix::errno::Errno;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            // Nothing is left to tell it to if standard error is closed.
            let _ = writeln!(io::stderr(), "ERROR {reason}");
            ExitCode::from(1)
        }
    }
}

fn run() -> Result<u8, String> {
    let socket = variable("JUJU_AGENT_SOCKET_ADDRESS");
    let mut request = request()?;
    let socket = socket?;
    let (code, stdout, stderr) = loop {
        match ask(&socket, &request)? {
            Reply::NeedStdin => request.stdin = Some(standard_input()?),
            Reply::Done {
                code,
                stdout,
                stderr,
            } => break (code, stdout, stderr),
        }
    };
    io::stdout()
        .write_all(&stdout)
        .and_then(|()| io::stdout().flush())
        .map_err(plain)?;
    io::stderr().write_all(&stderr).map_err(plain)?;
    Ok(code)
}

fn request() -> Result<Request, String> {
    let mut arguments = env::args_os().map(text);
    let called = arguments.next().unwrap_or_default();
    let tool = Path::new(&called).file_name().unwrap_or_default();
    Ok(Request {
        context: variable("JUJU_CONTEXT_ID")?,
        tool: text(tool),
        directory: text(env::current_dir().map_err(plain)?),
        arguments: arguments.collect(),
        stdin: None,
    })
}

fn ask(socket: &str, request: &Request) -> Result<Reply, String> {
    let mut stream = UnixStream::connect(socket)
        .map_err(|error| format!("dial unix {socket}: connect: {}", go_reason(&error)))?;
    send(&mut stream, &request.encode().map_err(plain)?).map_err(plain)?;
    Reply::decode(&receive(&mut stream).map_err(plain)?).map_err(plain)
}

fn standard_input() -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).map_err(plain)?;
    Ok(input)
}

fn variable(name: &str) -> Result<String, String> {
    match env::var_os(name) {
        Some(value) if !value.is_empty() => Ok(text(value)),
        _ => Err(format!("{name} not set")),
    }
}

/// Go prints an error number in lower case and without its number.
fn go_reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |number| Errno::from_raw(number).desc().to_lowercase(),
    )
}

fn text(value: impl AsRef<OsStr>) -> String {
    value.as_ref().to_string_lossy().into_owned()
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn plain(error: io::Error) -> String {
    error.to_string()
}
