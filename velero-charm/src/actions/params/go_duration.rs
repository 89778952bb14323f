//! Durations as Velero's objects have them, which are Go's.

use super::shortened;

const HOUR: u64 = 3600;
const MINUTE: u64 = 60;

/// A lifetime in hours, minutes and seconds, in the form in which Velero writes it.
pub(in crate::actions) fn hours_minutes_seconds(text: &str) -> Result<String, String> {
    let fault = || {
        let text = shortened(text);
        format!(
            "is `{text}`: give hours, minutes and seconds, such as `720h` for 30 days or `1h30m`"
        )
    };
    let seconds = seconds(text)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(fault)?;
    let (hours, minutes) = (seconds / HOUR, seconds % HOUR / MINUTE);
    Ok(format!("{hours}h{minutes}m{}s", seconds % MINUTE))
}

fn seconds(text: &str) -> Option<u64> {
    let mut sum: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at_checked(end)?;
        let (unit, after) = unit.split_at_checked(1)?;
        let each = match unit {
            "h" => HOUR,
            "m" if !after.starts_with('s') => MINUTE,
            "s" => 1,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        sum = sum.checked_add(number.checked_mul(each)?)?;
        rest = after;
    }
    // Go counts nanoseconds in 64 bits.
    (sum <= i64::MAX.unsigned_abs() / 1_000_000_000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetime_is_written_as_velero_writes_it() {
        for (text, written) in [
            ("720h", "720h0m0s"),
            ("1h30m", "1h30m0s"),
            ("90m5s", "1h30m5s"),
            ("3600s", "1h0m0s"),
        ] {
            assert_eq!(hours_minutes_seconds(text).as_deref(), Ok(written));
        }
    }

    #[test]
    fn lifetime_that_velero_cannot_read_is_refused() {
        for text in [
            "30d",
            "720",
            "h",
            "-1h",
            "0h",
            "1h 30m",
            "5ms",
            "9999999h9",
            "99999999999h",
        ] {
            assert!(
                hours_minutes_seconds(text).unwrap_err().contains("`720h`"),
                "{text}"
            );
        }
    }
}
