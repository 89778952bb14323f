//! Alert rules at another pace: what takes hours can be seen in seconds, and seconds that were seen can be hours.
//!
//! Invariant: nothing but times is changed, and `for` is not among them.

use serde_json::Value;

/// A number that is as large is a date, in seconds since 1970.
const EARLIEST: i64 = 1_000_000_000;
const MISSED: &str = "VeleroBackupMissed";
const NEVER: &str = "VeleroBackupNeverSucceeded";

/// The rules with other dates, and with other lengths of the times after which a schedule is late.
#[must_use]
pub fn retimed(rules: &Value, date: impl Fn(i64) -> i64, length: impl Fn(i64) -> i64) -> Value {
    let longest = |of: &Value| {
        let all =
            each(rules).find(|one| one["alert"] == MISSED && schedule(one) == schedule(of))?;
        all["expr"]
            .as_str()?
            .rsplit(' ')
            .next()?
            .parse::<i64>()
            .ok()
    };
    let mut retimed = rules.clone();
    for rule in each_mut(&mut retimed) {
        let alert = rule["alert"].as_str().unwrap_or_default().to_owned();
        let due_after = longest(rule).unwrap_or_default();
        let other = |number: i64| match alert.as_str() {
            NEVER if number > EARLIEST => date(number - due_after) + length(due_after),
            MISSED if number == due_after => length(number),
            _ if number > EARLIEST => date(number),
            _ => number,
        };
        let expr = rule["expr"].as_str().unwrap_or_default();
        let words = expr.split(' ').map(|word| with_number(word, other));
        rule["expr"] = words.collect::<Vec<_>>().join(" ").into();
    }
    retimed
}

/// The rules with another time for which each has to hold, where it has to hold for some.
#[must_use]
pub fn impatient(rules: &Value, patience: &str) -> Value {
    let mut impatient = rules.clone();
    for rule in each_mut(&mut impatient) {
        if rule["for"] != "0m" {
            rule["for"] = patience.into();
        }
    }
    impatient
}

/// Each rule of each group.
pub fn each(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    groups.flat_map(|group| group["rules"].as_array().into_iter().flatten())
}

fn each_mut(rules: &mut Value) -> impl Iterator<Item = &mut Value> {
    let groups = rules["groups"].as_array_mut().into_iter().flatten();
    groups.flat_map(|group| group["rules"].as_array_mut().into_iter().flatten())
}

fn schedule(rule: &Value) -> &Value {
    &rule["labels"]["schedule"]
}

/// A word with another number in it, if it is one, in brackets or not.
fn with_number(word: &str, other: impl Fn(i64) -> i64) -> String {
    let digits = word.trim_matches(['(', ')']);
    match digits.parse::<i64>() {
        Ok(number) => word.replace(digits, &other(number).to_string()),
        Err(_) => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_alone_are_changed() {
        let of = |alert: &str, expr: &str| {
            let labels = json!({"schedule": "s"});
            json!({"alert": alert, "expr": expr, "for": "5m", "labels": labels})
        };
        let rules = json!({"groups": [{"name": "g", "rules": [
            of(MISSED, "time() - max(a{b=\"1764060000\"}) > 108000"),
            of(NEVER, "absent(a[1d]) and on() (vector(time()) > 1764168000)"),
            of("VeleroBackupFailed", "(max(a) or vector(0)) < 1764060007"),
            of("VeleroNodeAgentDown", "sum(up) < 2"),
        ]}]});
        let retimed = retimed(&rules, |date| date - 1_764_060_000, |length| length / 3600);
        let exprs: Vec<_> = each(&retimed).map(|rule| rule["expr"].clone()).collect();
        assert_eq!(
            exprs,
            [
                "time() - max(a{b=\"1764060000\"}) > 30",
                "absent(a[1d]) and on() (vector(time()) > 30)",
                "(max(a) or vector(0)) < 7",
                "sum(up) < 2",
            ]
        );
        assert!(each(&retimed).all(|rule| rule["for"] == "5m"));
        assert!(each(&impatient(&rules, "2s")).all(|rule| rule["for"] == "2s"));
    }
}
