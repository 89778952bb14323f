//! The command line for developers: what was asked for on standard output, all else on standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output of a program that a person has started"
)]

use std::{collections::BTreeMap, fs::File, io, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use provider_api::{Facts, Inputs, Problems, RelationData, Value, Verdict};

use crate::{
    ours::{
        Owner,
        location::{self, Rank},
    },
    velero::{self, companion::Companion},
};

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
    Render(Render),
    /// Run a program that ends with the charm; the charm starts its CLI so.
    #[command(hide = true)]
    Companion(Companion),
}

#[derive(Debug, clap::Args)]
struct Render {
    /// The provider's name, as `providers` lists it.
    #[arg(long)]
    provider: String,
    /// A relation that adds to the store's, and a file with its data.
    #[arg(long, value_name = "ENDPOINT=FILE", value_parser = relation)]
    with: Vec<(String, PathBuf)>,
    /// The provider id of a node of the cluster.
    #[arg(long, value_name = "ID")]
    node: Vec<String>,
}

fn relation(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((endpoint, file)) => Ok((endpoint.into(), file.into())),
        None => Err("an endpoint, `=` and a file's name are wanted".into()),
    }
}

pub(crate) fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Providers => providers(),
        Command::Render(wanted) => render(wanted),
        Command::Companion(companion) => return companion.become_it(),
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
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

fn render(wanted: Render) -> anyhow::Result<String> {
    let name = &wanted.provider;
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
    let descriptor = provider.descriptor();
    let mut further = BTreeMap::new();
    for (endpoint, path) in wanted.with {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("`{name}` cannot be read"))?;
        further.insert(endpoint, data(file, &name)?);
    }
    let inputs = Inputs {
        storage: data(io::stdin(), "standard input")?,
        further,
        facts: Facts {
            provider_ids: wanted.node,
        },
        plugin_image: descriptor.plugin.default.into(),
    };
    let storage = match provider.validate(&inputs)? {
        Verdict::Ready(storage) => storage,
        Verdict::Waiting(what) => return Ok(format!("waiting for {what}")),
    };
    let problems = storage.gaps.iter().map(|gap| gap.problem.clone());
    if let Some(problems) = Problems::from_vec(problems.collect()) {
        return Err(problems.into());
    }
    let owner = Owner {
        application: "APPLICATION".into(),
        model_uuid: "MODEL".into(),
    };
    let location = location::backup_location(
        descriptor.name,
        &storage.location,
        Rank::Default,
        "SECRET",
        velero::SERVER,
        &owner,
    );
    Ok(serde_json::to_string_pretty(&location)?)
}

fn data(source: impl io::Read, name: &str) -> anyhow::Result<RelationData> {
    let fields: BTreeMap<String, String> = serde_json::from_reader(source)
        .with_context(|| format!("{name} is not a JSON object of strings"))?;
    let fields = fields.into_iter();
    Ok(fields
        .map(|(key, text)| (key, Value::Plain(text)))
        .collect())
}
