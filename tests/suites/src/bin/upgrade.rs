//! `cargo upgrade FILE`: from a release that was packed before to what the sources make, with a backup that runs.
//!
//! The `.charm` of a release is what `cargo pack` makes of its tag.

#![expect(clippy::print_stdout, reason = "what was seen is there to be read")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use juju_emulator::{CharmSource, DeployOptions};
use kube_stack::{Progress, Stack};
use worlds::kubectl::TIMEOUT;
use worlds::operator::{APP, run, run_well};
use worlds::shop::Shop;
use worlds::world::World;

const SHOP: &str = "shop-upgrade";
const BACKUP: &str = "backups.velero.io/slow";

/// Refreshes an earlier release while it backs up, and restores what that release has saved.
#[derive(Parser)]
struct Arguments {
    /// The `.charm` of the earlier release.
    earlier: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Box::pin(upgraded(Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}\nTake the stack down: cargo stack down");
            ExitCode::FAILURE
        }
    }
}

async fn upgraded(arguments: Arguments) -> Result<()> {
    Box::pin(Stack::up(&Progress::to_stderr())).await?;
    let mut world = World::open("upgrade").await?;
    let shop = busy(&mut world, arguments.earlier).await?;
    let files = shop.checksums().await?;
    let server = servers(&world).await?;

    world.refresh().await?;

    println!("refreshed: {}", world.status());
    ensure!(
        servers(&world).await? == server,
        "the server was replaced while it worked on a backup"
    );
    shop.let_backup_go().await?;
    let done = ["wait", BACKUP, "--for=jsonpath={.status.phase}=Completed"];
    here(&world, &[&done[..], &[TIMEOUT]].concat()).await?;
    world.update_status().await?;
    world.expect_status("active: ")?;
    println!("the backup has ended: {}", world.status());

    shop.lose().await?;
    run_well(&mut world.juju, "restore create --from-backup slow --wait").await?;
    shop.ready().await?;
    ensure!(shop.checksums().await? == files, "the files differ");
    println!("what the earlier release saved is back:\n{files}");

    world.juju.remove_application(APP)?;
    world.settle().await?;
    let left = world.belongings().await?;
    ensure!(left.is_empty(), "left behind: {left}");
    println!("removed, and nothing is left");
    shop.lose().await
}

/// The earlier release, active, with a backup that runs until it is let go.
async fn busy(world: &mut World, earlier: PathBuf) -> Result<Shop> {
    let earlier = CharmSource::Archive(earlier);
    let trusted = DeployOptions::trusted();
    world.juju.deploy(&earlier, APP, trusted).await?;
    world.back_up_files().await?;
    world.connect().await?;
    println!("the earlier release: {}", world.status());
    let shop = Shop::open(&world.stack, SHOP).await?;
    shop.detain_backups().await?;
    let backup = format!("backup create slow --include-namespaces {SHOP}");
    let outcome = run(&mut world.juju, &backup).await?;
    ensure!(outcome.status == "completed", "{}", outcome.message);
    let begun = ["wait", BACKUP, "--for=jsonpath={.status.phase}=InProgress"];
    here(world, &[&begun[..], &[TIMEOUT]].concat()).await?;
    Ok(shop)
}

/// The names of the server's pods.
async fn servers(world: &World) -> Result<String> {
    let pods = ["get", "pods", "-l", "deploy=velero", "-o", "name"];
    here(world, &pods).await
}

/// kubectl in the world's namespace.
async fn here(world: &World, arguments: &[&str]) -> Result<String> {
    let namespace = ["-n", &world.namespace];
    let all = [&namespace[..], arguments].concat();
    world.kubectl(&all).await.context("kubectl")
}
