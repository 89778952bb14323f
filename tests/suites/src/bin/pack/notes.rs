//! The notes of a release: what the changelog says of it.

use std::fs;

use anyhow::{Context as _, Result};
use worlds::operator::workspace;

/// The version of the workspace, which is that of the charm.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What has no version yet.
const NEXT: &str = "Unreleased";

/// The section of this version, or what is to become of it.
pub(crate) fn of_this_version() -> Result<String> {
    let changelog = fs::read_to_string(workspace().join("CHANGELOG.md"))?;
    let section = section(&changelog, VERSION).or_else(|| section(&changelog, NEXT));
    let section =
        section.with_context(|| format!("CHANGELOG.md has neither {VERSION} nor {NEXT}"))?;
    Ok(format!("# Velero Operator {VERSION}\n\n{section}\n"))
}

fn section<'a>(changelog: &'a str, version: &str) -> Option<&'a str> {
    let mut sections = changelog.split("\n## ").skip(1);
    let is_of = |section: &&str| section.split_whitespace().next() == Some(version);
    let (_, text) = sections.find(is_of)?.split_once('\n')?;
    Some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_the_section_of_the_version() {
        let changelog = "# Changelog\n\n## Unreleased\n\n- c\n\n## 1.1.0 (2027-01-01)\n\n- b\n\n## 1.0.0\n- a\n";
        assert_eq!(section(changelog, "1.1.0"), Some("- b"));
        assert_eq!(section(changelog, "1.0.0"), Some("- a"));
        assert_eq!(section(changelog, NEXT), Some("- c"));
        assert_eq!(section(changelog, "1.0"), None);
    }

    #[test]
    fn changelog_has_notes_of_this_version() {
        let notes = of_this_version().unwrap();
        assert!(notes.lines().any(|line| line.starts_with("- ")), "{notes}");
    }
}
