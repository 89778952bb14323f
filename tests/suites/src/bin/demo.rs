//! `cargo demo`: the README's commands, from an empty model to a restored backup, on real parts.

#![expect(clippy::print_stdout, reason = "a demo is there to be read")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use juju_emulator::{ActionOutcome, CharmSource, Juju};
use kube_stack::{Progress, Stack};
use worlds::documented::{self, Hand, Line, Moment, SHOP};
use worlds::namespaces;
use worlds::operator::{self, S3, UNIT};
use worlds::shop::Shop;
use worlds::store::Store;

const MODEL: &str = "backups";
const BUCKET: &str = "demo";

/// One backup, lost and restored, by the README's commands.
#[derive(Parser)]
struct Arguments {
    /// A `.charm` that `cargo pack` has made, instead of what is built from the sources.
    #[arg(long)]
    charm: Option<PathBuf>,
}

/// Prints each step with what came of it, and remembers how long it took.
#[derive(Default)]
struct Steps {
    status: String,
    times: Vec<(String, f64)>,
}

/// A shop, and the checksums of its files.
struct AtStake {
    shop: Shop,
    files: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Box::pin(demo(Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demo failed: {error:#}\nTake the stack down: cargo stack down");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: Arguments) -> Result<()> {
    let begun = Instant::now();
    let progress = Progress::to_stderr();
    println!("The commands of README.md: real Kubernetes, real Velero, a real S3 store.");
    let stack = Box::pin(Stack::up(&progress)).await?;
    let charm = match arguments.charm {
        Some(file) => CharmSource::Archive(file),
        None => progress.step("build the charm", operator::charm()).await?,
    };
    let emulator = async { juju_emulator::build_programs() };
    progress.step("build the emulator", emulator).await?;
    let mut juju = fresh_model(&stack).await?;
    // Nobody has a repository in it open any more.
    Store::S3(stack.s3()).make_bucket(BUCKET).await?;

    let mut steps = Steps::default();
    let files = Box::pin(story(&stack, &mut juju, charm, &mut steps)).await?;

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
        let left_over = [MODEL, SHOP].map(str::to_owned);
        namespaces::delete(&stack.client().await?, &left_over).await?;
        std::fs::remove_dir_all(&dir)?;
    }
    operator::model(stack, &dir, MODEL).await
}

/// Gives the checksums of the files that came back.
async fn story(
    stack: &Stack,
    juju: &mut Juju,
    charm: CharmSource,
    steps: &mut Steps,
) -> Result<String> {
    let store = Store::S3(stack.s3());
    let mut hand = Hand::new(charm, &store, BUCKET);
    let mut at_stake = None;
    for line in documented::lines(S3)? {
        match line.moment() {
            Moment::BackUp => at_stake = Some(open_shop(stack).await?),
            Moment::Restore => lose(stack, at_stake.as_ref()).await?,
            Moment::Integrate | Moment::Other => {}
        }
        let begun = Instant::now();
        let outcome = hand.carry_out(juju, &line).await?;
        steps.tell(&line, begun, juju, outcome.as_ref());
    }
    let at_stake = at_stake.context("the README makes no backup")?;
    came_back(&at_stake).await?;

    let begun = Instant::now();
    juju.update_status(UNIT).await?;
    steps.time("a hook with nothing to do".to_owned(), begun);
    Ok(at_stake.files)
}

async fn open_shop(stack: &Stack) -> Result<AtStake> {
    let shop = Shop::open(stack, SHOP).await?;
    let files = shop.checksums().await?;
    println!("  A namespace `{SHOP}` opens, with 3 MiB of random files on a volume.");
    Ok(AtStake { shop, files })
}

async fn lose(stack: &Stack, at_stake: Option<&AtStake>) -> Result<()> {
    let objects = stack.s3().list(BUCKET, "").await?;
    println!("  The bucket holds {} objects.", objects.len());
    let at_stake = at_stake.context("the README restores what it has not backed up")?;
    at_stake.shop.lose().await?;
    println!("  The namespace is deleted, with its volume and all files on it.");
    Ok(())
}

async fn came_back(at_stake: &AtStake) -> Result<()> {
    let AtStake { shop, files } = at_stake;
    shop.ready().await?;
    ensure!(shop.checksums().await? == *files, "the files differ");
    ensure!(
        shop.motto().await? == "never lose anything",
        "the ConfigMap differs"
    );
    Ok(())
}

impl Steps {
    fn tell(&mut self, line: &Line, begun: Instant, juju: &Juju, said: Option<&ActionOutcome>) {
        println!("$ {line}");
        let output = said.and_then(|outcome| outcome.results.get("output")?.as_str());
        for line in output.unwrap_or_default().lines() {
            println!("  | {line}");
        }
        let status = operator::status(juju);
        if status != self.status {
            let seconds = begun.elapsed().as_secs_f64();
            println!("  {seconds:.1} s → {status}");
            self.status = status;
        }
        self.time(line.to_string(), begun);
    }

    fn time(&mut self, what: String, begun: Instant) {
        self.times.push((what, begun.elapsed().as_secs_f64()));
    }
}
