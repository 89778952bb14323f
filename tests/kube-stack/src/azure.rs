//! The Azure store: Azurite.
//!
//! Invariant: only requests signed with one of the account's keys are served, from tests and from pods
//! alike.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use instant_xml::FromXml;
use jiff::{Timestamp, ToSpan as _};
use ring::hmac;
use url::form_urlencoded::Serializer;

use super::layout::{AZURE_PORT, HOST_IP, Layout};
use super::plain_http::{self, Content, Response};
use super::process::Process;
use super::{StoredObject, wait};

const READY_WITHIN: Duration = Duration::from_mins(1);
const ACCOUNT: &str = "stackaccount";
/// An account has two, so that one can be changed while the other is in use.
const KEYS: [&str; 2] = [
    "Y2FuYXJ5IG9mIHRoZSBzdGFjaywgZmlyc3Qga2V5Pz8+Pg==",
    "Y2FuYXJ5IG9mIHRoZSBzdGFjaywgc2Vjb25kIGtleT8/Pg==",
];
/// What the form of a signature depends on.
const API_VERSION: &str = "2021-06-08";

/// The Azure store and the key to it.
#[derive(Debug, Clone)]
pub struct AzureStore {
    /// URL of the account, as this machine and pods reach it.
    pub endpoint: String,
    /// The account's name.
    pub account: String,
    /// The key that is in use.
    pub key: String,
}

#[derive(FromXml)]
#[xml(rename = "EnumerationResults")]
struct Page {
    #[xml(rename = "Blobs")]
    blobs: Blobs,
    #[xml(rename = "NextMarker")]
    next: Option<String>,
}

#[derive(FromXml)]
#[xml(rename = "Blobs")]
struct Blobs {
    blobs: Vec<Blob>,
}

#[derive(FromXml)]
#[xml(rename = "Blob")]
struct Blob {
    #[xml(rename = "Name")]
    name: String,
    properties: Properties,
}

#[derive(FromXml)]
struct Properties {
    #[xml(rename = "Content-Length")]
    length: u64,
}

impl AzureStore {
    pub(super) fn new() -> Self {
        let [first, _] = KEYS;
        Self {
            endpoint: format!("http://{}/{ACCOUNT}", authority()),
            account: ACCOUNT.to_owned(),
            key: first.to_owned(),
        }
    }

    /// The same store with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// The same store with the account's other key.
    #[must_use]
    pub fn with_second_key(&self) -> Self {
        let [_, second] = KEYS;
        self.with_key(second)
    }

    /// Makes a container.
    pub async fn create_container(&self, container: &str) -> Result<()> {
        self.call("PUT", container, &[]).await.map(drop)
    }

    /// Deletes a container and all that is in it.
    pub async fn delete_container(&self, container: &str) -> Result<()> {
        self.call("DELETE", container, &[]).await.map(drop)
    }

    /// All blobs, in the order of their keys.
    pub async fn list(&self, container: &str) -> Result<Vec<StoredObject>> {
        let mut objects = Vec::new();
        let mut next = String::new();
        loop {
            let query = [("comp", "list"), ("marker", &next)];
            let answer = self.call("GET", container, &query).await?;
            let page: Page = instant_xml::from_str(std::str::from_utf8(&answer.body)?)?;
            objects.extend(page.blobs.blobs.into_iter().map(|blob| StoredObject {
                key: blob.name,
                size: blob.properties.length,
            }));
            next = page.next.unwrap_or_default();
            if next.is_empty() {
                return Ok(objects);
            }
        }
    }

    async fn call(
        &self,
        method: &str,
        container: &str,
        query: &[(&str, &str)],
    ) -> Result<Response> {
        let signed = Serializer::new(self.signature()?)
            .append_pair("restype", "container")
            .extend_pairs(query)
            .finish();
        let target = format!("/{}/{container}?{signed}", self.account);
        let answer = plain_http::send(method, &authority(), &target, &Content::NONE).await?;
        if answer.status >= 300 {
            let reason = String::from_utf8_lossy(&answer.body);
            // The signature is left out.
            bail!("{method} {container}: {} {reason}", answer.status);
        }
        Ok(answer)
    }

    /// A query that may do anything with containers and blobs for some minutes.
    fn signature(&self) -> Result<String> {
        let ends = (Timestamp::now() + 5.minutes()).strftime("%Y-%m-%dT%H:%M:%SZ");
        let ends = ends.to_string();
        let key = BASE64_STANDARD
            .decode(&self.key)
            .context("the key is not base64")?;
        // Account, permissions, service, kinds of resources, start, end, addresses, protocols, version, and
        // scope of encryption.
        let (may, service, kinds) = ("rwdlac", "b", "sco");
        let text = format!(
            "{}\n{may}\n{service}\n{kinds}\n\n{ends}\n\n\n{API_VERSION}\n\n",
            self.account
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        Ok(Serializer::new(String::new())
            .append_pair("sv", API_VERSION)
            .append_pair("ss", service)
            .append_pair("srt", kinds)
            .append_pair("sp", may)
            .append_pair("se", &ends)
            .append_pair("sig", &signature)
            .finish())
    }
}

fn authority() -> String {
    format!("{HOST_IP}:{AZURE_PORT}")
}

/// Whether the store serves a signed request.
pub(super) async fn is_ready() -> bool {
    // Any signed answer will do, also that there is no such container.
    match AzureStore::new().list("no-such-container").await {
        Ok(_) => true,
        Err(error) => format!("{error:#}").contains("ContainerNotFound"),
    }
}

/// Starts the store, empty.
pub(super) async fn start(layout: &Layout) -> Result<()> {
    let folder = layout.run().join("azure");
    fs::create_dir_all(&folder)?;
    let [first, second] = KEYS;
    let mut command = vec![
        "env".to_owned(),
        format!("AZURITE_ACCOUNTS={ACCOUNT}:{first}:{second}"),
        "node".to_owned(),
        layout.azurite().display().to_string(),
        "--location".to_owned(),
        // Ends with a slash, by which it is known for ours.
        format!("{}/", folder.display()),
    ];
    command.extend(
        format!(
            "--blobHost {HOST_IP} --blobPort {AZURE_PORT} --skipApiVersionCheck --disableTelemetry \
             --silent"
        )
        .split_whitespace()
        .map(str::to_owned),
    );
    let store = Process::spawn(&layout.run(), "azure", &command)?;
    wait::until_by(&store, "the Azure store serves", READY_WITHIN, async || {
        is_ready().await
    })
    .await
}
