//! The page of the table, for users.

use std::fmt::Write as _;

use super::courses::Course;
use super::table::{End, Heal, Outcome, ROWS, Row, Way};

const HEAD: &str = "\
# Integrators

Does your integrator's revision work with this charm, and what happens when its keys or options change? A test takes
each row of these tables through each course and makes this page of them:
`UPDATE_DOCS=1 CHARM_PROFILE=dev cargo test -p suites --test plane integrators`.

Every release that is listed works. Where nothing else is said, what works stays as it is while data is wrong or missing.
";

const COURSES: &str = "
## What happens

| course | what is done |
| --- | --- |
| first data | it is integrated before it has keys, then given them |
| rotation | it is given new keys |
| reset | each option that is not needed is set, then reset |
| blank | `bucket`, `container` or `tenant-id` is set to nothing |
| revoked | `juju revoke-secret` for the user's secret |
| granted late | `juju grant-secret` after it was integrated |
| removal | `juju remove-relation` |
| again | `juju integrate` after a removal; it has its keys already |
| refresh | `juju refresh` of it, to releases that talk otherwise |
| from Python | the Python charm was related; `juju refresh` to this charm |
";

const WORDS: &str = "
## What the words mean

- **connects**: the unit is `active`, and the location and its one credential file have the user's bucket and newest key,
  which has come as a Juju secret.
- **in the clear**: the same, but the key comes in the data bag, where anyone with read access to the model sees it. The
  integrator has no other way. If it names no version, the log may advise to integrate again all the same, in vain.
- **stays in the clear**: the integrator could send a secret, but has sent keys before this charm asked for one. The log
  has the two commands that mend it; an `azure-auth-integrator` before March 2026 is to be refreshed first, since it may
  answer before it is asked each time.
- **as a secret too**: what was in the clear stays in the integrator's data bag, and grows old. This charm uses the secret.
  Integrating again takes the old keys away.
- **in force**: Velero uses the new key after the hook that tells of it. No pod and no server is restarted, and nothing
  else of the location changes.
- **taken back**: the location is as if the option had never been set. **stays**: the integrator keeps its old value in
  the data bag, so it stays in force until it is set to another value or integrated again.
- **nothing changes**: the integrator does not send it, so what works stays and the unit is `active`. Its own status may
  say more.
- **kept, blocked**: what works stays, and the status says what to do.
- **disconnects**: location and credential file are gone, and the status names the integrators.
";

const SOURCES: &str = "
## Where this is from

A row with a package has the integrator's real library at the other end, from PyPI, in a charm of the tests that has
options and nothing else. The others are played: by what releases of the real charms were seen to do, and by their
sources, <https://github.com/canonical/object-storage-integrators> and
<https://github.com/canonical/azure-auth-integrator>. What the previous charm's libraries left in the data bags is
taken out of them in the course from Python.
";

/// The columns, in the order in which users think of them.
const COLUMNS: [(Course, &str); 10] = [
    (Course::First, "first data"),
    (Course::Rotation, "rotation"),
    (Course::Resets, "reset"),
    (Course::Blank, "blank"),
    (Course::Revoked, "revoked"),
    (Course::Late, "granted late"),
    (Course::Removal, "removal"),
    (Course::Again, "again"),
    (Course::Refresh, "refresh"),
    (Course::Python, "from Python"),
];

/// The page.
pub(super) fn of_table() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Releases\n\n| | integrator | releases | other end in the test |\n| --- | --- | --- | --- |\n");
    for (number, row) in (1..).zip(ROWS) {
        let end = match row.end {
            End::Played(_) => "played".to_owned(),
            End::Library(_, package, _) => format!("`{package}`"),
        };
        writeln!(
            page,
            "| {number} | `{}` | {} | {end} |",
            row.charm, row.releases
        )
        .unwrap();
    }
    page.push_str(COURSES);
    let names = COLUMNS.map(|(_, name)| name).join(" | ");
    write!(
        page,
        "\n| | {names} |\n|{}\n",
        " --- |".repeat(COLUMNS.len() + 1)
    )
    .unwrap();
    let mut reasons = Vec::new();
    for (number, row) in (1..).zip(ROWS) {
        let cells = COLUMNS.map(|(course, _)| cell(row, row.outcome(course), &mut reasons));
        writeln!(page, "| {number} `{}` | {} |", row.charm, cells.join(" | ")).unwrap();
    }
    page.push_str("\nWhere there is a letter, there is no such course:\n\n");
    for (letter, reason) in ('a'..).zip(&reasons) {
        writeln!(page, "- {letter}: {reason}").unwrap();
    }
    page.push_str(WORDS);
    page.push_str(&statuses());
    page.push_str(SOURCES);
    page
}

/// What a cell says; a reason why there is none is a letter.
fn cell(row: &Row, outcome: Outcome, reasons: &mut Vec<&'static str>) -> String {
    let words = match outcome {
        Outcome::Connects(Way::Secret) => "connects",
        Outcome::Connects(Way::Clear) => "connects, in the clear",
        Outcome::Connects(Way::StaysClear) => "connects, stays in the clear",
        Outcome::Connects(Way::Both) => "connects, as a secret too",
        Outcome::InForce => "in force",
        Outcome::TakenBack([]) => "taken back",
        Outcome::TakenBack(stand) if stand.len() == row.offer().extras().len() => "stays",
        Outcome::TakenBack(stand) => {
            return format!("taken back, but `{}` stays", stand.join("`, `"));
        }
        Outcome::Kept(_) => "kept, blocked",
        Outcome::KeptLater(_) => "nothing changes; with the next change of an option kept, blocked",
        Outcome::Unmoved => "nothing changes",
        Outcome::Heals(_, Heal::UpdateStatus) => {
            "connects with the integrator's next `update-status`"
        }
        Outcome::Heals(_, Heal::IntegratingAgain) => "connects once integrated again",
        Outcome::Disconnects => "disconnects",
        Outcome::BackToTheKey => "back to the account's key",
        Outcome::Cannot(reason) => {
            let at = reasons.iter().position(|known| *known == reason);
            let at = at.unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
            return ('a'..).nth(at).unwrap().to_string();
        }
    };
    words.to_owned()
}

fn statuses() -> String {
    let mut text = "
## What the status says

| | course | status |
| --- | --- | --- |
"
    .to_owned();
    for (number, row) in (1..).zip(ROWS) {
        for (course, name) in COLUMNS {
            if let Outcome::Kept(status) | Outcome::KeptLater(status) | Outcome::Heals(status, _) =
                row.outcome(course)
            {
                writeln!(text, "| {number} | {name} | {status} |").unwrap();
            }
        }
    }
    text
}
