//! Certificates to trust for a store.
//!
//! **Invariant:** what comes out is PEM, whichever of its many dresses it came in.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use provider_api::Problem;

use crate::CA_CHAIN;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// Reads `tls-ca-chain`: a JSON list or a single text, each PEM or base64 of PEM.
pub(crate) fn bundle(text: &str) -> Result<Option<String>, Problem> {
    let parts = serde_json::from_str::<Vec<String>>(text).unwrap_or_else(|_| vec![text.into()]);
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

fn pem(part: &str) -> Option<String> {
    if part.contains(BEGIN) {
        return Some(part.into());
    }
    let packed: String = part.split_whitespace().collect();
    let text = String::from_utf8(STANDARD.decode(packed).ok()?).ok()?;
    text.contains(BEGIN).then(|| text.trim().to_owned())
}
