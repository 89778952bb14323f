//! What a command has started, in the CLI's own words.
//!
//! **Invariant:** a name is what the CLI has printed. The user's words do not tell it: a Restore may be
//! named after its Backup and the time, a Backup after its Schedule.

/// An object that the CLI says it has made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Started {
    pub(super) kind: &'static str,
    pub(super) name: String,
}

const ANNOUNCEMENTS: [(&str, &str, &str); 3] = [
    ("Backup request \"", "\" submitted successfully.", "backup"),
    (
        "Restore request \"",
        "\" submitted successfully.",
        "restore",
    ),
    ("Schedule \"", "\" created successfully.", "schedule"),
];

impl Started {
    /// What a line of the CLI's output announces.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        ANNOUNCEMENTS.iter().find_map(|(before, after, kind)| {
            let name = line.strip_prefix(before)?.strip_suffix(after)?;
            is_name(name).then(|| Self {
                kind,
                name: name.to_owned(),
            })
        })
    }

    /// The command that shows how it is doing.
    pub(super) fn description(&self) -> String {
        format!("{} describe {}", self.kind, self.name)
    }
}

/// It is one word to a shell.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && !text.starts_with('-') && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(line: &str) -> Option<String> {
        Started::from_line(line).map(|started| started.description())
    }

    #[test]
    fn a_name_is_what_the_cli_printed() {
        for (line, described_as) in [
            (
                "Backup request \"nightly\" submitted successfully.",
                "backup describe nightly",
            ),
            (
                "Restore request \"nightly-20261125120000\" submitted successfully.",
                "restore describe nightly-20261125120000",
            ),
            (
                "Schedule \"daily.shop\" created successfully.",
                "schedule describe daily.shop",
            ),
        ] {
            assert_eq!(described(line).as_deref(), Some(described_as));
        }
    }

    #[test]
    fn lines_of_other_kinds_announce_nothing() {
        for line in [
            "",
            "Creating backup from schedule, all other filters are ignored.",
            "Waiting for backup to complete.",
            "Backup request \"\" submitted successfully.",
            "Backup request \"a\\\"b\" submitted successfully.",
            "Backup request \"a b; reboot\" submitted successfully.",
            "Backup request \"--all\" submitted successfully.",
            "Request to delete backup \"a\" submitted successfully.",
            "x Backup request \"a\" submitted successfully.",
        ] {
            assert_eq!(described(line), None, "{line}");
        }
    }
}
