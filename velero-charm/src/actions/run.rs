//! The `run` action: a command of the Velero CLI.
//!
//! **Invariant:** bounded by the action's deadline. What the CLI started continues in Velero when the
//! CLI is stopped, and the output says how to follow it.

use std::{process::ExitStatus, time::Duration};

use jiff::SignedDuration;
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
    command::Command,
    follow::Started,
    output::{Batch, Lines, Tail, plain},
    params::{DEFAULT_TIMEOUT, time_limit},
    ready::ready,
    volumes::read::obstacles,
};
use crate::{
    cluster::Cluster,
    context::Context,
    juju::env::in_cluster,
    velero::cli::{Cli, CliError},
    volumes::read::report,
};

/// How long it may take to find out what a Backup holds of volumes.
const REPORT: Duration = Duration::from_secs(30);
/// Output is logged at least this often.
const LOG_EVERY: Duration = Duration::from_secs(2);
/// How long the CLI may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// How the CLI ended.
enum End {
    Exit(ExitStatus),
    Deadline,
}

/// What the CLI has said until then.
struct Heard {
    end: End,
    output: Tail,
    errors: Tail,
    started: Option<Started>,
}

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let params = ctx.tools.action_params().await?;
    let (command, limit) = understand(&params)?;
    let cluster = ready(ctx).await?;
    let obstacles = obstacles(&cluster, &command, &ctx.unit.application).await?;
    if !obstacles.is_empty() {
        return Err(Failure::Refused(obstacles.join("; ")));
    }
    let cli = Cli::new(&ctx.unit.charm_dir, cluster.namespace(), in_cluster());
    let mut prepared = cli.prepare(&command.arguments())?;
    let mut child = prepared.command.spawn().map_err(CliError::from)?;
    let heard = listen(ctx, &mut child, begun + limit).await?;
    let remark = match (&heard.end, subject(&command, heard.started.as_ref())) {
        (End::Exit(status), Some(backup)) if status.success() => {
            remark(ctx, &cluster, &command, &backup).await?
        }
        _ => None,
    };
    let mut output = heard.output.into_text();
    if let Some(remark) = remark.map(|remark| plain(&remark)) {
        ctx.tools.action_log(&remark).await?;
        output = format!("{output}\n\n{remark}");
    }
    ctx.tools.action_set("output", &output).await?;
    match heard.end {
        End::Exit(status) if status.success() => Ok(()),
        End::Exit(status) => Err(Failure::Refused(exit_text(status, heard.errors))),
        End::Deadline => Err(Failure::Refused(deadline_text(
            &command,
            heard.started.as_ref(),
            limit,
            &ctx.unit.name,
        ))),
    }
}

/// The Backup whose volumes are to be told about.
fn subject(command: &Command, started: Option<&Started>) -> Option<String> {
    let made = started.filter(|started| started.kind == "backup");
    let made = made.map(|started| started.name.clone());
    made.or_else(|| command.described_backup().map(ToOwned::to_owned))
}

/// What is to be said of a Backup beyond the CLI's words, which are the same for one that holds no data.
async fn remark(
    ctx: &Context,
    cluster: &Cluster,
    command: &Command,
    backup: &str,
) -> Result<Option<String>, Failure> {
    let unit = &ctx.unit.name;
    let describe = format!("`juju run {unit} run command=\"backup describe {backup}\"`");
    if command.creates("backup") && command.says("wait") != Some(true) {
        return Ok(Some(format!(
            "Whether it holds the data of all volumes is known when it has ended: {describe} tells \
             then, as the action does at once with `--wait`."
        )));
    }
    let found = timeout(REPORT, report(cluster, backup)).await;
    let report = match found {
        Ok(Ok(Some(report))) => report,
        Ok(Ok(None)) => return Ok(None),
        Ok(Err(error)) => {
            return Ok(Some(format!(
                "NOTE: whether it holds the data of all volumes could not be found out: {error}. \
                 Ask again with {describe}."
            )));
        }
        Err(_) => {
            return Ok(Some(format!(
                "NOTE: whether it holds the data of all volumes could not be found out within {} s. \
                 Ask again with {describe}.",
                REPORT.as_secs()
            )));
        }
    };
    ctx.tools.action_set("volumes", &report.saved()).await?;
    if let Some(missing) = report.missing() {
        let key = "volumes-without-data";
        ctx.tools.action_set(key, &missing).await?;
    }
    Ok(report.warning(&ctx.unit.application))
}

/// Both parameters, or what is wrong with both.
fn understand(params: &Map<String, Value>) -> Result<(Command, Duration), Failure> {
    let text = |name| params.get(name).and_then(Value::as_str).unwrap_or_default();
    let command = Command::parse(text("command"));
    let limit = match text("timeout") {
        "" => Ok(DEFAULT_TIMEOUT),
        text => time_limit(text).map_err(|what| Failure::Refused(format!("`timeout` {what}"))),
    };
    match (command, limit) {
        (Ok(command), Ok(limit)) => Ok((command, limit)),
        (Err(one), Err(other)) => Err(Failure::Refused(format!("{one}; {other}"))),
        (Err(fault), Ok(_)) | (Ok(_), Err(fault)) => Err(fault),
    }
}

/// Passes on what the CLI prints until it ends or the deadline passes.
async fn listen(ctx: &Context, child: &mut Child, deadline: Instant) -> Result<Heard, Failure> {
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(CliError::Answer("its output is not connected".into()).into());
    };
    let mut output = Hearing::new(Tail::of_output());
    let mut errors = Hearing::new(Tail::of_error());
    let mut tick = interval(LOG_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut out_open, mut err_open) = (true, true);
    let mut out_chunk = vec![0; 8192];
    let mut err_chunk = vec![0; 8192];
    let end = loop {
        if !out_open && !err_open {
            break tokio::select! {
                status = child.wait() => End::Exit(status.map_err(CliError::from)?),
                () = sleep_until(deadline) => End::Deadline,
            };
        }
        tokio::select! {
            count = read(&mut stdout, &mut out_chunk), if out_open => match count {
                0 => out_open = false,
                count => {
                    output.push(out_chunk.get(..count).unwrap_or_default());
                    if output.batch.is_full() {
                        log(ctx, output.batch.take()).await?;
                    }
                }
            },
            count = read(&mut stderr, &mut err_chunk), if err_open => match count {
                0 => err_open = false,
                count => errors.push(err_chunk.get(..count).unwrap_or_default()),
            },
            _ = tick.tick() => log(ctx, output.batch.take()).await?,
            () = sleep_until(deadline) => break End::Deadline,
        }
    };
    if matches!(end, End::Deadline) {
        stop(child).await?;
    }
    output.finish();
    errors.finish();
    log(ctx, output.batch.take()).await?;
    Ok(Heard {
        end,
        output: output.tail,
        errors: errors.tail,
        started: output.started,
    })
}

/// One of the CLI's outputs.
struct Hearing {
    lines: Lines,
    batch: Batch,
    tail: Tail,
    started: Option<Started>,
}

impl Hearing {
    fn new(tail: Tail) -> Self {
        Self {
            lines: Lines::default(),
            batch: Batch::default(),
            tail,
            started: None,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        for line in self.lines.push(bytes) {
            self.hear(&line);
        }
    }

    fn finish(&mut self) {
        if let Some(line) = std::mem::take(&mut self.lines).finish() {
            self.hear(&line);
        }
    }

    fn hear(&mut self, line: &str) {
        self.started = self.started.take().or_else(|| Started::from_line(line));
        self.batch.push(line);
        self.tail.push(line);
    }
}

/// A pipe that cannot be read has ended.
async fn read(pipe: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) -> usize {
    pipe.read(chunk).await.unwrap_or_default()
}

async fn log(ctx: &Context, text: Option<String>) -> Result<(), Failure> {
    if let Some(text) = text {
        ctx.tools.action_log(&text).await?;
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

fn deadline_text(
    command: &Command,
    started: Option<&Started>,
    limit: Duration,
    unit: &str,
) -> String {
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    let kind = command.kind();
    match started {
        Some(started) => format!(
            "not finished after {limit:#}: {} `{}` goes on in Velero; follow it with `juju run \
             {unit} run command=\"{}\"`, or give a longer `timeout`",
            started.kind,
            started.name,
            started.description()
        ),
        None if command.creates(kind) => format!(
            "not finished after {limit:#}, and the CLI has not said whether the {kind} was made: \
             look with `juju run {unit} run command=\"{kind} get\"`, or give a longer `timeout`"
        ),
        None => format!("not finished after {limit:#}: give a longer `timeout`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_of_both_parameters_are_told() {
        let params = json!({"command": "backup get -n x", "timeout": "soon"});
        let fault = understand(params.as_object().unwrap()).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "`-n` is not allowed: the charm works in the namespace of its model; `timeout` is \
             `soon`: give a duration such as `90s` or `2h`"
        );
    }

    #[test]
    fn the_deadline_names_what_the_cli_printed() {
        let started = |kind, name: &str| {
            Some(Started {
                kind,
                name: name.to_owned(),
            })
        };
        for (command, started, told) in [
            (
                "restore create --from-backup nightly --wait",
                started("restore", "nightly-20261125120000"),
                "restore `nightly-20261125120000` goes on in Velero; follow it with `juju run v/0 \
                 run command=\"restore describe nightly-20261125120000\"`",
            ),
            (
                "backup create --include-namespaces shop x",
                None,
                "whether the backup was made: look with `juju run v/0 run command=\"backup get\"`",
            ),
            (
                "backup logs x",
                None,
                "not finished after 1m: give a longer",
            ),
            (
                "backup create x -o yaml",
                None,
                "not finished after 1m: give a longer",
            ),
        ] {
            let command = Command::parse(command).unwrap();
            let limit = Duration::from_mins(1);
            let text = deadline_text(&command, started.as_ref(), limit, "v/0");
            assert!(text.contains(told), "{text}");
        }
    }
}
