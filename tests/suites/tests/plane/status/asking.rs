//! What users and integrators ask for: trust, relations, options, data; and the CLI that renders it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use juju_emulator::{AzureSettings, DeployOptions, S3Settings};
use worlds::operator::{APP, S3, UNIT};
use worlds::plane::{LightWorld, Plane};
use worlds::versions;

use super::table::{Rows, Section};

pub(crate) const AZURE: &str = "azure-storage-integrator";

pub(crate) async fn trust_and_storage(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = plane.world("trust").await.unwrap();
    world.deploy(DeployOptions::default()).await.unwrap();
    rows.take(
        &world,
        Section::Setup,
        "blocked",
        "Deployed without `--trust`",
    );

    world.juju.trust(APP).await.unwrap();
    world.settle().await.unwrap();
    rows.take(&world, Section::Setup, "blocked", "No storage relation");

    let good = world.settings();
    let silent = S3Settings {
        options: good.options.clone(),
        ..S3Settings::default()
    };
    world.integrate(silent).await.unwrap();
    let situation = "The integrator has not been given its keys";
    rows.take(&world, Section::Setup, "waiting", situation);

    let keys = [
        ("access-key", good.access_key.as_str()),
        ("secret-key", good.secret_key.as_str()),
    ];
    world.juju.config(S3, &keys).unwrap();
    world.settle().await.unwrap();
    rows.healed(&world);
    rows.take(&world, Section::Setup, "active", "All is well");

    let follower = world.juju.add_unit(APP).unwrap();
    world.settle().await.unwrap();
    let situation = "All is well, on a unit that is not the leader";
    rows.take_of(&world, &follower, Section::Setup, "active", situation);
    world.juju.remove_unit(&follower).unwrap();
    world.settle().await.unwrap();

    world.offer("path", "velero").await.unwrap();
    world.expect_status("active: ").unwrap();

    world.juju.untrust(APP).await.unwrap();
    world.settle().await.unwrap();
    rows.take(&world, Section::Setup, "blocked", "Trust was taken back");

    world.juju.trust(APP).await.unwrap();
    world.settle().await.unwrap();
    rows.healed(&world);
    world.juju.remove_application(S3).unwrap();
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    for (message, situation) in [
        ("installing Velero", "Velero is being installed"),
        (
            "updating Velero",
            "A relation, an option or a new release changes Velero",
        ),
        (
            "configuring the object store",
            "The store's settings or keys change",
        ),
        ("removing Velero", "The application is being removed"),
    ] {
        rows.take_said(&world, message, situation);
    }
    rows
}

pub(crate) async fn two_stores(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "both-stores").await.unwrap();
    let azure = AzureSettings::of_account("acme", "velero", "YSBsaWdodCBrZXk=");
    world.juju.deploy_azure_integrator(AZURE, azure).unwrap();
    world.juju.integrate(APP, AZURE).unwrap();
    world.settle().await.unwrap();
    let situation = "More than one storage relation";
    rows.take(&world, Section::Setup, "blocked", situation);
    world.juju.remove_relation(APP, AZURE).unwrap();
    world.settle().await.unwrap();
    rows.healed(&world);
    rows
}

pub(crate) async fn config(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "config").await.unwrap();
    let options = [
        ("velero-image", "", "`velero-image` is empty"),
        (
            "velero-image",
            "Velero/velero",
            "`velero-image` is no image",
        ),
        (
            "velero-image",
            "velero/velero:v1.17.2",
            "`velero-image` is of another minor version",
        ),
        (
            "velero-aws-plugin-image",
            "",
            "`velero-aws-plugin-image` is empty",
        ),
        (
            "velero-aws-plugin-image",
            "an image",
            "`velero-aws-plugin-image` is no image",
        ),
        (
            "default-volumes-to-fs-backup",
            "true",
            "`default-volumes-to-fs-backup` without `use-node-agent`",
        ),
    ];
    for (option, value, situation) in options {
        world.config(option, value).await.unwrap();
        rows.take(&world, Section::Config, "blocked", situation);
        let remedy = match option {
            "velero-image" => versions::velero_image(),
            "velero-aws-plugin-image" => versions::plugin_aws_image(),
            _ => "false".to_owned(),
        };
        world.expect_in_status("blocked: ", &[&remedy]).unwrap();
        world.config(option, &remedy).await.unwrap();
        rows.healed(&world);
        world.reset(&[option]).await.unwrap();
    }
    let several = [
        ("velero-image", ""),
        ("default-volumes-to-fs-backup", "true"),
    ];
    world.juju.config(APP, &several).unwrap();
    world.settle().await.unwrap();
    rows.take(
        &world,
        Section::Config,
        "blocked",
        "Several options are wrong",
    );
    let names = several.map(|(option, _)| option);
    world.reset(&names).await.unwrap();
    rows.healed(&world);
    rows
}

pub(crate) async fn command_line(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::deployed(plane, "command-line").await.unwrap();
    let cli = world.juju.charm_dir(UNIT).join("velero");
    let scripts = [
        (None, "The Velero CLI is missing from the charm"),
        (
            Some("echo 'an error occurred: no such flag' >&2; exit 1"),
            "The Velero CLI fails",
        ),
        (Some("echo hello"), "The Velero CLI gives no manifests"),
        (Some("exec sleep 60"), "The Velero CLI does not end"),
    ];
    world
        .juju
        .config(APP, &[("use-node-agent", "true")])
        .unwrap();
    for (script, situation) in scripts {
        // The file is shared with the charm's other copies: it is replaced, never written to.
        fs::remove_file(&cli).unwrap();
        if let Some(script) = script {
            fs::write(&cli, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
        }
        world.update_status().await.unwrap();
        rows.take(&world, Section::Cluster, "blocked", situation);
        if script.is_none() {
            fs::write(&cli, "").unwrap();
        }
    }
    world.refresh().await.unwrap();
    world.connect().await.unwrap();
    rows.healed(&world);
    rows
}
