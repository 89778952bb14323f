//! Certificates to trust for a store.
//!
//! **Invariant:** what comes out is PEM, in whatever form it was sent.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use provider_api::Problem;
use serde::Deserialize;

use crate::CA_CHAIN;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// Reads `tls-ca-chain`: texts that are PEM or base64 of PEM.
pub(crate) fn bundle(text: &str) -> Result<Option<String>, Problem> {
    let parts = parts(text);
    let certificates = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .map(pem)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            let hint = "set `tls-ca-chain` in the S3 integrator to PEM certificates";
            Problem::invalid(
                CA_CHAIN,
                "holds something that is not a PEM certificate",
                hint,
            )
        })?;
    let bundle = certificates.join("\n");
    Ok(Some(bundle).filter(|bundle| !bundle.is_empty()))
}

/// A JSON list, a JSON text, or the text itself.
fn parts(text: &str) -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sent {
        List(Vec<Option<String>>),
        Text(String),
    }
    match serde_json::from_str(text) {
        Ok(Sent::List(parts)) => parts.into_iter().flatten().collect(),
        Ok(Sent::Text(part)) => vec![part],
        Err(_) => vec![text.into()],
    }
}

fn pem(part: &str) -> Option<String> {
    if part.contains(BEGIN) {
        return Some(part.into());
    }
    let packed: String = part.split_whitespace().collect();
    let text = String::from_utf8(STANDARD.decode(packed).ok()?).ok()?;
    text.contains(BEGIN).then(|| text.trim().to_owned())
}
