//! The S3 store: `SeaweedFS`.
//!
//! Invariant: only signed requests with the store's keys are served, from tests and from pods alike.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::json;
use url::Url;

use super::layout::{HOST_IP, Layout, S3_PORT};
use super::packages::WEED;
use super::plain_http::{self, Content, Response};
use super::process::Process;
use super::{StoredObject, wait};

const READY_WITHIN: Duration = Duration::from_mins(1);
const SIGNATURE_LASTS: Duration = Duration::from_mins(5);
const ACCESS_KEY: &str = "AKIDKUBESTACK000";
const SECRET_KEY: &str = "canary-of-the-stack-0123456789abcdef";
/// Sockets that the store makes for itself, at places it does not let us choose.
pub(super) const SOCKETS: [&str; 4] = [
    "/tmp/seaweedfs-filer-grpc-28888.sock",
    "/tmp/seaweedfs-master-grpc-29333.sock",
    "/tmp/seaweedfs-s3-grpc-18333.sock",
    "/tmp/seaweedfs-volume-grpc-28380.sock",
];
const REGION: &str = "us-east-1";

/// The S3 store and the keys to it.
#[derive(Debug, Clone)]
pub struct S3Store {
    /// URL, as this machine and pods reach it.
    pub endpoint: String,
    /// Key id.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
    /// Region; the store takes any.
    pub region: String,
}

impl S3Store {
    pub(super) fn new() -> Self {
        Self {
            endpoint: format!("http://{}", authority()),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            region: REGION.to_owned(),
        }
    }

    /// The same store with other keys.
    #[must_use]
    pub fn with_keys(&self, access_key: &str, secret_key: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            ..self.clone()
        }
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, bucket: &str) -> Result<()> {
        self.call(self.bucket(bucket)?.create_bucket(&self.keys()), b"")
            .await
            .map(drop)
    }

    /// Deletes a bucket and all that is in it.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        for object in self.list(bucket, "").await? {
            self.delete(bucket, &object.key).await?;
        }
        self.call(self.bucket(bucket)?.delete_bucket(&self.keys()), b"")
            .await
            .map(drop)
    }

    /// All objects whose key begins with `prefix`, in the order of their keys.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>> {
        let (bucket, keys) = (self.bucket(bucket)?, self.keys());
        let mut objects = Vec::new();
        let mut next = None;
        loop {
            let mut list = bucket.list_objects_v2(Some(&keys));
            list.with_prefix(prefix);
            if let Some(token) = next {
                list.with_continuation_token(token);
            }
            let answer = self.call(list, b"").await?;
            let page = ListObjectsV2::parse_response(std::str::from_utf8(&answer.body)?)?;
            objects.extend(page.contents.into_iter().map(|object| StoredObject {
                key: object.key,
                size: object.size.unwrap_or_default(),
            }));
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(objects);
            }
        }
    }

    /// Writes an object.
    pub async fn put(&self, bucket: &str, key: &str, content: &[u8]) -> Result<()> {
        let (bucket, keys) = (self.bucket(bucket)?, self.keys());
        self.call(bucket.put_object(Some(&keys), key), content)
            .await
            .map(drop)
    }

    /// Reads an object.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let (bucket, keys) = (self.bucket(bucket)?, self.keys());
        Ok(self
            .call(bucket.get_object(Some(&keys), key), b"")
            .await?
            .body)
    }

    /// Deletes an object.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        let (bucket, keys) = (self.bucket(bucket)?, self.keys());
        self.call(bucket.delete_object(Some(&keys), key), b"")
            .await
            .map(drop)
    }

    fn bucket(&self, name: &str) -> Result<Bucket> {
        let endpoint = Url::parse(&self.endpoint)?;
        Bucket::new(
            endpoint,
            UrlStyle::Path,
            name.to_owned(),
            self.region.clone(),
        )
        .with_context(|| format!("`{name}` is no name of a bucket"))
    }

    fn keys(&self) -> Credentials {
        Credentials::new(&self.access_key, &self.secret_key)
    }

    async fn call<'a, A: S3Action<'a>>(&self, action: A, body: &[u8]) -> Result<Response> {
        let url = action.sign(SIGNATURE_LASTS);
        let target = url
            .as_str()
            .strip_prefix(&self.endpoint)
            .context("signed another host")?;
        let answer =
            plain_http::send(A::METHOD.to_str(), &authority(), target, &Content::of(body)).await?;
        if answer.status >= 300 {
            let reason = String::from_utf8_lossy(&answer.body);
            // The signature is left out.
            bail!(
                "{} {}: {} {reason}",
                A::METHOD.to_str(),
                url.path(),
                answer.status
            );
        }
        Ok(answer)
    }
}

fn authority() -> String {
    format!("{HOST_IP}:{S3_PORT}")
}

/// Whether the store serves a signed request.
pub(super) async fn is_ready() -> bool {
    let store = S3Store::new();
    // Any signed answer will do, also that there is no such bucket.
    match store.list("no-such-bucket", "").await {
        Ok(_) => true,
        Err(error) => format!("{error:#}").contains("NoSuchBucket"),
    }
}

/// Starts the store, empty.
pub(super) async fn start(layout: &Layout) -> Result<()> {
    let folder = layout.run().join("s3");
    fs::create_dir_all(folder.join("data"))?;
    let identities = json!({"identities": [{
        "name": "stack",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]});
    fs::write(folder.join("identities.json"), identities.to_string())?;
    let folder = folder.display();
    let mut command = vec![layout.bin(WEED).display().to_string()];
    command.extend(
        format!(
            "-logtostderr=true server -dir={folder}/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
             -master.port=19333 -master.telemetry=false -master.volumeSizeLimitMB=64 \
             -volume.port=18380 -volume.max=1000 -filer -filer.port=18888 -filer.localSocket=s3/filer.sock \
             -s3 -s3.port={S3_PORT} -s3.ip.bind={HOST_IP} -s3.localSocket=s3/s3.sock \
             -s3.config={folder}/identities.json"
        )
        .split_whitespace()
        .map(str::to_owned),
    );
    let store = Process::spawn(&layout.run(), "s3", &command)?;
    wait::until_by(&store, "the S3 store serves", READY_WITHIN, async || {
        is_ready().await
    })
    .await
}
