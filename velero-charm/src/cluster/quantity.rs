//! Quantities of memory and processors, as Kubernetes writes them: `500m`, `1.5Gi`, `2e3`.

/// Thousandths of a thousandth of a thousandth, the smallest that Kubernetes knows.
const NANOS: i128 = 1_000_000_000;

/// A quantity that can be compared with another.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Quantity(i128);

impl Quantity {
    pub(crate) const ZERO: Self = Self(0);

    /// Reads one; `None` if Kubernetes would not. What is smaller than a billionth is rounded up, as there.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = text.split_at_checked(end.unwrap_or(text.len()))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || fraction.contains('.') {
            return None;
        }
        let factor = factor(suffix)?;
        let product = digits.parse::<i128>().ok()?.checked_mul(factor)?;
        let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let rounded = product.checked_add(divisor - 1)? / divisor;
        Some(Self(sign * rounded))
    }
}

/// In billionths.
fn factor(suffix: &str) -> Option<i128> {
    let power = |base: i128, exponent: u32| base.checked_pow(exponent)?.checked_mul(NANOS);
    match suffix {
        "n" => Some(1),
        "u" => Some(1_000),
        "m" => Some(1_000_000),
        "" => Some(NANOS),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            match u32::try_from(exponent) {
                Ok(exponent) => power(10, exponent),
                Err(_) => Some(NANOS / 10_i128.checked_pow(exponent.unsigned_abs())?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_compared_whatever_their_unit() {
        let same = [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("100e-3", "100m"),
            ("+2", "2"),
        ];
        for (one, other) in same {
            let [one, other] = [one, other].map(|text| Quantity::parse(text).unwrap());
            assert_eq!(one, other);
        }
        assert!(Quantity::parse("900Mi") < Quantity::parse("1G"));
        assert!(Quantity::parse("-1m") < Some(Quantity::ZERO));
    }

    #[test]
    fn what_kubernetes_would_not_read_is_none() {
        for bad in [
            "", " ", ".", "m", "1GB", "1 Gi", "1.2.3", "Gi", "1mi", "x", "1e", "é", "1e99",
        ] {
            assert_eq!(Quantity::parse(bad), None, "{bad}");
        }
    }
}
