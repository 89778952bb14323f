//! Velero's CLI in the charm's folder, in every way in which it can be of no use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use juju_emulator::DeployOptions;
use worlds::operator::UNIT;
use worlds::plane::{Plane, Trial};
use worlds::side_by_side::{alone, side_by_side};

/// What is in the CLI's place, and what the user reads.
enum Instead {
    Nothing,
    NotExecutable,
    Script(&'static str),
}

const ADVICE: &str = "blocked: run `juju refresh velero-operator`: the bundled Velero CLI ";

const CASES: [(&str, Instead, &str); 6] = [
    (
        "missing",
        Instead::Nothing,
        "could not be started: No such file or directory",
    ),
    (
        "locked",
        Instead::NotExecutable,
        "could not be started: Permission denied",
    ),
    (
        "failing",
        Instead::Script("echo >&2 'An error occurred: no such\nflag'; exit 3"),
        "failed with exit code 3: An error occurred: no such flag",
    ),
    (
        "nonsense",
        Instead::Script("echo hello"),
        "gave no manifests",
    ),
    (
        "half",
        Instead::Script("echo '{\"kind\": \"List\", \"items\": [{\"kind\": \"Namesp'"),
        "gave no manifests",
    ),
    (
        "hanging",
        Instead::Script("exec sleep 600"),
        "did not answer within 20 s",
    ),
];

#[test]
fn a_cli_that_does_not_work_is_told_and_the_next_hook_heals() {
    let plane = alone(Plane::start()).unwrap();
    side_by_side(
        CASES.into_iter().collect(),
        async |(name, instead, told)| {
            let mut trial = Trial::open(&plane, name).await?;
            trial.world.deploy(DeployOptions::trusted()).await?;
            trial.world.connect().await?;
            trial.world.config("use-node-agent", "true").await?;
            let sight = trial.sight().await?;
            trial.world.config("use-node-agent", "false").await?;

            let cli = trial.world.juju.charm_dir(UNIT).join("velero");
            let aside = cli.with_extension("aside");
            fs::rename(&cli, &aside)?;
            put(&cli, &instead)?;
            let before = trial.world.dump().await?;
            trial.world.config("use-node-agent", "true").await?;
            let status = trial.world.status();
            println!("{name}: {status}");
            assert!(
                status.starts_with(ADVICE) && status.contains(told),
                "{status}"
            );
            assert_eq!(trial.world.dump().await?, before, "nothing was changed");

            fs::rename(&aside, &cli)?;
            trial.world.update_status().await?;
            trial.expect(&sight).await
        },
    )
    .unwrap();
}

fn put(cli: &Path, instead: &Instead) -> anyhow::Result<()> {
    let (text, mode) = match instead {
        Instead::Nothing => return Ok(()),
        Instead::NotExecutable => ("true", 0o644),
        Instead::Script(text) => (*text, 0o755),
    };
    fs::write(cli, format!("#!/bin/sh\n{text}\n"))?;
    Ok(fs::set_permissions(cli, fs::Permissions::from_mode(mode))?)
}
