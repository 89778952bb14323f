//! Certificates to trust for a store.
//!
//! Each is parsed on the way in and encoded again on the way out, so that what comes out is certificates and
//! nothing else.

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::Value;
use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::{DateTime, Decode as _},
};

/// What PEM calls a certificate.
const LABEL: &str = "CERTIFICATE";
/// What each block of a PEM begins with.
const BEGIN: &str = "-----BEGIN";

/// One certificate or more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificates(Vec<Certificate>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Certificate {
    der: Vec<u8>,
    not_before: DateTime,
    not_after: DateTime,
}

/// Why a text is not certificates. It quotes nothing of the text, which may hold anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotCertificates {
    /// A private key stands in it, which nobody should see.
    #[error("holds a private key")]
    PrivateKey,
    /// A block of another kind stands in it: a request, a list of what is revoked.
    #[error("holds something that is not a certificate")]
    Other,
    /// A block has a beginning and no end, or its inside is damaged.
    #[error("holds a certificate that is cut off or damaged")]
    Damaged,
}

impl Certificates {
    /// Reads PEM, base64 of PEM or of DER, alone, as JSON text or in a JSON list.
    ///
    /// # Errors
    /// If anything in it is not a whole certificate. What stands around the blocks of a PEM is left out.
    pub fn parse(text: &str) -> Result<Self, NotCertificates> {
        let parts = parts(text);
        let parts = parts.iter().map(|part| part.trim());
        let read = parts.filter(|part| !part.is_empty()).map(read);
        let certificates = read.collect::<Result<Vec<_>, _>>()?;
        Ok(Self(certificates.into_iter().flatten().collect()))
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let blocks = self.0.iter();
        let blocks =
            blocks.map(|one| pem::encode_config(&Pem::new(LABEL, one.der.clone()), config));
        blocks.collect()
    }

    /// What there is to say of those that are not valid at this time.
    #[must_use]
    pub fn remarks(&self, field: &str, now: SystemTime) -> Vec<String> {
        let all = self.0.len();
        let remarks = self.0.iter().enumerate().filter_map(|(index, one)| {
            let what = if one.not_after.to_system_time() < now {
                format!("expired at {}", one.not_after)
            } else if one.not_before.to_system_time() > now {
                format!("is not valid before {}", one.not_before)
            } else {
                return None;
            };
            Some(format!(
                "Certificate {} of {all} in `{field}` {what}.",
                index + 1
            ))
        });
        remarks.collect()
    }
}

/// A JSON list, a JSON text, or the text itself.
fn parts(text: &str) -> Vec<String> {
    let texts = |value| match value {
        Value::String(part) => Some(part),
        Value::Null => Some(String::new()),
        _ => None,
    };
    let parts = match serde_json::from_str(text) {
        Ok(Value::Array(parts)) => parts.into_iter().map(texts).collect(),
        Ok(value) => texts(value).map(|part| vec![part]),
        Err(_) => None,
    };
    parts.unwrap_or_else(|| vec![text.to_owned()])
}

fn read(part: &str) -> Result<Vec<Certificate>, NotCertificates> {
    if part.contains(BEGIN) {
        return blocks(part);
    }
    let packed: String = part.split_whitespace().collect();
    let bytes = STANDARD
        .decode(packed)
        .map_err(|_| NotCertificates::Other)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains(BEGIN) => blocks(text),
        _ => Ok(vec![
            certificate(bytes).map_err(|_| NotCertificates::Other)?,
        ]),
    }
}

fn blocks(text: &str) -> Result<Vec<Certificate>, NotCertificates> {
    // Before anything else: a key may be cut off too.
    if text.contains("PRIVATE KEY") {
        return Err(NotCertificates::PrivateKey);
    }
    let blocks = pem::parse_many(text).map_err(|_| NotCertificates::Damaged)?;
    if blocks.len() != text.matches(BEGIN).count() {
        return Err(NotCertificates::Damaged);
    }
    let read = blocks.into_iter().map(|block| {
        if block.tag() == LABEL {
            certificate(block.into_contents())
        } else {
            Err(NotCertificates::Other)
        }
    });
    read.collect()
}

fn certificate(der: Vec<u8>) -> Result<Certificate, NotCertificates> {
    // Old authorities have serial numbers that the standard does not allow, and are trusted all the same.
    let parsed = CertificateInner::<Raw>::from_der(&der);
    let parsed = parsed.map_err(|_| NotCertificates::Damaged)?;
    let validity = parsed.tbs_certificate().validity();
    let (not_before, not_after) = (validity.not_before, validity.not_after);
    Ok(Certificate {
        not_before: not_before.to_date_time(),
        not_after: not_after.to_date_time(),
        der,
    })
}

#[cfg(test)]
mod tests;
