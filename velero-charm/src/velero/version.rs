//! Versions, as they stand in tags and annotations.

use semver::Version;
use tracing::debug;

use super::BUNDLED;

/// Reads a version, with or without a `v` and a patch number. What is none is said in the log.
pub(crate) fn parse(text: &str) -> Option<Version> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    let whole = match numbers.matches('.').count() {
        1 => format!("{numbers}.0{rest}"),
        _ => bare.to_owned(),
    };
    Version::parse(&whole)
        .inspect_err(|error| debug!("`{text}` is not understood as a version: {error}."))
        .ok()
}

/// It is the bundled Velero's, or a later one's. What is no version is older.
pub(crate) fn is_bundled_or_later(text: &str) -> bool {
    is_as_late(text, BUNDLED)
}

/// One version is no earlier than another. What is no version is earlier.
pub(crate) fn is_as_late(text: &str, other: &str) -> bool {
    let (version, other) = (parse(text), parse(other));
    let both = version.zip(other);
    both.is_some_and(|(version, other)| version.cmp_precedence(&other).is_ge())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_version_is_a_version() {
        assert!(is_bundled_or_later(BUNDLED));
    }

    #[test]
    fn release_candidate_comes_before_its_release() {
        for (version, other) in [
            ("1.19.0-rc.1", "1.18.3"),
            ("v1.19.0-rc.1", "1.19.0-rc.1"),
            ("1.19.0-rc.10", "1.19.0-rc.9"),
            ("1.19.0", "1.19.0-rc.1"),
            ("1.18.10", "1.18.9"),
        ] {
            assert!(is_as_late(version, other), "{version} {other}");
            assert!(version == other || !is_as_late(other, version) || version.starts_with('v'));
        }
        assert!(!is_as_late("main", "1.18.3"));
    }

    #[test]
    fn patch_number_may_be_left_out() {
        for (text, version) in [
            ("v1.18", "1.18.0"),
            ("1.18-dev", "1.18.0-dev"),
            ("v0.16.5", "0.16.5"),
        ] {
            assert_eq!(parse(text), Version::parse(version).ok(), "{text}");
        }
        for text in ["", "main", "latest", "1", "1.18.3.4", "v"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
