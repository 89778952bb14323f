//! The Google store: fake-gcs-server, and a stand-in for Google's token endpoint, in one program of ours
//! (`modules/gcs`).
//!
//! Invariant: only requests with a token are served, which is given for a JWT signed with the service account's
//! key, to tests and to pods alike. Pods reach it under Google's names, with TLS.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::layout::{GCS_PORT, HOST_IP, Layout};
use super::lock::Lock;
use super::plain_http::{self, Content, Response};
use super::process::Process;
use super::progress::Progress;
use super::{StoredObject, authority, wait};

const READY_WITHIN: Duration = Duration::from_mins(1);
/// Of the store and of the token endpoint.
pub(super) const HOSTS: [&str; 2] = ["storage.googleapis.com", TOKEN_HOST];
const TOKEN_HOST: &str = "oauth2.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
const JWT_LASTS: i64 = 300;

/// The Google store and the key to it.
#[derive(Debug, Clone)]
pub struct GcsStore {
    /// The JSON key of a service account that may do anything.
    pub key: String,
    /// The file that the key is in.
    pub key_file: PathBuf,
    /// Another of that account, which is refused.
    pub deleted_key: String,
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    token_uri: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Object>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    name: String,
    size: String,
}

impl GcsStore {
    /// The one that runs; else starts one, empty.
    pub(super) async fn of(layout: &Layout) -> Result<Self> {
        let _alone = Lock::take(&layout.root().join("gcs.lock"), &Progress::quiet()).await?;
        if let Ok(store) = Self::that_runs(layout)
            && store.is_ready().await
        {
            return Ok(store);
        }
        start(layout).await?;
        Self::that_runs(layout)
    }

    fn that_runs(layout: &Layout) -> Result<Self> {
        let key_file = layout.gcs().join("key.json");
        Ok(Self {
            key: fs::read_to_string(&key_file)?,
            deleted_key: fs::read_to_string(layout.gcs().join("deleted-key.json"))?,
            key_file,
        })
    }

    /// The same store with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    async fn is_ready(&self) -> bool {
        // Any answer to who has a token will do, also that there is no such bucket.
        match self.list("no-such-bucket").await {
            Ok(_) => true,
            Err(error) => format!("{error:#}").contains("404"),
        }
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, bucket: &str) -> Result<()> {
        let body = json!({"name": bucket}).to_string();
        self.call("POST", "", body.as_bytes()).await.map(drop)
    }

    /// Deletes a bucket and all that is in it.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        for object in self.list(bucket).await? {
            let name: String = byte_serialize(object.key.as_bytes()).collect();
            let object = format!("/{bucket}/o/{name}");
            self.call("DELETE", &object, b"").await?;
        }
        self.call("DELETE", &format!("/{bucket}"), b"")
            .await
            .map(drop)
    }

    /// All objects, in the order of their keys.
    pub async fn list(&self, bucket: &str) -> Result<Vec<StoredObject>> {
        let mut objects = Vec::new();
        let mut next = String::new();
        loop {
            let query = Serializer::new(String::new())
                .append_pair("pageToken", &next)
                .finish();
            let target = format!("/{bucket}/o?{query}");
            let answer = self.call("GET", &target, b"").await?;
            let page: Page = serde_json::from_slice(&answer.body)?;
            for object in page.items {
                objects.push(StoredObject {
                    size: object.size.parse()?,
                    key: object.name,
                });
            }
            next = page.next_page_token.unwrap_or_default();
            if next.is_empty() {
                return Ok(objects);
            }
        }
    }

    async fn call(&self, method: &str, target: &str, body: &[u8]) -> Result<Response> {
        let token = self.token().await?;
        let content = Content {
            kind: "application/json",
            token: Some(&token),
            ..Content::of(body)
        };
        let target = format!("/storage/v1/b{target}");
        let answer = plain_http::send(method, &authority(), &target, &content).await?;
        if answer.status >= 300 {
            let reason = String::from_utf8_lossy(&answer.body);
            bail!("{method} {target}: {} {reason}", answer.status);
        }
        Ok(answer)
    }

    async fn token(&self) -> Result<String> {
        let account: ServiceAccount = serde_json::from_str(&self.key)?;
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &account.assertion()?)
            .finish();
        let content = Content {
            kind: "application/x-www-form-urlencoded",
            host: Some(TOKEN_HOST),
            ..Content::of(form.as_bytes())
        };
        let answer = plain_http::send("POST", &authority(), "/token", &content).await?;
        let said = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status < 300, "no token: {said}");
        let token: Token = serde_json::from_str(&said)?;
        Ok(token.access_token)
    }
}

impl ServiceAccount {
    /// A JWT for a token.
    fn assertion(&self) -> Result<String> {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": self.client_email, "aud": self.token_uri, "scope": SCOPE,
            "iat": now, "exp": now + JWT_LASTS,
        });
        let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let header = json!({"alg": "RS256", "typ": "JWT"});
        let signed = format!("{}.{}", part(&header), part(&claims));
        let pem = self.private_key.lines();
        let body: String = pem.filter(|line| !line.starts_with("-----")).collect();
        let der = BASE64_STANDARD.decode(body)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|error| anyhow!("no RSA key: {error}"))?;
        let mut signature = vec![0; pair.public().modulus_len()];
        let (random, text) = (SystemRandom::new(), signed.as_bytes());
        pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
            .map_err(|error| anyhow!("cannot sign: {error}"))?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Ok(format!("{signed}.{signature}"))
    }
}

fn authority() -> String {
    format!("{HOST_IP}:{GCS_PORT}")
}

/// A process of a folder of its own, so that a stack is whole without it.
async fn start(layout: &Layout) -> Result<()> {
    let folder = layout.gcs();
    fs::create_dir_all(&folder)?;
    let shown = authority::store(layout);
    let command = [
        layout.bin("gcs").display().to_string(),
        format!("-public={HOST_IP}:443"),
        format!("-plain={}", authority()),
        format!("-certificate={}", shown.certificate.display()),
        format!("-key={}", shown.key.display()),
        format!("-keys={}", folder.display()),
    ];
    let store = Process::spawn(&folder, "gcs", &command)?;
    wait::until_by(
        &store,
        "the Google store serves",
        READY_WITHIN,
        async || match GcsStore::that_runs(layout) {
            Ok(store) => store.is_ready().await,
            Err(_) => false,
        },
    )
    .await
}
