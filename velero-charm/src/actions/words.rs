//! Sizes, times and names of commands, as results show them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::strtime};

/// `1.5 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if tenths < 10240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// To the second, as the database charms write moments.
pub(super) fn moment(at: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", at).unwrap_or_default()
}

/// The same for a name, which has no colons.
pub(super) fn moment_in_name(at: Timestamp) -> String {
    strtime::format("%Y%m%d%H%M%S", at).unwrap_or_default()
}

/// `1h 5m 3s`, in whole seconds.
pub(super) fn duration(of: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(of.as_secs()))
}

/// The user's time limit.
pub(super) fn limit(of: Duration) -> String {
    format!(
        "{:#}",
        SignedDuration::try_from(of).unwrap_or(SignedDuration::MAX)
    )
}

/// The command that shows how something is doing.
pub(super) fn follow(unit: &str, kind: &str, name: &str) -> String {
    format!(
        "`juju run {unit} run command=\"{} describe {name}\"`",
        kind.to_lowercase()
    )
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn moments_are_in_whole_seconds() {
        let at: Timestamp = "2026-11-28T20:01:05.678Z".parse().unwrap();
        assert_eq!(moment(at), "2026-11-28T20:01:05Z");
        assert_eq!(moment_in_name(at), "20261128200105");
        assert_eq!(duration(SignedDuration::from_millis(65_900)), "1m 5s");
        assert_eq!(count(1, "error") + &count(0, "error"), "1 error0 errors");
    }
}
