//! Who is backed up, and who watches. A Schedule that is late has to be there for longer than a test, since the API server
//! dates it: that is left to unit tests.

use serde_json::json;
use worlds::cos::COS;
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use super::store::WRAPPED;
use super::table::{Rows, Section};
use crate::keep::{self, End};
use crate::{clients, here, observers};

pub(crate) async fn targets(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "targets").await.unwrap();
    let manual = json!({"include_namespaces": ["shop"]});
    let here = world.namespace.clone();
    clients::deploy(&mut world, "minio");
    let mut wrong = manual.clone();
    wrong["ttl"] = json!("30d");
    clients::ask(&mut world, "minio", &here, &wrong);
    clients::relate(&mut world, "minio");
    world.settle().await.unwrap();
    let situation = "An application asks to be backed up in a way that cannot be";
    rows.take(&world, Section::Backups, "blocked", situation);
    clients::ask(&mut world, "minio", "their-model", &wrong);
    world.settle().await.unwrap();
    let situation = "The same, and the application is in another model";
    rows.take(&world, Section::Backups, "blocked", situation);
    clients::ask(&mut world, "minio", &here, &manual);
    world.settle().await.unwrap();
    rows.healed(&world);

    clients::deploy(&mut world, "second");
    wrong["ttl"] = json!("48h");
    clients::ask(&mut world, "second", &here, &wrong);
    clients::relate(&mut world, "second");
    world.settle().await.unwrap();
    let situation = "Two relations ask for one application in different ways";
    rows.take(&world, Section::Backups, "blocked", situation);
    world.juju.remove_relation(APP, "second").unwrap();
    world.settle().await.unwrap();
    rows.healed(&world);

    for (option, value, situation) in [
        (
            "schedule",
            "0 0 2 * * *",
            "`schedule` is no cron expression",
        ),
        ("ttl", "30d", "`ttl` is no duration"),
        ("keep", "3", "`keep` is no rule"),
    ] {
        world.config(option, value).await.unwrap();
        rows.take(&world, Section::Config, "blocked", situation);
        world.reset(&[option]).await.unwrap();
        rows.healed(&world);
    }

    let by_files = [
        ("use-node-agent", "true"),
        ("default-volumes-to-fs-backup", "true"),
    ];
    world.juju.config(APP, &by_files).unwrap();
    let mut without_pods = manual;
    without_pods["include_resources"] = json!(["persistentvolumeclaims"]);
    clients::ask(&mut world, "minio", &here, &without_pods);
    world.settle().await.unwrap();
    let situation =
        "An application asks for volumes, and not for the pods through which their files are read";
    rows.take(&world, Section::Backups, "active", situation);
    without_pods["include_resources"] = json!(["persistentvolumeclaims", "pods"]);
    clients::ask(&mut world, "minio", &here, &without_pods);
    world.settle().await.unwrap();
    rows.healed(&world);
    rows
}

pub(crate) async fn schedules(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "schedules").await.unwrap();
    let schedule = |cron: &str| {
        json!({
            "apiVersion": "velero.io/v1", "kind": "Schedule",
            "metadata": {"name": "nightly", "namespace": world.namespace},
            "spec": {"schedule": cron, "template": {}},
        })
    };
    let (wrong, right) = (schedule("nightly"), schedule("@daily"));
    world.apply(&wrong).await.unwrap();
    judged(
        &world,
        "FailedValidation",
        "invalid schedule: expected exactly 5 fields, found 1: [nightly]",
    )
    .await;
    world.update_status().await.unwrap();
    rows.take(
        &world,
        Section::Backups,
        "blocked",
        "Velero refuses a Schedule",
    );
    world.apply(&right).await.unwrap();
    judged(&world, "Enabled", "").await;
    world.update_status().await.unwrap();
    rows.healed(&world);

    let live = clients::only(&world).await;
    for (name, phase) in [("nightly-1", "Failed"), ("nightly-2", "PartiallyFailed")] {
        clients::backup(&world, &live, name, phase).await;
    }
    world.update_status().await.unwrap();
    let situation = "A Schedule has failed twice in a row";
    rows.take(&world, Section::Backups, "blocked", situation);
    clients::backup(&world, &live, "nightly-3", "Completed").await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    let situation = "All is well, and a Schedule has made a good backup";
    rows.take(&world, Section::Backups, "active", situation);
    rows
}

/// What Velero says of the Schedule.
async fn judged(world: &LightWorld, phase: &str, error: &str) {
    let errors: Vec<_> = Some(error)
        .filter(|text| !text.is_empty())
        .into_iter()
        .collect();
    let status = json!({"status": {"phase": phase, "validationErrors": errors}}).to_string();
    let patch = [
        "patch",
        "schedules.velero.io",
        "nightly",
        "--type=merge",
        "-p",
        &status,
    ];
    here(world, &patch).await;
}

pub(crate) async fn surplus(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let (mut world, schedule) = keep::kept(plane, "surplus", "last 1").await;
    for day in [1, 2] {
        keep::make(&world, &schedule, day, End::Whole).await;
    }
    world.update_status().await.unwrap();
    let why = format!(
        "{WRAPPED}operation error S3: DeleteObject, https response error StatusCode: 403, RequestID: \
         18EA68A1E1169F0A564C39ED, HostID: , api error AccessDenied: Access Denied"
    );
    keep::fail(&world, &schedule, 1, &why).await;
    world.update_status().await.unwrap();
    let situation = "Velero cannot delete a backup that `keep` no longer keeps";
    rows.take(&world, Section::Backups, "active", situation);
    keep::delete(&world, &schedule).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

pub(crate) async fn watched(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "watched").await.unwrap();
    observers::deploy_cos(&mut world).await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "velero-metrics", "namespace": world.namespace},
        "spec": {"ports": [{"port": 80}], "selector": {"theirs": "yes"}},
    });
    world.apply(&theirs).await.unwrap();
    observers::relate(&mut world).await;
    let situation = "Somebody else has a Service of the name that Prometheus is to use";
    rows.take(&world, Section::Backups, "active", situation);
    here(&world, &["delete", "service", "velero-metrics"]).await;
    world.update_status().await.unwrap();
    rows.healed(&world);

    let complaint = |text: &'static str| [("complaint", text)];
    let said = complaint("group 1, rule 2: unknown function");
    world.juju.config(COS, &said).unwrap();
    world.settle().await.unwrap();
    let situation = "Prometheus and Grafana refuse what they were sent";
    rows.take(&world, Section::Backups, "active", situation);
    world.juju.config(COS, &complaint("")).unwrap();
    world.settle().await.unwrap();
    rows.healed(&world);
    rows
}
