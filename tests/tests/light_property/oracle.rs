//! What config and relations call for.
//!
//! Invariant: it knows what was asked for last, and nothing of what the charm did about it.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::operator::S3;
use tests::plane::LightWorld;

use super::steps::AZURE;

const IMAGE: &str = "velero/velero:v1.18.3";
const AWS: &str = "velero/velero-plugin-for-aws:v1.14.3";
const MICROSOFT: &str = "velero/velero-plugin-for-microsoft-azure:v1.14.3";

/// What was asked for last.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) options: BTreeMap<&'static str, &'static str>,
    pub(crate) offers: BTreeMap<&'static str, &'static str>,
    pub(crate) deployed: Vec<&'static str>,
    pub(crate) related: Vec<&'static str>,
}

/// What the relations call for.
enum Store {
    None,
    One {
        provider: &'static str,
        plugin: String,
        bucket: String,
        key: String,
    },
    /// Whatever was there stays.
    Kept(&'static str),
}

impl Wanted {
    fn option(&self, name: &str, default: &'static str) -> &'static str {
        self.options.get(name).copied().unwrap_or(default)
    }

    fn is_on(&self, name: &str) -> bool {
        self.option(name, "false") == "true"
    }

    fn config_is_valid(&self) -> bool {
        self.option("velero-image", IMAGE) != "velero/velero:v1.15.2"
            && self.option("velero-aws-plugin-image", AWS) != "not an image"
            && (self.is_on("use-node-agent") || !self.is_on("default-volumes-to-fs-backup"))
    }

    fn store(&self, world: &LightWorld) -> Store {
        match self.related.as_slice() {
            [] => Store::None,
            [app] if *app == AZURE => Store::One {
                provider: "azure",
                plugin: MICROSOFT.to_owned(),
                bucket: "velero".to_owned(),
                key: "YS1saWdodC1rZXk=".to_owned(),
            },
            [app] if *app == S3 => {
                let settings = world.settings();
                let bucket = self.offers.get("bucket").map(ToString::to_string);
                let bucket = bucket.unwrap_or_else(|| settings.options["bucket"].clone());
                let key = self.offers.get("secret-key").map(ToString::to_string);
                if bucket.is_empty() {
                    return Store::Kept("blocked: data from `s3-integrator` is invalid");
                }
                Store::One {
                    provider: "aws",
                    plugin: self.option("velero-aws-plugin-image", AWS).to_owned(),
                    bucket,
                    key: key.unwrap_or(settings.secret_key),
                }
            }
            _ => Store::Kept("blocked: more than one object store"),
        }
    }

    /// Compares the world with it; says what is different.
    pub(crate) async fn compare(&self, world: &LightWorld) -> Result<(), String> {
        let status = world.status();
        let shows = |start: &str| {
            let fine = status.starts_with(start);
            fine.then_some(())
                .ok_or_else(|| format!("status is `{status}`, not `{start}…`"))
        };
        if !self.config_is_valid() {
            return shows("blocked: invalid config: ");
        }
        let store = self.store(world);
        match &store {
            Store::None => shows("blocked: no object store: ")?,
            Store::One { .. } => shows("active: ")?,
            Store::Kept(start) => shows(start)?,
        }
        let server = json(world, &["get", "deployment", "velero"]).await;
        let agent = json(world, &["get", "daemonset", "node-agent"]).await;
        let locations = json(world, &["get", "backupstoragelocations.velero.io"]).await;
        let label = "velero-operator/role=storage-credential";
        let secrets = json(world, &["get", "secrets", "-l", label]).await;
        self.compare_workloads(&server, &agent)?;
        compare_store(&store, &server, &locations, &secrets)
    }

    fn compare_workloads(&self, server: &Value, agent: &Value) -> Result<(), String> {
        let image = self.option("velero-image", IMAGE);
        same(server, "/spec/template/spec/containers/0/image", image)?;
        same(server, "/spec/strategy/type", "Recreate")?;
        let arguments = server.pointer("/spec/template/spec/containers/0/args");
        let arguments = arguments.map(ToString::to_string).unwrap_or_default();
        let by_default = arguments.contains("--default-volumes-to-fs-backup=true");
        if by_default != self.is_on("default-volumes-to-fs-backup") {
            return Err(format!("the server's arguments are {arguments}"));
        }
        if server.pointer("/spec/replicas") != Some(&Value::from(1)) {
            return Err("the server is not alone".to_owned());
        }
        if self.is_on("use-node-agent") {
            same(agent, "/spec/template/spec/containers/0/image", image)
        } else if agent.is_null() {
            Ok(())
        } else {
            Err("there is a node agent".to_owned())
        }
    }
}

fn compare_store(
    store: &Store,
    server: &Value,
    locations: &Value,
    secrets: &Value,
) -> Result<(), String> {
    let number = |list: &Value| list["items"].as_array().map_or(0, Vec::len);
    let found = (number(locations), number(secrets));
    match store {
        Store::Kept(_) => Ok(()),
        Store::None => {
            let plugins = server.pointer("/spec/template/spec/initContainers");
            (found == (0, 0) && plugins.is_none())
                .then_some(())
                .ok_or_else(|| {
                    format!("left: {found:?} locations and Secrets, plugins {plugins:?}")
                })
        }
        Store::One {
            provider,
            plugin,
            bucket,
            key,
        } => {
            if found != (1, 1) {
                return Err(format!("{found:?} locations and Secrets"));
            }
            same(locations, "/items/0/spec/provider", provider)?;
            same(locations, "/items/0/spec/objectStorage/bucket", bucket)?;
            let name = secrets
                .pointer("/items/0/metadata/name")
                .and_then(Value::as_str);
            same(
                locations,
                "/items/0/spec/credential/name",
                name.unwrap_or_default(),
            )?;
            same(server, "/spec/template/spec/initContainers/0/image", plugin)?;
            let file = secrets
                .pointer("/items/0/data/cloud")
                .and_then(Value::as_str);
            let file = decode(file.unwrap_or_default());
            let has_key = file.contains(key.as_str());
            has_key
                .then_some(())
                .ok_or_else(|| "the Secret has another key".to_owned())
        }
    }
}

fn decode(text: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

fn same(object: &Value, path: &str, wanted: &str) -> Result<(), String> {
    let found = object.pointer(path).and_then(Value::as_str);
    (found == Some(wanted))
        .then_some(())
        .ok_or_else(|| format!("{path} is {found:?}, not `{wanted}`"))
}

/// Null if it is not there.
async fn json(world: &LightWorld, arguments: &[&str]) -> Value {
    let here = ["-n", &world.namespace, "--ignore-not-found", "-o", "json"];
    let text = world
        .kubectl(&[arguments, &here[..]].concat())
        .await
        .unwrap();
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&text).unwrap()
}
