//! The blocks of commands of a page for users.
//!
//! A block is indented, as in the README. One that no test can carry out has a comment before it, `<!-- not run: why -->`,
//! which readers do not see.

use anyhow::{Context as _, Result, ensure};

const MARK: &str = "<!-- not run: ";

/// Lines that a reader copies at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The commands, a line each.
    pub commands: Vec<String>,
    /// Why no test carries them out.
    pub not_run: Option<String>,
}

/// The blocks of a page. What is fenced is shown, not typed.
///
/// # Errors
/// If a mark has no reason, or no block after it.
pub fn blocks(page: &str) -> Result<Vec<Block>> {
    let prose: String = page.split("\n```").step_by(2).collect();
    let mut blocks = Vec::new();
    let mut mark = None;
    for paragraph in prose.split("\n\n") {
        let commands: Option<Vec<_>> = paragraph
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.strip_prefix("    ").map(ToOwned::to_owned))
            .collect();
        let commands = commands.filter(|commands| !commands.is_empty());
        if let Some(commands) = commands {
            let not_run = mark.take();
            blocks.push(Block { commands, not_run });
            continue;
        }
        ensure!(mark.is_none(), "no commands follow `{MARK}{mark:?}`");
        mark = paragraph
            .trim()
            .strip_prefix(MARK)
            .map(reason)
            .transpose()?;
    }
    ensure!(mark.is_none(), "no commands follow `{MARK}{mark:?}`");
    Ok(blocks)
}

fn reason(rest: &str) -> Result<String> {
    let reason = rest
        .strip_suffix("-->")
        .context("a comment is open")?
        .trim();
    ensure!(!reason.is_empty(), "`{MARK}` gives no reason");
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(commands: &[&str], not_run: Option<&str>) -> Block {
        Block {
            commands: commands.iter().map(ToString::to_string).collect(),
            not_run: not_run.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn blocks_are_found_with_their_marks() {
        let page = "# A\n\nDo:\n\n    juju a\n    juju b\n\n<!-- not run: no such cloud -->\n\n    aws c\n\n    \
                    juju d\n\n```text\n\n    shown\n\n```\n\n- a list\n  of two\n";
        let wanted = [
            block(&["juju a", "juju b"], None),
            block(&["aws c"], Some("no such cloud")),
            block(&["juju d"], None),
        ];
        assert_eq!(blocks(page).unwrap(), wanted);
    }

    #[test]
    fn marks_without_reason_or_block_are_errors() {
        for (page, why) in [
            ("<!-- not run:  -->\n\n    juju a", "no reason"),
            ("<!-- not run: because\n\n    juju a", "open"),
            ("<!-- not run: because -->\n\nText.", "no commands follow"),
            ("<!-- not run: because -->\n", "no commands follow"),
        ] {
            let refused = blocks(page).unwrap_err().to_string();
            assert!(refused.contains(why), "{page}: {refused}");
        }
    }
}
