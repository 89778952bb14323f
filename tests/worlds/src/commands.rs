//! Commands of Juju that both pages for users and a person at a model type.
//!
//! What only one of them needs, such as `deploy` or `status`, is defined there, beside these.

use std::borrow::Cow;
use std::fs;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use juju_emulator::Juju;
use serde_json::{Map, Value};

/// A command, as Juju's command line has it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Changes what the model is to be.
    #[command(flatten)]
    Change(Change),
    /// Runs an action.
    Run {
        /// The unit.
        unit: String,
        /// The action.
        action: String,
        /// `key=value`.
        params: Vec<String>,
    },
}

/// A command after which hooks may be due.
#[derive(Debug, Subcommand)]
pub enum Change {
    /// Sets options, or shows them.
    Config {
        /// The application.
        app: String,
        /// `key=value`.
        settings: Vec<String>,
        /// Keys to set back to their default.
        #[arg(long, value_delimiter = ',')]
        reset: Vec<String>,
    },
    /// Relates two applications.
    Integrate {
        /// `app` or `app:endpoint`.
        one: String,
        /// `app` or `app:endpoint`.
        two: String,
    },
    /// Ends a relation.
    RemoveRelation {
        /// `app` or `app:endpoint`.
        one: String,
        /// `app` or `app:endpoint`.
        two: String,
    },
    /// Removes an application.
    RemoveApplication {
        /// The application.
        app: String,
        /// Whether or not its last hooks succeed.
        #[arg(long)]
        force: bool,
    },
    /// Makes a secret that applications can be granted.
    AddSecret {
        /// Its name.
        name: String,
        /// `key=value` or `key#file=path`.
        content: Vec<String>,
    },
    /// Gives a secret another content.
    UpdateSecret {
        /// Its name or address.
        name: String,
        /// `key=value`.
        content: Vec<String>,
    },
    /// Lets an application read a secret.
    GrantSecret {
        /// Its name or address.
        name: String,
        /// The application.
        app: String,
    },
}

impl Change {
    /// It only asks for what is set.
    #[must_use]
    pub const fn only_shows(&self) -> bool {
        matches!(self, Self::Config { settings, reset, .. } if settings.is_empty() && reset.is_empty())
    }

    /// Carries it out, but for the hooks, and gives what Juju prints.
    ///
    /// # Errors
    /// If Juju would refuse it.
    pub fn carry_out(&self, juju: &mut Juju) -> Result<Option<String>> {
        match self {
            Self::Config {
                app,
                settings,
                reset,
            } => {
                let settings = pairs(settings)?;
                if !settings.is_empty() {
                    juju.config(app, &settings)?;
                }
                let reset: Vec<_> = reset.iter().map(String::as_str).collect();
                if !reset.is_empty() {
                    juju.reset_config(app, &reset)?;
                }
            }
            Self::Integrate { one, two } => drop(juju.integrate(one, two)?),
            Self::RemoveRelation { one, two } => juju.remove_relation(one, two)?,
            Self::RemoveApplication { app, force } if *force => {
                juju.remove_application_by_force(app)?;
            }
            Self::RemoveApplication { app, .. } => juju.remove_application(app)?,
            Self::AddSecret { name, content } => {
                let content = contents(content)?;
                let content: Vec<_> = content
                    .iter()
                    .map(|(key, value)| (*key, value.as_ref()))
                    .collect();
                return juju.add_secret(name, &content).map(Some);
            }
            Self::UpdateSecret { name, content } => juju.update_secret(name, &pairs(content)?)?,
            Self::GrantSecret { name, app } => juju.grant_secret(name, app)?,
        }
        Ok(None)
    }
}

/// What a secret has: `key#file=path` stands for what is in the file.
fn contents(words: &[String]) -> Result<Vec<(&str, Cow<'_, str>)>> {
    let read = |(key, value)| match str::strip_suffix(key, "#file") {
        None => Ok((key, Cow::Borrowed(value))),
        Some(key) => {
            let text = fs::read_to_string(value).with_context(|| format!("cannot read {value}"))?;
            Ok((key, Cow::Owned(text)))
        }
    };
    pairs(words)?.into_iter().map(read).collect()
}

/// Words of the form `key=value`.
///
/// # Errors
/// If one of them is not.
pub fn pairs(words: &[String]) -> Result<Vec<(&str, &str)>> {
    let words = words.iter().map(|word| {
        let pair = word.split_once('=');
        pair.with_context(|| format!("expected \"key=value\", got {word:?}"))
    });
    words.collect()
}

/// An action's parameters. Juju reads values as YAML; what is none is text.
///
/// # Errors
/// If a word is not `key=value`.
pub fn parameters(words: &[String]) -> Result<Map<String, Value>> {
    let read = |(key, value): (&str, &str)| {
        let value = serde_saphyr::from_str(value).unwrap_or_else(|_| Value::from(value));
        (key.to_owned(), value)
    };
    Ok(pairs(words)?.into_iter().map(read).collect())
}
