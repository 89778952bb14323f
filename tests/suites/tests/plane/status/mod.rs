//! Every status that a user can meet, brought about; and the page that lists them, made from that.
//!
//! With `UPDATE_DOCS=1` the page is written again instead of compared.
//!
//! Everything is caused, not injected, as far as a control plane without kubelet and store goes; what those
//! two say is quoted from real ones. Left to unit tests are the hook that runs out of its three minutes,
//! and Schedules that are late or held.

mod asking;
mod cluster;
mod gcs;
mod pods;
mod protected;
mod store;
mod table;

use std::fmt::Write as _;
use std::path::PathBuf;

use futures::future::{FutureExt as _, LocalBoxFuture};
use futures::stream::{self, StreamExt as _};
use worlds::operator;
use worlds::plane::Plane;

use table::{Rows, Section};

/// What a status says to do about these was not done: a proxy plays them, and what it plays heals in no other way.
const UNTRIED: [&str; 2] = [
    "The API server's certificate has expired",
    "The charm may read only a part of the cluster",
];

/// As many groups are worked on: most of their time is spent waiting, but a hook that has to share two cores with all
/// of them is too slow for what it waits for.
const AT_ONCE: usize = 8;

const HEAD: &str = "\
# Statuses

What `juju status` shows for the unit, and when. A message says what to do, then `: `, then why.
`blocked` needs somebody to do it; `waiting` says what is awaited and passes on its own; `maintenance` is
work in progress. After ten minutes of waiting for pods, a node or an integrator the unit is `blocked` and says
since when; work in flight holds a change back for six hours at most. For the leader, the API server and the end of
a model there is nothing to do here, however long it takes. When several things are wrong, the worst is shown and the others are counted; all of
them are in `juju debug-log` at level DEBUG. A cause that is too long is cut in its middle.

The application is called `velero-operator` here, the model `my-model`, the integrators as their charms.
A test makes this page: it brings each status about.
";

fn page() -> PathBuf {
    operator::workspace().join("docs/reference/statuses.md")
}

fn rendered(rows: &[Rows]) -> String {
    let mut text = HEAD.to_owned();
    for section in Section::ALL {
        let rows = rows.iter().flat_map(|rows| rows.of(section));
        let _ = write!(
            text,
            "\n## {}\n\n| situation | level | message |\n| --- | --- | --- |\n",
            section.title()
        );
        text.extend(rows.map(|row| format!("{row}\n")));
    }
    text
}

/// The first line in which two texts differ, as both have it.
fn first_difference(one: &str, two: &str) -> Option<String> {
    let lines = one.lines().map(Some).chain([None; 1]);
    let others = two.lines().map(Some).chain([None; 1]);
    let mut pairs = lines.zip(others);
    let (one, two) = pairs.find(|(one, two)| one != two)?;
    Some(format!("{one:?}\n{two:?}"))
}

#[tokio::test]
async fn statuses_are_all_brought_about_and_listed() {
    operator::program().await.unwrap();
    let plane = Plane::start().await.unwrap();
    // In the order of the page.
    let groups: Vec<LocalBoxFuture<'_, Rows>> = vec![
        asking::trust_and_storage(&plane).boxed_local(),
        asking::two_stores(&plane).boxed_local(),
        cluster::foreign(&plane).boxed_local(),
        asking::config(&plane).boxed_local(),
        store::unjudged(&plane).boxed_local(),
        store::s3(&plane).boxed_local(),
        store::azure(&plane).boxed_local(),
        gcs::gcs(&plane).boxed_local(),
        protected::targets(&plane).boxed_local(),
        protected::schedules(&plane).boxed_local(),
        protected::surplus(&plane).boxed_local(),
        protected::watched(&plane).boxed_local(),
        pods::slow_server(&plane).boxed_local(),
        pods::slow_agent(&plane).boxed_local(),
        pods::broken(&plane).boxed_local(),
        pods::unreliable(&plane).boxed_local(),
        pods::node_down(&plane).boxed_local(),
        cluster::pod_security(&plane).boxed_local(),
        store::unknown_phase(&plane).boxed_local(),
        cluster::busy(&plane).boxed_local(),
        cluster::busy_agent(&plane).boxed_local(),
        cluster::refused(&plane).boxed_local(),
        pods::lost(&plane).boxed_local(),
        asking::command_line(&plane).boxed_local(),
        cluster::unreachable(&plane).boxed_local(),
        cluster::sick_api_server(&plane).boxed_local(),
    ];
    let numbered = groups.into_iter().enumerate();
    let numbered = numbered.map(|(number, rows)| async move { (number, rows.await) });
    let mut numbered: Vec<_> = stream::iter(numbered)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    numbered.sort_by_key(|(number, _)| *number);
    let (_, mut rows): (Vec<_>, Vec<_>) = numbered.into_iter().unzip();
    // Its classes are the whole cluster's.
    rows.push(cluster::not_snapshotted(&plane).await);
    // It takes away the node's room.
    rows.push(pods::unschedulable(&plane).await);

    let untried = rows.iter().flat_map(Rows::untried);
    assert_eq!(untried.collect::<Vec<_>>(), UNTRIED);
    let text = rendered(&rows);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(page().parent().unwrap()).unwrap();
        std::fs::write(page(), &text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(page()).unwrap_or_default();
    if let Some(difference) = first_difference(&committed, &text) {
        let fresh = std::env::temp_dir().join("statuses.md");
        std::fs::write(&fresh, &text).unwrap();
        panic!(
            "{} is not what {} says; UPDATE_DOCS=1 writes it again:\n{difference}",
            page().display(),
            fresh.display()
        );
    }
}
