//! Durations as Velero reads them: Go's, such as `1h30m`.
//!
//! The crates that read durations take days, blanks or capitals, which Velero does not. Held to what Go says in a table
//! of cases.

use jiff::SignedDuration;

/// What Go's units are in nanoseconds.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// Why a text is no duration, to be read after its name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("has no number")]
    NoNumber,
    #[error("has a number without a unit")]
    NoUnit,
    #[error("has a unit `{0}`, which Velero does not know")]
    UnknownUnit(String),
    #[error("is longer than 292 years")]
    TooLong,
}

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    let mut sum = 0;
    loop {
        let (nanoseconds, behind) = one_number(rest)?;
        sum += nanoseconds;
        if sum > i128::from(i64::MAX) {
            return Err(DurationError::TooLong);
        }
        if behind.is_empty() {
            let sum = i64::try_from(sign * sum).map_err(|_| DurationError::TooLong)?;
            return Ok(SignedDuration::from_nanos(sum));
        }
        rest = behind;
    }
}

/// The first number with its unit in nanoseconds, and what is behind it.
fn one_number(text: &str) -> Result<(i128, &str), DurationError> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit());
    let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if name.is_empty() {
        return Err(DurationError::NoUnit);
    }
    let unit = UNITS.iter().find(|(unit, _)| *unit == name);
    let (_, unit) = unit.ok_or_else(|| DurationError::UnknownUnit(name.to_owned()))?;
    // Longer than any duration is too long, whatever its unit.
    let whole = whole.trim_start_matches('0');
    if whole.len() > 19 {
        return Err(DurationError::TooLong);
    }
    let number = |digits: &str| digits.parse::<i128>().unwrap_or_default();
    let fraction = fraction.get(..fraction.len().min(18)).unwrap_or_default();
    let scale = (0..fraction.len()).fold(1, |scale, _| scale * 10);
    Ok((number(whole) * unit + number(fraction) * unit / scale, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `time.ParseDuration` of Go 1.24 made of these.
    const OF_GO: [(&str, Option<i64>); 34] = [
        ("720h", Some(2_592_000_000_000_000)),
        ("30d", None),
        ("1h30m", Some(5_400_000_000_000)),
        ("1.5h", Some(5_400_000_000_000)),
        (".5h", Some(1_800_000_000_000)),
        ("1.h", Some(3_600_000_000_000)),
        (".h", None),
        ("0", Some(0)),
        ("+0", Some(0)),
        ("-0", Some(0)),
        ("00", None),
        ("5", None),
        ("", None),
        (" 1h", None),
        ("1h ", None),
        ("1 h", None),
        ("-1h", Some(-3_600_000_000_000)),
        ("+1h", Some(3_600_000_000_000)),
        ("1H", None),
        ("1us", Some(1_000)),
        ("1\u{b5}s", Some(1_000)),
        ("1\u{3bc}s", Some(1_000)),
        ("1ns1h", Some(3_600_000_000_001)),
        ("h", None),
        ("1h1h", Some(7_200_000_000_000)),
        ("2562047h47m16.854775807s", Some(i64::MAX)),
        ("2562047h47m16.854775808s", None),
        ("9223372036854775807ns", Some(i64::MAX)),
        ("9223372036854775808ns", None),
        ("1e3s", None),
        ("P7D", None),
        ("1.5.5h", None),
        ("0.000000000001s", Some(0)),
        ("--1h", None),
    ];

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanoseconds) in OF_GO {
            let expected = nanoseconds.map(SignedDuration::from_nanos);
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn refusal_says_what_is_wrong() {
        let reason = |text| parse(text).unwrap_err().to_string();
        assert!(reason("30d").contains("unit `d`"));
        assert!(reason("5").contains("without a unit"));
        assert!(reason("soon").contains("no number"));
        assert!(reason(&format!("{}h", "9".repeat(5000))).contains("292 years"));
    }
}
