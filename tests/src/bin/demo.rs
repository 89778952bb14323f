//! `cargo demo`: one backup, lost and restored, on real parts.

#![expect(clippy::print_stdout, reason = "a demo is there to be read")]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use tests::juju::{DeployOptions, Juju};
use tests::operator::{self, APP, S3, UNIT, run_well};
use tests::shop::{self, Shop};
use tests::stack::{Progress, Stack};

const MODEL: &str = "backups";
const BUCKET: &str = "demo";
const SHOP: &str = "shop";

/// Prints a line per step, and remembers how long each took.
struct Steps {
    number: u32,
    times: Vec<(&'static str, f64)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Box::pin(demo()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demo failed: {error:#}\nTake the stack down: cargo stack down");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let begun = Instant::now();
    let progress = Progress::to_stderr();
    println!("One backup, lost and restored: real Kubernetes, real Velero, a real S3 store.");
    let stack = Box::pin(Stack::up(&progress)).await?;
    progress
        .step("build the charm", operator::program())
        .await?;
    let emulator = async { tests::juju::build_programs() };
    progress.step("build the emulator", emulator).await?;
    stack.s3().create_bucket(BUCKET).await?;

    let mut juju = fresh_model(&stack).await?;
    let mut steps = Steps {
        number: 0,
        times: Vec::new(),
    };
    let files = Box::pin(story(&stack, &mut juju, &mut steps)).await?;

    println!("\nThe files came back as they were:\n{files}\n");
    for (what, seconds) in &steps.times {
        println!("{seconds:7.1} s  {what}");
    }
    println!(
        "{:7.1} s  in all, the stack included",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "\nLook around:   export KUBECONFIG={}\n               {} get pods -A\n\
         Go on by hand: cargo juju status\n               \
         cargo juju run {UNIT} run command='backup get'\n\
         Take it down:  cargo stack down",
        stack.kubeconfig().display(),
        stack.bin("kubectl").display(),
    );
    Ok(())
}

/// An empty model, whatever an earlier demo has left.
async fn fresh_model(stack: &Stack) -> Result<Juju> {
    let dir = stack.dir().join("juju");
    if dir.exists() {
        for namespace in [MODEL, SHOP] {
            shop::delete_namespace(stack, namespace).await?;
        }
        std::fs::remove_dir_all(&dir)?;
    }
    operator::model(stack, &dir, MODEL).await
}

async fn story(stack: &Stack, juju: &mut Juju, steps: &mut Steps) -> Result<String> {
    let begun = Instant::now();
    operator::deploy(juju, DeployOptions::default()).await?;
    steps.say(&format!("juju deploy {APP}"), begun, juju);

    let begun = Instant::now();
    juju.trust(APP).await?;
    juju.settle().await?;
    steps.timed(
        "install Velero",
        &format!("juju trust {APP} --scope=cluster"),
        begun,
        juju,
    );

    let begun = Instant::now();
    juju.config(APP, &[("use-node-agent", "true")])?;
    juju.settle().await?;
    steps.timed(
        "start the node agent",
        "juju config use-node-agent=true",
        begun,
        juju,
    );

    let begun = Instant::now();
    juju.deploy_s3_integrator(S3, operator::s3_settings(&stack.s3(), BUCKET))?;
    juju.integrate(APP, S3)?;
    juju.settle().await?;
    steps.timed(
        "connect the store",
        &format!("juju integrate {APP} {S3}"),
        begun,
        juju,
    );
    ensure!(
        operator::status(juju) == "active: ",
        "the charm is not active"
    );

    let shop = Shop::open(stack, SHOP).await?;
    let files = shop.checksums().await?;
    println!("    A namespace `shop` opens, with 3 MiB of random files on a volume.");

    let begun = Instant::now();
    let command =
        "backup create nightly --include-namespaces shop --default-volumes-to-fs-backup --wait";
    run_well(juju, command).await?;
    steps.timed(
        "back up",
        &format!("juju run {UNIT} run command='{command}'"),
        begun,
        juju,
    );
    let objects = stack.s3().list(BUCKET, "").await?;
    println!(
        "    The bucket holds {} objects of this backup.",
        objects.len()
    );

    shop.lose().await?;
    println!("    The namespace is deleted, with all that was in it.");

    let begun = Instant::now();
    let command = "restore create --from-backup nightly --wait";
    run_well(juju, command).await?;
    shop.ready().await?;
    steps.timed(
        "restore",
        &format!("juju run {UNIT} run command='{command}'"),
        begun,
        juju,
    );
    ensure!(shop.checksums().await? == files, "the files differ");
    ensure!(
        shop.motto().await? == "never lose anything",
        "the ConfigMap differs"
    );

    let begun = Instant::now();
    juju.update_status(UNIT).await?;
    steps.timed(
        "a hook with nothing to do",
        "(update-status, by itself)",
        begun,
        juju,
    );
    Ok(files)
}

impl Steps {
    fn say(&mut self, command: &str, begun: Instant, juju: &Juju) {
        self.number += 1;
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{:2}. {command}\n    {seconds:.1} s → {}",
            self.number,
            operator::status(juju)
        );
    }

    fn timed(&mut self, what: &'static str, command: &str, begun: Instant, juju: &Juju) {
        self.times.push((what, begun.elapsed().as_secs_f64()));
        self.say(command, begun, juju);
    }
}
