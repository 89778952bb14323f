use std::time::Duration;

use super::*;

const PEM: &str = include_str!("../../testkit/src/certificate.pem");
const KEY: &str =
    "-----BEGIN EC PRIVATE KEY-----\nY2FuYXJ5LTQ3MTE=\n-----END EC PRIVATE KEY-----\n";

fn der() -> String {
    STANDARD.encode(pem::parse(PEM).unwrap().contents())
}

fn json(parts: &[&str]) -> String {
    serde_json::to_string(parts).unwrap()
}

#[test]
fn certificates_are_read_in_every_form() {
    let text = serde_json::to_string(PEM).unwrap();
    let wrapped = der().replace('A', "A\n");
    let commented = format!("subject=CN = test store\n{PEM}\nissuer: the same");
    let windows = PEM.replace('\n', "\r\n");
    for (form, text) in [
        ("PEM", PEM),
        ("PEM without its last line end", PEM.trim()),
        ("PEM with comments", &commented),
        ("PEM of another system", &windows),
        ("PEM as JSON", &text),
        ("PEM in a list", &json(&[PEM])),
        ("base64 of PEM", &STANDARD.encode(PEM)),
        ("base64 of PEM in a list", &json(&[&STANDARD.encode(PEM)])),
        ("base64 of DER", &der()),
        ("base64 of DER in lines", &wrapped),
        ("base64 of DER in a list", &json(&[&der()])),
    ] {
        let read = Certificates::parse(text).map(|read| read.pem());
        assert_eq!(read.as_deref(), Ok(PEM), "{form}");
    }
    let list = json(&[PEM, &der(), "", &der()]);
    for (chain, all) in [(format!("{PEM}{PEM}"), 2), (list, 3)] {
        assert_eq!(Certificates::parse(&chain).unwrap().0.len(), all);
    }
    for nothing in ["", "[]", "[\"\", null]", "\" \""] {
        assert!(
            Certificates::parse(nothing).unwrap().is_empty(),
            "{nothing}"
        );
    }
}

#[test]
fn anything_but_certificates_is_refused_by_kind() {
    let behind = format!("{PEM}{KEY}");
    let cut_key = format!("{PEM}-----BEGIN PRIVATE KEY-----\nY2Fu");
    let packed = STANDARD.encode(&behind);
    for text in [KEY, &behind, &cut_key, &packed, &json(&[PEM, KEY])] {
        let refused = Certificates::parse(text);
        assert_eq!(refused, Err(NotCertificates::PrivateKey), "{text}");
    }
    let request = PEM.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    let behind = format!("{PEM}{request}");
    let list = "{\"a\": 1}";
    let number = json(&["1"]);
    for text in ["hello", &request, &behind, list, "[1]", &number, "AAAA"] {
        let refused = Certificates::parse(text);
        assert_eq!(refused, Err(NotCertificates::Other), "{text}");
    }
}

#[test]
fn certificates_are_never_cut_short() {
    let chain = format!("{PEM}{PEM}");
    for end in 1..chain.trim_end().len() {
        let read = Certificates::parse(chain.get(..end).unwrap());
        let is_whole = end == PEM.len() || end == PEM.trim_end().len();
        // Dashes behind a block are text around it.
        let dashes = chain.get(PEM.len()..end).unwrap_or_default();
        let is_around = end > PEM.len() && "-----BEGI".starts_with(dashes);
        assert_eq!(read.is_ok(), is_whole || is_around, "{end}: {read:?}");
    }
    let der = der();
    assert!(Certificates::parse(der.get(..der.len() - 8).unwrap()).is_err());
}

#[test]
fn remarks_name_the_certificate_that_is_not_valid() {
    let at = |year: u64| SystemTime::UNIX_EPOCH + Duration::from_hours((year - 1970) * 8766);
    let certificates = Certificates::parse(PEM).unwrap();
    let remarks = |year| certificates.remarks("tls-ca-chain", at(year));

    assert!(remarks(2030).is_empty());
    let before = "Certificate 1 of 1 in `tls-ca-chain` is not valid before 2020-01-01T00:00:00Z.";
    assert_eq!(remarks(2019), [before]);
    let after = "Certificate 1 of 1 in `tls-ca-chain` expired at 2040-01-01T00:00:00Z.";
    assert_eq!(remarks(2041), [after]);
}
