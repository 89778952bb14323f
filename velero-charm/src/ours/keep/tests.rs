use jiff::SignedDuration;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn rule(text: &str) -> Rule {
    Rule::parse(text).unwrap()
}

/// Backups of these grades at these hours after the first one.
fn ended<'a>(names: &'a [String], history: &[(i64, Grade)]) -> BTreeSet<Ended<'a>> {
    let first: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
    let all = names.iter().zip(history);
    all.map(|(name, (hour, grade))| Ended {
        begun: first + SignedDuration::from_hours(*hour),
        name,
        grade: *grade,
    })
    .collect()
}

fn names(number: usize) -> Vec<String> {
    (0..number).map(|number| format!("b{number:04}")).collect()
}

/// What is kept of a Backup each day.
fn kept_of_days(text: &str, grades: &[Grade]) -> Vec<String> {
    let names = names(grades.len());
    let history: Vec<_> = (0..).step_by(24).zip(grades.iter().copied()).collect();
    let kept = rule(text).kept(&ended(&names, &history));
    kept.iter().map(|one| one.name.to_owned()).collect()
}

#[test]
fn rule_is_read_as_it_is_written() {
    for text in ["last 3", "last 1", "7d,4w,6m", "6m", "30d", "2w"] {
        assert_eq!(rule(text).to_string(), text);
    }
    assert_eq!(rule(" 4w , 7d "), rule("7d,4w"));
    for (text, reason) in [
        ("last", "has `last`"),
        ("last 0", "keeps nothing"),
        ("last -1", "has `-1`"),
        ("last +1", "has `+1`"),
        ("last 3 days", "has `last 3 days`"),
        ("last 1001", "no number up to 1000"),
        ("3", "has `3`, which is no rule"),
        ("7d,", "has ``"),
        ("7d,7d", "in addition to another"),
        ("0d", "keeps nothing"),
        ("d", "has ``, which is no number"),
        ("7days", "has `7days`"),
        ("720h", "has `720h`"),
        ("1y", "has `1y`"),
    ] {
        let told = Rule::parse(text).unwrap_err();
        assert!(told.contains(reason), "{text}: {told}");
    }
}

#[test]
fn last_of_days_weeks_and_months_are_kept() {
    use Grade::Good;
    assert_eq!(
        kept_of_days("last 3", &[Good; 10]),
        ["b0007", "b0008", "b0009"]
    );
    // Until Wednesday, 2026-04-15: three days, two Sundays, the last days of two months.
    let kept = kept_of_days("3d,3w,3m", &[Good; 105]);
    assert_eq!(
        kept,
        [
            "b0058", // 2026-02-28
            "b0089", // 2026-03-31
            "b0094", // 2026-04-05, a Sunday
            "b0101", // 2026-04-12, a Sunday
            "b0102", "b0103", "b0104",
        ]
    );
}

#[test]
fn failures_take_no_place_of_a_good_one() {
    use Grade::{Failed, Good, Partial};
    let ten_failures = [&[Good, Good][..], &[Failed; 10]].concat();
    assert_eq!(
        kept_of_days("last 1", &ten_failures),
        ["b0001", "b0010", "b0011"],
        "and two tell that it fails"
    );
    let partly = [&[Good][..], &[Partial; 5], &[Failed; 5]].concat();
    assert_eq!(
        kept_of_days("last 2", &partly),
        ["b0000", "b0004", "b0005", "b0009", "b0010"]
    );
    let never_good = [Partial; 30];
    assert_eq!(kept_of_days("last 2", &never_good), ["b0028", "b0029"]);
    let healed = [&[Failed; 5][..], &[Good, Good]].concat();
    assert_eq!(kept_of_days("last 2", &healed), ["b0005", "b0006"]);
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let periods = (0..8_u32, 0..6_u32, 0..14_u32);
    let periods = periods.prop_filter("keeps nothing", |all| *all != (0, 0, 0));
    prop_oneof![
        (1..9_u32).prop_map(|number| Rule::Last(NonZeroU32::new(number).unwrap())),
        periods.prop_map(|(days, weeks, months)| Rule::Periods(Periods {
            days,
            weeks,
            months
        })),
    ]
}

/// Years, with gaps of some hours up to some days between Backups.
fn any_history() -> impl Strategy<Value = Vec<(i64, Grade)>> {
    let gap = prop_oneof![8 => Just(24_i64), 2 => 1..5_i64, 1 => 30..200_i64];
    let grade = select(vec![
        Grade::Good,
        Grade::Good,
        Grade::Partial,
        Grade::Failed,
    ]);
    vec((gap, grade), 1..1100).prop_map(|steps| {
        let mut hour = 0;
        let mut at = |gap| {
            hour += gap;
            hour
        };
        steps
            .into_iter()
            .map(|(gap, grade)| (at(gap), grade))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The charm applies it after each Backup, and what it deletes is gone for the next time.
    #[test]
    fn rule_holds_over_years_of_days(rule in any_rule(), history in any_history()) {
        let names = names(history.len());
        let all = ended(&names, &history);
        let mut there = BTreeSet::new();
        let mut since_the_first = BTreeSet::new();
        for one in all {
            there.insert(one);
            since_the_first.insert(one);
            let kept = rule.kept(&there);

            let last_good = since_the_first.iter().rfind(|one| one.grade == Grade::Good);
            prop_assert!(last_good.is_none_or(|good| kept.contains(good)), "the last good one");
            prop_assert!(kept.contains(&one), "the newest");
            prop_assert!(kept.is_subset(&there));
            prop_assert_eq!(&rule.kept(&kept), &kept, "nothing goes without a newer one");
            prop_assert!(kept.len() <= most(&rule), "{} are kept", kept.len());
            there = kept;
        }
        prop_assert_eq!(rule.kept(&since_the_first), there, "what went is not missed");
    }

    #[test]
    fn failures_change_nothing_of_what_is_good(rule in any_rule(), history in any_history()) {
        let names = names(history.len());
        let all = ended(&names, &history);
        let is_good = |one: &Ended<'_>| one.grade == Grade::Good;
        let good: BTreeSet<_> = all.iter().copied().filter(is_good).collect();
        let alone = rule.kept(&good);
        prop_assert!(alone.is_subset(&rule.kept(&all)));
    }
}

/// By each grade, and two that tell of failures.
fn most(rule: &Rule) -> usize {
    let of_a_grade = match rule {
        Rule::Last(number) => number.get(),
        Rule::Periods(Periods {
            days,
            weeks,
            months,
        }) => days + weeks + months,
    };
    3 * usize::try_from(of_a_grade).unwrap() + FAILURES
}
