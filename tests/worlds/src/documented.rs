//! The commands of README, tutorial and how-to guides, and a hand that types them.
//!
//! Invariant: the demo and tests carry out, word for word, what a reader would copy. A line that the hand does not
//! understand is an error; none is left out but those that are marked with the reason (`pages.rs`).

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use juju_emulator::{
    ActionOutcome, AzureSettings, CharmSource, DeployOptions, GcsRelease, GcsSettings, Juju,
    S3Settings,
};

use crate::commands::{self, Change, pairs, parameters};
use crate::operator::{APP, AZURE, GCS, S3, workspace};
use crate::pages;
use crate::store::Store;
use crate::stores::integrators;

/// The namespace that the README backs up and restores.
pub const SHOP: &str = "shop";

/// The README's section with the commands.
const SECTION: &str = "## From an empty model to a restored backup";

/// A line that a reader copies.
#[derive(Debug, Clone)]
pub struct Line {
    text: String,
    /// Where its output goes: `NAME=$(…)`.
    variable: Option<String>,
    words: Vec<String>,
}

/// What must have happened before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It makes the backup, so there must be something to lose.
    BackUp,
    /// It restores the backup, so all must be lost.
    Restore,
    /// It relates two applications, so both must be deployed.
    Integrate,
    /// It needs only what the lines before it did.
    Other,
}

/// The commands of Juju that can be carried out.
#[derive(Debug, Parser)]
#[command(name = "juju")]
enum Command {
    Deploy {
        charm: String,
        #[arg(long)]
        trust: bool,
        /// The players speak for all releases.
        #[arg(long)]
        channel: Option<String>,
    },
    #[command(flatten)]
    Common(commands::Command),
}

/// Types lines into a model, as somebody would who has this charm and this store.
pub struct Hand {
    charm: CharmSource,
    store: Store,
    variables: BTreeMap<String, String>,
}

/// The README's lines, in their order, for the store of this integrator.
pub fn lines(integrator: &str) -> Result<Vec<Line>> {
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    lines_of(&readme, integrator)
}

/// The lines of a page below `docs`, in their order, but for those that are marked.
pub fn lines_of_page(page: &str) -> Result<Vec<Line>> {
    let blocks = pages::blocks(&fs::read_to_string(workspace().join("docs").join(page))?)?;
    let run = blocks.iter().filter(|block| block.not_run.is_none());
    run.flat_map(|block| &block.commands)
        .map(|line| Line::understood(line).with_context(|| format!("docs/{page}")))
        .collect()
}

/// The options that the README sets so that a backup has the files of volumes.
pub fn options() -> Result<Vec<(String, String)>> {
    let mut options = Vec::new();
    for line in lines(S3)? {
        if let Command::Common(commands::Command::Change(change)) = line.command()?
            && let Change::Config { app, settings, .. } = &change
            && app == APP
        {
            let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
            options.extend(pairs(settings)?.into_iter().map(own));
        }
    }
    ensure!(!options.is_empty(), "the README sets no option of {APP}");
    Ok(options)
}

fn lines_of(readme: &str, integrator: &str) -> Result<Vec<Line>> {
    let (_, rest) = readme
        .split_once(SECTION)
        .with_context(|| format!("the README has no section `{SECTION}`"))?;
    let section = rest.split("\n## ").next().unwrap_or(rest);
    ensure!(
        !section.contains("```"),
        "commands of the README are indented, not fenced"
    );
    let mut others = integrators();
    others.retain(|name| *name != integrator);
    let mut lines = Vec::new();
    for paragraph in section.split("\n\n") {
        let code: Vec<_> = paragraph
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .collect();
        let code_of_another = |name: &&str| code.iter().any(|line| line.contains(*name));
        if !others.iter().any(code_of_another) {
            for line in code {
                lines.push(Line::understood(line)?);
            }
        }
    }
    ensure!(!lines.is_empty(), "`{SECTION}` has no commands");
    Ok(lines)
}

impl Line {
    fn understood(text: &str) -> Result<Self> {
        let (variable, command) = match text.split_once("=$(") {
            Some((name, rest)) if is_name(name) => {
                let command = rest.strip_suffix(')').context("a bracket is open")?;
                (Some(name.to_owned()), command)
            }
            _ => (None, text),
        };
        let words = shell_words::split(command).with_context(|| format!("`{text}`"))?;
        ensure!(
            words.first().is_some_and(|word| word == "juju"),
            "`{text}` is no command of Juju"
        );
        let line = Self {
            text: text.to_owned(),
            variable,
            words,
        };
        if let Command::Common(commands::Command::Change(change)) = line.command()? {
            ensure!(!change.only_shows(), "`{text}` changes nothing");
        }
        Ok(line)
    }

    /// What must have happened before.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let runs = |what: &str| {
            let parameter = format!("command={what} ");
            self.words.iter().any(|word| word.starts_with(&parameter))
        };
        if runs("backup create") {
            Moment::BackUp
        } else if runs("restore create") {
            Moment::Restore
        } else if self.words.get(1).is_some_and(|verb| verb == "integrate") {
            Moment::Integrate
        } else {
            Moment::Other
        }
    }

    fn command(&self) -> Result<Command> {
        self.command_with(|word| Ok(word.to_owned()))
    }

    fn command_with(&self, fill_in: impl Fn(&str) -> Result<String>) -> Result<Command> {
        let words = self.words.iter().map(|word| fill_in(word));
        let words = words.collect::<Result<Vec<_>>>()?;
        Command::try_parse_from(words).with_context(|| format!("`{}`", self.text))
    }
}

impl Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Hand {
    /// A hand that has deployed nothing yet, and knows what its user knows of the store.
    #[must_use]
    pub fn new(charm: CharmSource, store: &Store, bucket: &str) -> Self {
        Self {
            charm,
            store: store.clone(),
            variables: what_the_user_knows(store, bucket),
        }
    }

    /// Carries out a line and lets the model come to rest. An action must succeed.
    pub async fn carry_out(
        &mut self,
        juju: &mut Juju,
        line: &Line,
    ) -> Result<Option<ActionOutcome>> {
        let command = line.command_with(|word| self.fill_in(word))?;
        let mut outcome = None;
        match command {
            Command::Deploy { charm, trust, .. } => self.deploy(juju, &charm, trust).await?,
            Command::Common(commands::Command::Change(change)) => {
                let printed = change.carry_out(juju)?;
                if let (Some(variable), Some(text)) = (&line.variable, printed) {
                    self.variables.insert(variable.clone(), text);
                }
            }
            Command::Common(commands::Command::Run {
                unit,
                action,
                params,
            }) => outcome = Some(run_well(juju, &unit, &action, &params).await?),
        }
        juju.settle().await?;
        Ok(outcome)
    }

    async fn deploy(&self, juju: &mut Juju, charm: &str, trust: bool) -> Result<()> {
        match (charm, &self.store) {
            (APP, _) => {
                let options = DeployOptions {
                    trust,
                    ..DeployOptions::default()
                };
                juju.deploy(&self.charm, APP, options).await
            }
            (S3, Store::S3(_)) => juju.deploy_s3_integrator(S3, S3Settings::default()),
            (AZURE, Store::Azure(store)) => {
                // The charm's default, and what only users of an emulator have to set.
                let options = [
                    ("connection-protocol", "abfss"),
                    ("endpoint", store.endpoint.as_str()),
                ];
                let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
                let settings = AzureSettings {
                    options: options.into(),
                    ..AzureSettings::default()
                };
                juju.deploy_azure_integrator(AZURE, settings)
            }
            (GCS, Store::Gcs(_)) => {
                // The charm's default.
                let class = ("storage-class".to_owned(), "STANDARD".to_owned());
                let settings = GcsSettings {
                    options: [class].into(),
                    ..GcsSettings::default()
                };
                juju.deploy_gcs_integrator(GCS, settings, GcsRelease::default())
            }
            _ => bail!("nothing here deploys `{charm}`"),
        }
    }

    /// A word with the values of its variables.
    fn fill_in(&self, word: &str) -> Result<String> {
        let mut parts = word.split('$');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c| !is_of_name(c)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let value = self.variables.get(name);
            filled += value.with_context(|| format!("nothing says what ${name} is"))?;
            filled += rest;
        }
        Ok(filled)
    }
}

async fn run_well(
    juju: &mut Juju,
    unit: &str,
    action: &str,
    params: &[String],
) -> Result<ActionOutcome> {
    let params = parameters(params)?;
    let outcome = juju.run_action(unit, action, &params).await?;
    ensure!(
        outcome.status == "completed",
        "{params:?}: {} {:?}",
        outcome.message,
        outcome.results
    );
    Ok(outcome)
}

fn what_the_user_knows(store: &Store, bucket: &str) -> BTreeMap<String, String> {
    let key_file;
    let known = match store {
        Store::S3(store) => vec![
            ("ENDPOINT", store.endpoint.as_str()),
            ("REGION", &store.region),
            ("BUCKET", bucket),
            ("ACCESS_KEY", &store.access_key),
            ("SECRET_KEY", &store.secret_key),
        ],
        Store::Azure(store) => vec![
            ("STORAGE_ACCOUNT", store.account.as_str()),
            ("CONTAINER", bucket),
            ("ACCOUNT_KEY", &store.key),
        ],
        Store::Gcs(store) => {
            key_file = store.key_file.display().to_string();
            vec![("BUCKET", bucket), ("KEY_FILE", &key_file)]
        }
    };
    let known = known.into_iter();
    known
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_uppercase() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::GCS;

    fn refusal(section: &str) -> String {
        let readme = format!("{SECTION}\n\n{section}\n\n## Next\n\n    cargo demo\n");
        let refused = lines_of(&readme, S3);
        format!("{:#}", refused.unwrap_err())
    }

    #[test]
    fn readme_backs_up_and_restores_with_each_store() {
        for integrator in [S3, AZURE, GCS] {
            let lines = lines(integrator).unwrap();
            let moments: Vec<_> = lines.iter().map(Line::moment).collect();
            let special = moments.iter().filter(|moment| **moment != Moment::Other);
            let wanted = [Moment::Integrate, Moment::BackUp, Moment::Restore];
            assert!(special.eq(&wanted), "{lines:?}");
            let deploys = |line: &Line| line.to_string().contains(&format!("deploy {integrator} "));
            assert!(lines.iter().any(deploys), "{lines:?}");
        }
    }

    #[test]
    fn lines_that_cannot_be_carried_out_are_errors() {
        for (section, reason) in [
            ("    kubectl get pods", "is no command of Juju"),
            ("    juju bootstrap k8s", "bootstrap"),
            ("    juju deploy x --to 1", "--to"),
            ("    juju config velero-operator", "changes nothing"),
            ("    KEYS=$(juju add-secret x y=z", "bracket"),
            ("```\njuju status\n```", "fenced"),
            ("Nothing.", "has no commands"),
        ] {
            let refused = refusal(section);
            assert!(refused.contains(reason), "{section}: {refused}");
        }
    }
}
