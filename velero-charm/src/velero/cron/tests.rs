use super::*;

/// What the reader that Velero has said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    At(&'static str),
    /// Due at any time.
    Never,
    Refused,
}

use Said::{At, Never, Refused};

/// An expression, a moment, and what `ParseStandard` and `Next` of robfig/cron 3.0.1 made of them.
#[rustfmt::skip]
const OF_ROBFIG: &[(&str, &str, Said)] = &[
    ("* * * * *", "2026-11-28T22:37:20Z", At("2026-11-28T22:38:00Z")),
    ("* * * * ?", "2026-11-28T22:37:20Z", At("2026-11-28T22:38:00Z")),
    ("@daily", "2026-11-28T22:37:20Z", At("2026-11-29T00:00:00Z")),
    ("@midnight", "2026-11-28T22:37:20Z", At("2026-11-29T00:00:00Z")),
    ("@hourly", "2026-11-28T22:37:20Z", At("2026-11-28T23:00:00Z")),
    ("@weekly", "2026-11-28T22:37:20Z", At("2026-11-29T00:00:00Z")),
    ("@monthly", "2026-11-28T22:37:20Z", At("2026-12-01T00:00:00Z")),
    ("@yearly", "2026-11-28T22:37:20Z", At("2027-01-01T00:00:00Z")),
    ("@annually", "2026-11-28T22:37:20Z", At("2027-01-01T00:00:00Z")),
    ("@Daily", "2026-11-28T22:37:20Z", Refused),
    ("@reboot", "2026-11-28T22:37:20Z", Refused),
    ("@every 1m", "2026-11-28T22:37:20Z", At("2026-11-28T22:38:20Z")),
    ("@every 90s", "2026-11-28T22:37:20Z", At("2026-11-28T22:38:50Z")),
    ("@every 1h30m", "2026-11-28T22:37:20Z", At("2026-11-29T00:07:20Z")),
    ("@every 1500ms", "2026-11-28T22:37:20Z", At("2026-11-28T22:37:21Z")),
    ("@every 0s", "2026-11-28T22:37:20Z", At("2026-11-28T22:37:21Z")),
    ("@every -1h", "2026-11-28T22:37:20Z", At("2026-11-28T22:37:21Z")),
    ("@every 1d", "2026-11-28T22:37:20Z", Refused),
    ("@every", "2026-11-28T22:37:20Z", Refused),
    ("@every  1h", "2026-11-28T22:37:20Z", Refused),
    ("0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T02:00:00Z")),
    ("0 2 * * *", "2026-11-28T02:00:00Z", At("2026-11-29T02:00:00Z")),
    ("*/15 * * * *", "2026-11-28T22:37:20Z", At("2026-11-28T22:45:00Z")),
    ("5/15 * * * *", "2026-11-28T22:37:20Z", At("2026-11-28T22:50:00Z")),
    ("5-40/15 3 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T03:05:00Z")),
    ("0 0 1,15 * *", "2026-11-28T22:37:20Z", At("2026-12-01T00:00:00Z")),
    ("0 0 13 * FRI", "2026-11-28T22:37:20Z", At("2026-12-04T00:00:00Z")),
    ("0 0 */2 * FRI", "2026-11-28T22:37:20Z", At("2026-11-29T00:00:00Z")),
    ("0 0 */1 * FRI", "2026-11-28T22:37:20Z", At("2026-12-04T00:00:00Z")),
    ("0 0 13 * *", "2026-11-28T22:37:20Z", At("2026-12-13T00:00:00Z")),
    ("0 0 * * mon-fri", "2026-11-28T22:37:20Z", At("2026-11-30T00:00:00Z")),
    ("0 0 * jan-mar Sun", "2026-11-28T22:37:20Z", At("2027-01-03T00:00:00Z")),
    ("0 0 29 2 *", "2026-11-28T22:37:20Z", At("2028-02-29T00:00:00Z")),
    ("0 0 31 2 *", "2026-11-28T22:37:20Z", Never),
    ("0 0 30 FEB ?", "2026-11-28T22:37:20Z", Never),
    (", * * * *", "2026-11-28T22:37:20Z", Never),
    ("1,,2 * * * *", "2026-11-28T22:37:20Z", At("2026-11-28T23:01:00Z")),
    ("0 0 * * 7", "2026-11-28T22:37:20Z", Refused),
    ("0 24 * * *", "2026-11-28T22:37:20Z", Refused),
    ("60 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("0 0 0 * *", "2026-11-28T22:37:20Z", Refused),
    ("0 0 * 13 *", "2026-11-28T22:37:20Z", Refused),
    ("*/0 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("*/99 * * * *", "2026-11-28T22:37:20Z", At("2026-11-28T23:00:00Z")),
    ("5-1 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("1-2-3 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("*/1/2 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("*-5 * * * *", "2026-11-28T22:37:20Z", At("2026-11-28T22:38:00Z")),
    ("+5 007 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T07:05:00Z")),
    ("-5 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("1.5 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("99999999999999999999 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("*/18446744073709551615 * * * *", "2026-11-28T22:37:20Z", Refused),
    ("0 0 L * *", "2026-11-28T22:37:20Z", Refused),
    ("0 0 * * 5#3", "2026-11-28T22:37:20Z", Refused),
    ("0 0 15W * *", "2026-11-28T22:37:20Z", Refused),
    ("0 0 * * monday", "2026-11-28T22:37:20Z", Refused),
    ("0 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("0 0 * *", "2026-11-28T22:37:20Z", Refused),
    ("", "2026-11-28T22:37:20Z", Refused),
    ("  0   2 * * *  ", "2026-11-28T22:37:20Z", At("2026-11-29T02:00:00Z")),
    ("CRON_TZ=Europe/Berlin 0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T01:00:00Z")),
    ("TZ=Europe/Berlin 0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T01:00:00Z")),
    ("TZ=Europe/Berlin 0 2 * * *", "2026-07-28T22:37:20Z", At("2026-07-29T00:00:00Z")),
    ("TZ=Asia/Kolkata 30 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T21:00:00Z")),
    ("TZ=UTC @daily", "2026-11-28T22:37:20Z", At("2026-11-29T00:00:00Z")),
    ("TZ=Asia/Tokyo @daily", "2026-11-28T22:37:20Z", At("2026-11-29T15:00:00Z")),
    ("TZ=Asia/Tokyo @every 1h", "2026-11-28T22:37:20Z", At("2026-11-28T23:37:20Z")),
    ("TZ= 0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T02:00:00Z")),
    ("TZ=Local 0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T02:00:00Z")),
    ("TZ=UTC", "2026-11-28T22:37:20Z", Refused),
    ("TZ=Europe/Bonn 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("TZ=europe/berlin 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("TZ=../Berlin 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("TZ=/etc/localtime 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("tz=UTC 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("TZ=CET 0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T01:00:00Z")),
    ("TZ=EST5EDT 0 2 * * *", "2026-11-28T22:37:20Z", At("2026-11-29T07:00:00Z")),
    ("TZ=+02:00 0 2 * * *", "2026-11-28T22:37:20Z", Refused),
    ("TZ=Europe/Berlin 30 2 * * *", "2026-03-28T22:37:20Z", At("2026-03-30T00:30:00Z")),
    ("TZ=Europe/Berlin 30 2 * * *", "2026-10-24T22:37:20Z", At("2026-10-25T00:30:00Z")),
    ("TZ=Europe/Berlin 30 2 * * *", "2026-10-25T00:30:00Z", At("2026-10-25T01:30:00Z")),
    ("TZ=Europe/Berlin 30 2 * * *", "2026-10-25T01:30:00Z", At("2026-10-26T01:30:00Z")),
];

/// What it takes and we do not.
const HARMFUL: [&str; 2] = ["@every 0s", "@every -1h"];

#[test]
fn expressions_are_understood_as_velero_does() {
    for (text, moment, said) in OF_ROBFIG {
        let moment = moment.parse().unwrap();
        let next = Cron::parse(text).map(|cron| cron.next(moment));
        match said {
            _ if HARMFUL.contains(text) => assert_eq!(next, Err(CronError::NoInterval), "{text}"),
            At(time) => assert_eq!(next, Ok(Some(time.parse().unwrap())), "{text}"),
            Never => assert_eq!(next, Err(CronError::Never), "{text}"),
            Refused => assert!(next.is_err(), "{text}: {next:?}"),
        }
    }
}

#[test]
fn refusal_names_the_field() {
    let reason = |text| Cron::parse(text).unwrap_err().to_string();
    assert!(reason("0 0 * * 7").contains("day of week `7`"));
    assert!(reason("0 0 2 * * *").contains("6 fields"));
    assert!(reason("TZ=Europe/Bonn 0 2 * * *").contains("`Europe/Bonn`"));
    assert!(reason("@every 1d").contains("unit `d`"));
    assert!(reason("0 0 30 2 *").contains("never comes"));
}
