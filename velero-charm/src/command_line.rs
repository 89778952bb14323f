//! The command line for developers: what was asked for on standard output, all else on standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output of a program that a person has started"
)]

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use provider_api::{
    Answer, Credential, Descriptor, Endpoint, Fact, Facts, Inputs, RelationData, Storage, Value,
    secrecy::SecretString,
};
use serde_json::json;

use crate::{
    juju::Secrets,
    ours::{
        Owner, credential,
        location::{self, Rank},
    },
    relations::applications::Applications,
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
    /// An optional relation in addition to the store's, and a file with its data.
    #[arg(long, value_name = "ENDPOINT=FILE", value_parser = named_file)]
    with: Vec<(String, PathBuf)>,
    /// A field whose value is the content of a file, as it is. Of an optional relation with its endpoint
    /// before it.
    #[arg(long, value_name = "[ENDPOINT/]FIELD=FILE", value_parser = named_file)]
    secret_file: Vec<(String, PathBuf)>,
    /// Who Velero's pods are in the provider's cloud, as the annotation of their ServiceAccount says it.
    #[arg(long, value_name = "WHO")]
    identity: Option<String>,
    /// The provider id of a node of the cluster.
    #[arg(long, value_name = "ID")]
    node: Vec<String>,
}

/// One relation's fields, as a person gives them.
type Fields = BTreeMap<String, String>;

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) => Ok((name.into(), file.into())),
        None => Err("a name, `=` and a file's name are wanted".into()),
    }
}

pub(crate) fn main() -> ExitCode {
    let secrets = Secrets::default();
    let outcome = match Arguments::parse().command {
        Command::Providers => providers(),
        Command::Render(wanted) => render(wanted, &secrets),
        Command::Companion(companion) => return companion.become_it(),
    };
    match outcome {
        Ok(text) => {
            println!("{}", secrets.presentable(&text));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", secrets.presentable(&format!("error: {error:#}")));
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

fn render(wanted: Render, secrets: &Secrets) -> anyhow::Result<String> {
    let name = &wanted.provider;
    let registry = providers::registry()?;
    let known = || names(registry.descriptors().map(|descriptor| descriptor.name));
    let provider = registry
        .by_name(name)
        .with_context(|| format!("there is no provider `{name}`; there are {}", known()))?;
    let descriptor = provider.descriptor();
    let inputs = inputs(wanted, descriptor, |secret| {
        credential::learn(secret, &registry, secrets);
    })?;
    let storage = match Applications::default().resolve(provider, &inputs)? {
        Answer::Ready(storage) => storage,
        Answer::Waiting(what) => return Ok(format!("waiting for {what}")),
    };
    if let Credential::Keys(file) = &storage.credential {
        credential::learn_file(file, &registry, secrets);
    }
    Ok(serde_json::to_string_pretty(&shown(descriptor, &storage))?)
}

/// All of it but the credential file.
fn shown(descriptor: &Descriptor, storage: &Storage) -> serde_json::Value {
    let Storage {
        credential,
        location,
        snapshots,
        remarks,
        gaps,
    } = storage;
    let owner = Owner {
        application: "APPLICATION".into(),
        model_uuid: "MODEL".into(),
    };
    let secret = credential.file().map(|_| "SECRET");
    let (name, namespace) = (descriptor.name, velero::SERVER);
    let location =
        location::backup_location(name, location, Rank::Default, secret, namespace, &owner);
    let snapshots = snapshots
        .as_ref()
        .map(|snapshots| location::snapshot_location(name, snapshots, secret, namespace, &owner));
    let gaps: Vec<_> = gaps.iter().map(|gap| gap.problem.to_string()).collect();
    json!({
        "location": location,
        "snapshotLocation": snapshots,
        "remarks": remarks,
        "gaps": gaps,
    })
}

/// What the charm would hand to the provider.
fn inputs(
    wanted: Render,
    descriptor: &Descriptor,
    keep: impl Fn(&SecretString),
) -> anyhow::Result<Inputs> {
    let mut own: Fields = object(io::stdin(), "standard input")?;
    let mut optional = BTreeMap::new();
    for (endpoint, path) in wanted.with {
        let file = open(&path)?;
        optional.insert(endpoint, object(file, &path.display().to_string())?);
    }
    for (name, path) in wanted.secret_file {
        let text = io::read_to_string(open(&path)?)
            .with_context(|| format!("`{}` cannot be read", path.display()))?;
        match name.split_once('/') {
            Some((endpoint, field)) => {
                let fields = optional.entry(endpoint.to_owned()).or_default();
                fields.insert(field.to_owned(), text);
            }
            None => drop(own.insert(name, text)),
        }
    }
    let own = data(own, &descriptor.endpoint, &keep);
    let mut others = BTreeMap::new();
    for (name, fields) in optional {
        let mut known = descriptor.optional_endpoints.iter();
        let endpoint = known.find(|endpoint| endpoint.name == name);
        let endpoint = endpoint.with_context(|| {
            let there = descriptor.optional_endpoints.iter();
            let there = names(there.map(|endpoint| endpoint.name));
            format!("there is no optional relation `{name}`; there are {there}")
        })?;
        others.insert(name, data(fields, endpoint, &keep));
    }
    let asked = descriptor.facts(|name| others.contains_key(name));
    anyhow::ensure!(
        wanted.node.is_empty() || asked.contains(&Fact::ProviderIds),
        "none of these relations asks for provider ids of nodes: leave out `--node`"
    );
    let facts = Facts {
        provider_ids: wanted.node,
        now: Some(SystemTime::now()),
    };
    if let Some(identity) = &wanted.identity {
        check_identity(identity, descriptor)?;
    }
    Ok(Inputs::new(descriptor, own, others, facts).identified(wanted.identity))
}

fn check_identity(identity: &str, descriptor: &Descriptor) -> anyhow::Result<()> {
    let known = descriptor.identity;
    let known = known.context("this store's cloud knows no pods: leave out `--identity`")?;
    let is_sound = (known.is_sound)(identity);
    anyhow::ensure!(is_sound, "`--identity` is not {}", known.shape);
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("`{}` cannot be read", path.display()))
}

fn object(source: impl io::Read, name: &str) -> anyhow::Result<Fields> {
    serde_json::from_reader(source)
        .with_context(|| format!("{name} is not a JSON object of strings"))
}

/// What is asked for as a secret is one, as in a hook.
fn data(fields: Fields, endpoint: &Endpoint, keep: impl Fn(&SecretString)) -> RelationData {
    let requested = endpoint.handshake.requested_secrets;
    let value = |(field, text): (String, String)| {
        if requested.contains(&field.as_str()) {
            let secret = SecretString::from(text);
            keep(&secret);
            (field, Value::Secret(secret))
        } else {
            (field, Value::Plain(text))
        }
    };
    fields.into_iter().map(value).collect()
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    }
}
