//! The JSON key of a service account.
//!
//! **Invariant:** a [`Key`] is one that Velero's plugin and its data mover read as it is read here, and what they sign
//! with it goes to Google. Nothing that is said of a key quotes it.
//!
//! Both read it with Go's `encoding/json`, which takes a member's name in any case.

use std::collections::BTreeMap;

use provider_api::{
    Problem, Problems, RelationData, all,
    secrecy::{ExposeSecret as _, SecretString},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::SECRET_KEY;

const TYPE: &str = "type";
const SERVICE_ACCOUNT: &str = "service_account";
const CLIENT_EMAIL: &str = "client_email";
const PRIVATE_KEY: &str = "private_key";
const PROJECT_ID: &str = "project_id";
const TOKEN_URI: &str = "token_uri";
const UNIVERSE_DOMAIN: &str = "universe_domain";

/// With those of keys that are refused.
const SECRET_MEMBERS: [&str; 3] = [PRIVATE_KEY, "client_secret", "refresh_token"];

const HINT: &str = "set the JSON key of a service account, all of it, as `secret-key` in the \
                    secret of {gcs-credentials}";

/// What the other types of credentials are that Google's libraries know.
const OTHER_TYPES: [(&str, &str); 5] = [
    (
        "authorized_user",
        "is of type `authorized_user`, a person's login",
    ),
    (
        "external_account",
        "is of type `external_account`, which names files and servers of its own",
    ),
    (
        "external_account_authorized_user",
        "is of type `external_account_authorized_user`, which names servers of its own",
    ),
    (
        "gdch_service_account",
        "is of type `gdch_service_account`, which is for a cloud of one's own",
    ),
    (
        "impersonated_service_account",
        "is of type `impersonated_service_account`, which names servers of its own",
    ),
];

/// Where Google gives tokens. A host that is asked is sent a text that the key has signed, and other hosts of Google's
/// serve what anybody puts there.
const TOKEN_URIS: [&str; 4] = [
    "https://oauth2.googleapis.com/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v3/token",
    "https://www.googleapis.com/oauth2/v4/token",
];

/// The only one that the data mover knows.
const UNIVERSE: &str = "googleapis.com";

type Members = Map<String, Value>;

/// Refuses what is no text, and a member that is read here twice.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only whether it can be read counts")]
struct Texts {
    r#type: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    project_id: Option<String>,
    token_uri: Option<String>,
    universe_domain: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Option<String>>,
}

/// A key that was found to be sound.
pub(crate) struct Key {
    /// As it was sent.
    pub(crate) document: SecretString,
    /// The service account's.
    pub(crate) project: String,
}

impl Key {
    pub(crate) fn read(data: &RelationData) -> Result<Self, Problem> {
        let document = data.required_secret(SECRET_KEY, HINT)?;
        let members = members(document.expose_secret())?;
        let text = document.expose_secret();
        let (project, ..) = all!(
            required(&members, PROJECT_ID),
            private_key(&members),
            required(&members, TYPE),
            client_email(&members),
            token_uri(&members),
            universe(&members),
            form(text, &members),
        )
        .map_err(|problems| in_one(&problems))?;
        Ok(Self {
            project: project.to_owned(),
            document,
        })
    }
}

/// Of a key of any type, used or refused. The account's name, its project and the key's id are no secrets, and
/// Google's messages are of no use without them.
pub(crate) fn secrets_inside(document: &SecretString) -> Vec<SecretString> {
    let members: Members = serde_json::from_str(document.expose_secret()).unwrap_or_default();
    let secrets = SECRET_MEMBERS.iter().filter_map(|name| members.get(*name));
    secrets.filter_map(Value::as_str).map(Into::into).collect()
}

fn fault(reason: impl Into<String>) -> Problem {
    Problem::invalid(SECRET_KEY, reason, HINT)
}

/// The hint is the same for each.
fn in_one(problems: &Problems) -> Problem {
    let reasons = problems.iter().map(|problem| problem.reason.as_str());
    fault(reasons.collect::<Vec<_>>().join(", "))
}

/// Those of a key that is said to be of the right type, or of none.
fn members(document: &str) -> Result<Members, Problem> {
    let members: Members =
        serde_json::from_str(document).map_err(|_| fault("is not a JSON object"))?;
    match text(&members, TYPE) {
        None | Some(SERVICE_ACCOUNT) => Ok(members),
        Some(other) => {
            let known = OTHER_TYPES.iter().find(|(name, _)| *name == other);
            Err(fault(known.map_or(
                "has another `type` than `service_account`",
                |(_, reason)| *reason,
            )))
        }
    }
}

/// What stands in quotes, as Go's parser takes nothing else, and once, and under names that it takes for no others.
fn form(document: &str, members: &Members) -> Result<(), Problem> {
    if members
        .keys()
        .any(|name| !name.is_ascii() || name.contains(char::is_uppercase))
    {
        return Err(fault(
            "has a member whose name is not in lower-case letters",
        ));
    }
    serde_json::from_str::<Texts>(document)
        .map(|_| ())
        .map_err(|_| fault("has a member that is not a text, or is there twice"))
}

fn text<'a>(members: &'a Members, name: &str) -> Option<&'a str> {
    let text = members.get(name)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

fn required<'a>(members: &'a Members, name: &str) -> Result<&'a str, Problem> {
    text(members, name).ok_or_else(|| fault(format!("lacks `{name}`")))
}

fn client_email(members: &Members) -> Result<(), Problem> {
    let email = required(members, CLIENT_EMAIL)?;
    let is_of_addresses = |c: char| c.is_ascii_graphic();
    if !email.contains('@') || !email.chars().all(is_of_addresses) {
        return Err(fault("has a `client_email` that is not an address"));
    }
    Ok(())
}

fn private_key(members: &Members) -> Result<(), Problem> {
    let pem = required(members, PRIVATE_KEY)?;
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(_) | PrivateKeyDer::Pkcs1(_)) => Ok(()),
        _ => Err(fault("has a `private_key` that is not a whole PEM")),
    }
}

fn token_uri(members: &Members) -> Result<(), Problem> {
    match members.get(TOKEN_URI).and_then(Value::as_str) {
        Some(uri) if !uri.is_empty() && !TOKEN_URIS.contains(&uri) => Err(fault(
            "has a `token_uri` that is not one of Google's (`https://oauth2.googleapis.com/token`)",
        )),
        // Google's own is what they take then.
        _ => Ok(()),
    }
}

fn universe(members: &Members) -> Result<(), Problem> {
    match members.get(UNIVERSE_DOMAIN).and_then(Value::as_str) {
        Some(domain) if !domain.is_empty() && domain != UNIVERSE => Err(fault(
            "has a `universe_domain` other than `googleapis.com`, where Velero finds no store",
        )),
        _ => Ok(()),
    }
}
