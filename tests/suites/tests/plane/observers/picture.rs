//! The picture of the dashboard that users see.

use std::fs;

use worlds::operator::workspace;
use worlds::prometheus::panels::Dashboard;
use worlds::prometheus::picture::draw;
use worlds::prometheus::recording::Recording;

/// With `UPDATE_DOCS=1` it is drawn again instead of compared.
#[test]
fn picture_of_the_dashboard_is_drawn_from_its_queries() {
    let dashboard = workspace().join("velero-charm/src/ours/dashboard.json");
    let dashboard = fs::read_to_string(dashboard).unwrap();
    let dashboard: Dashboard = serde_json::from_str(&dashboard).unwrap();
    let picture = draw(&dashboard, &Recording::read().unwrap()).unwrap();
    let path = workspace().join("docs/images/dashboard.svg");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == picture,
        "UPDATE_DOCS=1 draws {} again",
        path.display()
    );
}
