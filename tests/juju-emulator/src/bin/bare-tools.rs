//! What a charm that only calls hook tools would cost: it makes the calls that are written down in its
//! charm directory, one after the other, and looks at no answer.
//!
//! Called by the emulator as `dispatch`. A call is a line for the tool and one for each argument, and
//! ends with an empty line.

use std::io::{Error, Result};
use std::process::{Command, Stdio};
use std::{env, fs};

use juju_emulator::BARE_CALLS;

fn main() -> Result<()> {
    let charm = env::var_os("JUJU_CHARM_DIR").ok_or_else(|| Error::other("no JUJU_CHARM_DIR"))?;
    let calls = fs::read_to_string(std::path::Path::new(&charm).join(BARE_CALLS))?;
    for call in calls.split_terminator("\n\n") {
        let mut words = call.lines();
        let tool = words.next().unwrap_or_default();
        let output = Command::new(tool)
            .args(words)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(Error::other(format!("{tool}: {}", output.status)));
        }
    }
    Ok(())
}
