//! The `run` action: a command of the Velero CLI.
//!
//! **Invariant:** bounded by the action's deadline. What the CLI started goes on in Velero when the
//! CLI is stopped, and the user is told how to follow it.

use std::{process::ExitStatus, time::Duration};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt as _, api::ListParams};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Child,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Failure,
    command::Words,
    output::{Batch, Tail},
};
use crate::{
    cluster::{Cluster, ask, present},
    reconcile::Charm,
    velero::{
        self,
        cli::{Cli, CliError},
        credential,
    },
};

/// How long an action may take if the user does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);
/// Output is logged at least this often.
const LOG_EVERY: Duration = Duration::from_secs(2);
/// How long the CLI may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// How the CLI ended.
enum End {
    Exit(ExitStatus),
    Deadline,
}

pub(super) async fn run(charm: &Charm) -> Result<(), Failure> {
    let begun = Instant::now();
    let params = charm.tools.action_params().await?;
    let words = Words::parse(
        params
            .get("command")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )?;
    let limit = time_limit(&params)?;
    let cluster = Cluster::connect().map_err(crate::reconcile::Error::from)?;
    storage_is_configured(&cluster, charm).await?;
    // The CLI may print what a store has repeated of them.
    let select = ListParams::default().labels(&credential::selector(&charm.owner));
    let secrets = cluster.list(&cluster.api::<Secret>(), &select).await?;
    charm.keep_credentials(&secrets);

    let cli = Cli::new(&charm.unit.charm_dir, cluster.namespace());
    let mut prepared = cli.prepare(words.as_slice())?;
    let mut child = prepared.command.spawn().map_err(CliError::from)?;
    let mut output = Tail::of_output();
    let mut errors = Tail::of_error();
    let end = pump(charm, &mut child, &mut output, &mut errors, begun + limit).await?;
    charm
        .tools
        .action_set("output", &output.into_text())
        .await?;
    match end {
        End::Exit(status) if status.success() => Ok(()),
        End::Exit(status) => Err(Failure::Refused(exit_text(status, errors))),
        End::Deadline => Err(Failure::Refused(deadline_text(&words, limit, charm))),
    }
}

fn time_limit(params: &Map<String, Value>) -> Result<Duration, Failure> {
    let Some(text) = params
        .get("timeout")
        .and_then(Value::as_str)
        .filter(|t| !t.is_empty())
    else {
        return Ok(DEFAULT_TIMEOUT);
    };
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed
        .and_then(|limit| Duration::try_from(limit).ok())
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| {
            Failure::Refused(format!(
                "`timeout` is `{text}`: give a duration such as `90s` or `2h`"
            ))
        })
}

/// Without a location of ours, the CLI would only fail in words that help nobody.
async fn storage_is_configured(cluster: &Cluster, charm: &Charm) -> Result<(), Failure> {
    let locations = cluster.dynamic(&velero::kind("BackupStorageLocation"));
    let live = present(
        ask("read the BackupStorageLocation", || {
            locations.get(velero::LOCATION)
        })
        .await,
    )?;
    match live {
        Some(location) if location.metadata.deletion_timestamp.is_none() => {
            tracing::debug!("Using location `{}`.", location.name_any());
            Ok(())
        }
        _ => {
            let integrators: Vec<_> = charm
                .registry
                .descriptors()
                .map(|d| {
                    format!(
                        "`juju integrate {} {}`",
                        charm.unit.application, d.integrator
                    )
                })
                .collect();
            Err(Failure::Refused(format!(
                "no object store is configured: run {} first",
                integrators.join(" or ")
            )))
        }
    }
}

/// Passes on what the CLI prints until it ends or the deadline passes.
async fn pump(
    charm: &Charm,
    child: &mut Child,
    output: &mut Tail,
    errors: &mut Tail,
    deadline: Instant,
) -> Result<End, Failure> {
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(CliError::Answer("its output is not connected".into()).into());
    };
    let mut batch = Batch::default();
    let mut tick = interval(LOG_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut out_open, mut err_open) = (true, true);
    let mut out_chunk = vec![0; 8192];
    let mut err_chunk = vec![0; 8192];
    while out_open || err_open {
        tokio::select! {
            count = read(&mut stdout, &mut out_chunk), if out_open => match count {
                0 => out_open = false,
                count => {
                    let bytes = out_chunk.get(..count).unwrap_or_default();
                    output.push(bytes);
                    batch.push(bytes);
                    if batch.is_full() {
                        log(charm, batch.take()).await?;
                    }
                }
            },
            count = read(&mut stderr, &mut err_chunk), if err_open => match count {
                0 => err_open = false,
                count => errors.push(err_chunk.get(..count).unwrap_or_default()),
            },
            _ = tick.tick() => log(charm, batch.take()).await?,
            () = sleep_until(deadline) => {
                stop(child).await?;
                log(charm, batch.finish()).await?;
                return Ok(End::Deadline);
            }
        }
    }
    log(charm, batch.finish()).await?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(CliError::from)?,
        () = sleep_until(deadline) => {
            stop(child).await?;
            return Ok(End::Deadline);
        }
    };
    Ok(End::Exit(status))
}

/// A pipe that cannot be read has ended.
async fn read(pipe: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) -> usize {
    pipe.read(chunk).await.unwrap_or_default()
}

async fn log(charm: &Charm, text: Option<String>) -> Result<(), Failure> {
    if let Some(text) = text {
        charm.tools.action_log(&text).await?;
    }
    Ok(())
}

/// Ends the CLI and whatever it started.
async fn stop(child: &mut Child) -> Result<(), CliError> {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    let signal = |signal| group.map(|group| killpg(group, signal));
    signal(Signal::SIGTERM);
    if timeout(GRACE, child.wait()).await.is_err() {
        signal(Signal::SIGKILL);
        child.wait().await?;
    }
    Ok(())
}

fn exit_text(status: ExitStatus, errors: Tail) -> String {
    let how = status.code().map_or_else(
        || "was killed".into(),
        |code| format!("failed with exit code {code}"),
    );
    let errors = errors.into_text();
    if errors.is_empty() {
        format!("velero {how}")
    } else {
        format!("velero {how}: {errors}")
    }
}

fn deadline_text(words: &Words, limit: Duration, charm: &Charm) -> String {
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    match words.follow_up() {
        Some(command) => format!(
            "not finished after {limit:#}: it goes on in Velero; follow it with `juju run {} run \
             command=\"{command}\"`, or give a longer `timeout`",
            charm.unit.name
        ),
        None => format!("not finished after {limit:#}: give a longer `timeout`"),
    }
}
