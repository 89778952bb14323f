//! The unit agent: starts a charm's `dispatch` and serves its hook tools until it ends.
//!
//! Invariant: the charm gets what Juju would give it and nothing of this process; one tool call is
//! served at a time; the model changes as Juju's rules of commit say.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};

use super::charm::{CharmUser, Handler, handler};
use super::cluster::Cluster;
use super::context::{ActionSoFar, HookContext, Pending, Record};
use super::environment;
use super::event::Event;
use super::exec::{Mount, Outcome, Report, Spec};
use super::killer::{Killer, kill_charm};
use super::lifecycle::Plan;
use super::lines::Lines;
use super::model::{Application, Model};
use super::pace::Pace;
use super::paths::{JUJUC, UnitPaths, helper};
use super::run::{Exit, HookRun, ToolCall};
use super::sabotage::{self, Sabotage, Saboteur};
use super::secrets::random;
use super::tools::{self, Call};
use super::wire::{Reply, Request, body_length};

/// How long the agent still reads what a charm's children print once it has ended.
const STRAGGLERS: Duration = Duration::from_millis(100);

/// One start of a charm.
pub(crate) struct Start<'a> {
    /// The controller's data.
    pub model: &'a mut Model,
    /// Where the unit's files are.
    pub paths: UnitPaths,
    /// The unit.
    pub unit: String,
    /// What for.
    pub event: Event,
    /// The cluster that its pod is in, if there is one.
    pub cluster: Option<&'a Cluster>,
    /// How fast its tools answer.
    pub pace: Pace,
    /// What stops it in the middle.
    pub plan: Option<Plan>,
    /// Which of its tool calls goes wrong.
    pub sabotage: Option<Sabotage>,
    /// Who may kill it while it runs.
    pub killer: Killer,
    /// Hears `action-log` as it is called.
    pub listener: &'a mut dyn FnMut(SystemTime, &str),
}

/// What came of it.
pub(crate) struct Ended {
    /// For the record.
    pub run: HookRun,
    /// What the action said.
    pub action: ActionSoFar,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
}

/// What a run is exposed to besides what it asks for.
struct Surroundings<'a> {
    cluster: Option<&'a Cluster>,
    pace: Pace,
    plan: Option<Plan>,
    saboteur: Saboteur,
    killer: Killer,
}

/// What a process left.
struct Output {
    exit: Exit,
    at: SystemTime,
    took: Duration,
    max_rss: u64,
    processor: Duration,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// There was no process.
    fn none(exit: Exit) -> Self {
        Self {
            exit,
            at: SystemTime::now(),
            took: Duration::ZERO,
            max_rss: 0,
            processor: Duration::ZERO,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

/// Runs the charm and commits or drops what it asked for.
pub(crate) async fn run(start: Start<'_>) -> Result<Ended> {
    let id = context_id(&start.unit, &start.event)?;
    let variables = start.cluster.map(Cluster::variables).unwrap_or_default();
    let environment = environment::build(
        start.model,
        &start.unit,
        &start.paths,
        &start.event,
        &variables,
        &id,
    );
    let mut context = HookContext {
        model: start.model,
        unit: start.unit,
        event: start.event,
        id,
        data: start.paths.data.clone(),
        service_account: start.paths.service_account.clone(),
        api_server: api_server(&variables),
        pending: Pending::default(),
        action: ActionSoFar::default(),
        record: Record::default(),
        listener: start.listener,
    };
    let inside = start.paths.charm_inside();
    let output = match handler(&start.paths.charm(), &inside)? {
        Handler::Missing => Output::none(Exit::Missing),
        Handler::Broken(why) => Output::none(Exit::NotStarted(why)),
        Handler::Dispatch => {
            let surroundings = Surroundings {
                cluster: start.cluster,
                pace: start.pace,
                plan: start.plan,
                saboteur: Saboteur::with(start.sabotage),
                killer: start.killer,
            };
            dispatch(&mut context, &start.paths, &environment, surroundings).await?
        }
    };
    let mut output = output;
    if output.exit.is_success()
        && let Err(why) = context.commit()
    {
        output.exit = Exit::NotCommitted(why);
    }
    let record = std::mem::take(&mut context.record);
    let run = HookRun {
        hook: context.event.name(),
        environment: environment.into_iter().collect(),
        exit: output.exit,
        at: output.at,
        duration: output.took,
        max_rss: output.max_rss,
        processor: output.processor,
        tool_calls: record.tool_calls,
        log: record.log,
        statuses: record.statuses,
        unit: context.unit,
    };
    Ok(Ended {
        run,
        action: context.action,
        stdout: output.stdout,
        stderr: output.stderr,
    })
}

fn api_server(variables: &[(String, String)]) -> Option<String> {
    let value = |name: &str| variables.iter().find(|(key, _)| key == name);
    let (host, port) = (
        value("KUBERNETES_SERVICE_HOST")?,
        value("KUBERNETES_SERVICE_PORT")?,
    );
    Some(format!("https://{}:{}", host.1, port.1))
}

fn context_id(unit: &str, event: &Event) -> Result<String> {
    let number = u128::from_be_bytes(random()?);
    Ok(format!("{unit}-{}-{number:032x}", event.name()))
}

async fn dispatch(
    context: &mut HookContext<'_>,
    paths: &UnitPaths,
    environment: &BTreeMap<String, String>,
    mut surroundings: Surroundings<'_>,
) -> Result<Output> {
    let plan = surroundings.plan;
    link_tools(&paths.tools(), &context.model.juju_version)?;
    let listener = listen(&paths.agent(), "agent.socket")?;
    let charm = context
        .model
        .app_of(&context.unit)
        .and_then(Application::charm);
    let user = charm.map(|charm| charm.user).unwrap_or_default();
    let mut child = launch(paths, user, environment)?;
    let mut group = Group::of(&child);
    let killer = surroundings.killer.clone();
    let _aim = killer.aim(&child);
    let mut stdout = Lines::new(child.stdout.take().context("no standard output")?);
    let mut stderr = Lines::new(child.stderr.take().context("no standard error")?);
    let logger = context.event.name();
    let mut ended: Option<tokio::time::Instant> = None;
    let mut calls = 0;
    while ended.is_none() || !stdout.is_over() || !stderr.is_over() {
        let deadline = ended.unwrap_or_else(tokio::time::Instant::now) + STRAGGLERS;
        tokio::select! {
            accepted = listener.accept() => {
                calls += 1;
                if plan.is_some_and(|plan| plan.at_call == calls) {
                    kill_charm(child.id().context("the launcher has ended")?)?;
                    continue;
                }
                // A caller that was killed meanwhile is no concern of ours.
                let _ = serve(accepted?.0, context, &mut surroundings).await;
            }
            line = stdout.next(), if !stdout.is_over() => {
                log_line(context, "DEBUG", &logger, line?.as_deref());
            }
            line = stderr.next(), if !stderr.is_over() => {
                log_line(context, "WARNING", &logger, line?.as_deref());
            }
            status = child.wait(), if ended.is_none() => {
                status?;
                group.over();
                ended = Some(tokio::time::Instant::now());
            }
            () = tokio::time::sleep_until(deadline), if ended.is_some() => break,
        }
    }
    let report = report(paths, &stderr.all)?;
    let mut exit = exit(report.outcome);
    if let Some(plan) = plan.filter(|_| exit.is_terminated()) {
        exit = Exit::Interrupted(plan.how);
    }
    Ok(Output {
        exit,
        at: report.at,
        took: report.took,
        max_rss: report.max_rss,
        processor: report.processor,
        stdout: stdout.all,
        stderr: stderr.all,
    })
}

fn log_line(context: &mut HookContext<'_>, level: &str, logger: &str, line: Option<&str>) {
    if let Some(line) = line {
        context.log(level, logger, line);
    }
}

/// Every tool's name, as a link to the one program.
fn link_tools(directory: &Path, version: &str) -> Result<()> {
    fs::create_dir_all(directory)?;
    // What the program is mounted on.
    fs::File::create(directory.join(JUJUC))?;
    for name in tools::names_in(version) {
        let link = directory.join(name);
        if fs::read_link(&link).is_ok_and(|to| to == Path::new(JUJUC)) {
            continue;
        }
        // A model may be opened again by another build of the emulator.
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(JUJUC, &link)?;
    }
    Ok(())
}

/// Listens in a directory whose path may be longer than a socket's address can be.
fn listen(directory: &Path, name: &str) -> Result<UnixListener> {
    use std::os::fd::AsRawFd;
    let _ = fs::remove_file(directory.join(name));
    let open = fs::File::open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{name}", open.as_raw_fd()));
    UnixListener::bind(short).context("listening for hook tools")
}

fn launch(
    paths: &UnitPaths,
    user: CharmUser,
    environment: &BTreeMap<String, String>,
) -> Result<Child> {
    let charm = paths.charm_inside();
    let mut mounts = vec![Mount {
        from: paths.data.clone(),
        on: PathBuf::from("/var/lib/juju"),
    }];
    if environment.contains_key("KUBERNETES_SERVICE_HOST") {
        mounts.push(Mount {
            from: paths.service_account.clone(),
            on: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
        });
    }
    for mount in &mounts {
        fs::create_dir_all(&mount.on).with_context(|| format!("making {}", mount.on.display()))?;
        give(&mount.from, user)?;
    }
    // Mounted and not linked to, so that it is reached whatever the folders allow in which it was built.
    mounts.push(Mount {
        from: helper("hook-tool")?,
        on: paths.jujuc_inside(),
    });
    let spec = Spec {
        program: charm.join("dispatch"),
        directory: charm,
        user: user.id(),
        environment: environment.clone(),
        mounts,
        report: paths.report(),
    };
    fs::write(paths.spec(), serde_json::to_vec(&spec)?)?;
    let _ = fs::remove_file(paths.report());
    Command::new(helper("unit-exec")?)
        .arg(paths.spec())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("starting unit-exec")
}

/// Makes a folder and all that is in it a user's, as it would be in a pod.
fn give(path: &Path, user: CharmUser) -> Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.uid() != user.id() || found.gid() != user.id() {
        lchown(path, Some(user.id()), Some(user.id()))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}

/// The launcher's process group, which ends with this value: a run that is given up leaves no charm
/// behind that continues to work.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(Pid::from_raw),
        )
    }

    /// It has ended on its own.
    const fn over(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may just have ended.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

fn report(paths: &UnitPaths, stderr: &[u8]) -> Result<Report> {
    let text = fs::read(paths.report()).unwrap_or_default();
    let Ok(report) = serde_json::from_slice(&text) else {
        bail!(
            "the launcher gave no report: {}",
            String::from_utf8_lossy(stderr)
        );
    };
    Ok(report)
}

fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Exited(code) => Exit::Code(code),
        Outcome::Signalled(number) => Exit::Signal(signal(number)),
        Outcome::NotStarted(why) => Exit::NotStarted(why),
    }
}

/// Signals as Go calls them.
fn signal(number: i32) -> String {
    let name = match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

/// One connection: one request, one reply.
async fn serve(
    mut stream: UnixStream,
    context: &mut HookContext<'_>,
    surroundings: &mut Surroundings<'_>,
) -> Result<()> {
    let saboteur = &mut surroundings.saboteur;
    if saboteur.is_hanging() {
        saboteur.keep(stream);
        return Ok(());
    }
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await?;
    let mut body = vec![0; body_length(prefix)?];
    stream.read_exact(&mut body).await?;
    let (at, clock) = (SystemTime::now(), Instant::now());
    let request = Request::decode(&body)?;
    let call = Call {
        tool: request.tool,
        args: request.arguments,
        directory: request.directory,
        stdin: request.stdin,
    };
    let reply = match saboteur.next(&call.tool).map(sabotage::answer) {
        Some(Some(instead)) => instead,
        Some(None) => {
            saboteur.keep(stream);
            return Ok(());
        }
        None if request.context == context.id => tools::run(context, &call),
        None => stale(&request.context),
    };
    if let (Some(cluster), "secret-get", Reply::Done { code: 0, .. }) =
        (surroundings.cluster, call.tool.as_str(), &reply)
    {
        cluster.leave_secret_consumer(&context.model.name).await?;
    }
    take_time(surroundings.pace.answer(&call.tool), clock).await?;
    stream.write_all(&reply.encode()?).await?;
    if let Reply::Done { code, .. } = reply {
        context.record.tool_calls.push(ToolCall {
            tool: call.tool,
            args: call.args,
            exit: code,
            at,
            duration: clock.elapsed(),
        });
    }
    Ok(())
}

/// Waits until so much time has passed. The runtime's own timer counts in milliseconds, too coarse here.
async fn take_time(least: Duration, since: Instant) -> Result<()> {
    let left = least.saturating_sub(since.elapsed());
    if left.is_zero() {
        return Ok(());
    }
    Ok(tokio::task::spawn_blocking(move || std::thread::sleep(left)).await?)
}

fn stale(id: &str) -> Reply {
    let quoted = tools::output::quote(id);
    Reply::Done {
        code: 1,
        stdout: Vec::new(),
        stderr: format!("ERROR bad request: wrong context ID; got {quoted}\n").into_bytes(),
    }
}
