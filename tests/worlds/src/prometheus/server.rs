//! A Prometheus that runs, as a process of this machine.
//!
//! Invariant: it ends with what holds it; it scrapes and evaluates what it was given, and nothing else.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use kube_stack::{DEADLINE, fetch, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::form_urlencoded::byte_serialize;

use super::series::{Series, Span};

const CONFIG: &str = "prometheus.yml";
const RULES: &str = "rules.yml";
const LOG: &str = "log";
/// How often it looks and evaluates, here, in seconds.
pub const PACE: usize = 1;

/// It runs as long as this is kept.
#[derive(Debug)]
pub struct Prometheus {
    authority: String,
    folder: TempDir,
    _process: Child,
}

impl Prometheus {
    /// Starts it. `hosts` stands in for a cluster's name server: lines of addresses and the names that they have.
    pub async fn start(hosts: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        fs::write(at.join("hosts"), format!("127.0.0.1 localhost\n{hosts}\n"))?;
        write(at, &json!([]), &json!({}))?;
        let program = super::programs().await?.join("prometheus");
        let start = format!(
            "mount --bind hosts /etc/hosts && exec {} --config.file={CONFIG} --storage.tsdb.path=data \
             --web.listen-address=127.0.0.1:0 --web.enable-lifecycle",
            program.display()
        );
        let log = File::create(at.join(LOG))?;
        let process = Command::new("unshare")
            .args(["--mount", "sh", "-c", &start])
            .current_dir(at)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("starting Prometheus")?;
        let mut authority = None;
        let listens = async || {
            authority = authority_in(&at.join(LOG));
            match &authority {
                Some(authority) => fetch("GET", authority, "/-/ready").await.is_ok(),
                None => false,
            }
        };
        until("Prometheus is ready", DEADLINE, listens).await?;
        Ok(Self {
            authority: authority.context("Prometheus says no address")?,
            folder,
            _process: process,
        })
    }

    /// From now on it scrapes these jobs and evaluates these rules.
    pub async fn take(&self, jobs: &Value, rules: &Value) -> Result<()> {
        write(self.folder.path(), jobs, rules)?;
        let reloaded = fetch("POST", &self.authority, "/-/reload").await;
        reloaded.map(drop).with_context(|| self.log())
    }

    /// What a query gives now.
    pub async fn ask(&self, query: &str) -> Result<Vec<Value>> {
        self.call(&format!("query?query={}", quoted(query))).await
    }

    /// What it gives at each step of a span.
    pub async fn ask_over(&self, span: Span, query: &str) -> Result<Vec<Series>> {
        let Span { begin, end, step } = span;
        let query = quoted(query);
        let target = format!("query_range?query={query}&start={begin}&end={end}&step={step}");
        let answers = self.call(&target).await?.into_iter();
        answers.map(|answer| Series::read(answer, span)).collect()
    }

    /// Waits until a query gives something.
    pub async fn sees(&self, query: &str) -> Result<()> {
        self.until(query, |found| !found.is_empty()).await
    }

    /// Waits until it gives nothing.
    pub async fn no_longer_sees(&self, query: &str) -> Result<()> {
        self.until(query, <[Value]>::is_empty).await
    }

    async fn until(&self, query: &str, wanted: impl Fn(&[Value]) -> bool) -> Result<()> {
        let mut last = None;
        let holds = async || {
            last = self.ask(query).await.ok();
            last.as_deref().is_some_and(&wanted)
        };
        let outcome = until(query, DEADLINE, holds).await;
        let Err(error) = outcome else { return Ok(()) };
        let firing = self.ask("ALERTS").await?;
        Err(error.context(format!("it gives {last:?}; alerts: {firing:#?}")))
    }

    async fn call(&self, target: &str) -> Result<Vec<Value>> {
        let answer = fetch("GET", &self.authority, &format!("/api/v1/{target}")).await?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        match answer["data"]["result"].take() {
            Value::Array(found) => Ok(found),
            _ => bail!("{target}: {answer}"),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

fn write(folder: &Path, jobs: &Value, rules: &Value) -> Result<()> {
    let pace = format!("{PACE}s");
    let config = json!({
        "global": {"scrape_interval": pace, "scrape_timeout": pace, "evaluation_interval": pace},
        "rule_files": [RULES],
        "scrape_configs": jobs,
    });
    fs::write(folder.join(RULES), rules.to_string())?;
    Ok(fs::write(folder.join(CONFIG), config.to_string())?)
}

/// Where it listens: the kernel has chosen the port.
fn authority_in(log: &Path) -> Option<String> {
    let log = fs::read_to_string(log).ok()?;
    let line = log.lines().find(|line| line.contains("Listening on"))?;
    let (_, address) = line.rsplit_once("address=")?;
    Some(address.trim().to_owned())
}

fn quoted(query: &str) -> String {
    byte_serialize(query.as_bytes()).collect()
}
