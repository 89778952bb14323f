//! What the binary is to a person who starts it by hand.
//!
//! **Invariant:** reads only its input, writes only its output, and shows no secret.

#![expect(
    clippy::print_stdout,
    reason = "standard output is what a person asked for"
)]

use std::{collections::BTreeMap, io, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use provider_api::{Inputs, Value, Verdict};

use crate::velero::{self, Owner, location};

/// The Velero charm. Juju starts it for hooks and actions; by hand it only tells about itself.
#[derive(Debug, Parser)]
#[command(name = "velero-charm", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the storage providers that this binary was built with.
    Providers,
    /// Show what a relation's data becomes: the data as a JSON object on standard input.
    Render {
        /// The provider's name, as `providers` lists it.
        #[arg(long)]
        provider: String,
    },
}

pub(crate) fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Providers => providers(),
        Command::Render { provider } => render(&provider),
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn providers() -> anyhow::Result<String> {
    let registry = providers::registry()?;
    let lines = registry.descriptors().map(|descriptor| {
        let provider_api::Descriptor {
            name,
            endpoint,
            summary,
            ..
        } = descriptor;
        format!(
            "{name}\t{} ({})\t{summary}",
            endpoint.name, endpoint.interface
        )
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn render(name: &str) -> anyhow::Result<String> {
    let registry = providers::registry()?;
    let known = || {
        registry
            .descriptors()
            .map(|d| d.name)
            .collect::<Vec<_>>()
            .join("`, `")
    };
    let provider = registry
        .by_name(name)
        .with_context(|| format!("there is no provider `{name}`; there are `{}`", known()))?;
    let fields: BTreeMap<String, String> = serde_json::from_reader(io::stdin())
        .context("standard input is not a JSON object of strings")?;
    let descriptor = provider.descriptor();
    let inputs = Inputs {
        storage: fields
            .into_iter()
            .map(|(key, text)| (key, Value::Plain(text)))
            .collect(),
        plugin_image: descriptor.plugin.default.into(),
        ..Inputs::default()
    };
    let storage = match provider.validate(&inputs)? {
        Verdict::Ready(storage) => storage,
        Verdict::Waiting(what) => return Ok(format!("waiting for {what}")),
    };
    let owner = Owner {
        application: "APPLICATION".into(),
        model_uuid: "MODEL".into(),
    };
    let location = location::backup_location(
        descriptor.name,
        &storage.location,
        "SECRET",
        velero::SERVER,
        &owner,
    );
    Ok(serde_json::to_string_pretty(&location)?)
}
