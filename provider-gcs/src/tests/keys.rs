//! Keys that cannot work, and keys that would take what is signed with them elsewhere.

use provider_api::ProblemKind;

use super::*;

/// What is said of a key, which must be about nothing else.
fn reason(document: &str) -> String {
    let problems = refused(&[(SECRET_KEY, document)]);
    let [problem] = &problems.iter().collect::<Vec<_>>()[..] else {
        panic!("{problems}");
    };
    assert_eq!(problem.field, SECRET_KEY);
    problem.reason.clone()
}

fn with(name: &str, value: impl Into<Json>) -> String {
    key(&[(name, value.into())])
}

#[test]
fn document_that_is_no_object_is_refused() {
    let half = key(&[]).split_off(40);
    for document in ["key.json", "[]", "\"{}\"", "null", "5", "{", &half, PEM] {
        assert_eq!(reason(document), "is not a JSON object", "{document}");
    }
}

#[test]
fn parts_that_lack_are_all_named_at_once() {
    let said = "lacks `project_id`, lacks `private_key`, lacks `type`, lacks `client_email`";
    assert_eq!(reason("{}"), said);
    assert_eq!(reason(r#"{"type": " ", "private_key": null}"#), said);
    let several = key(&[
        ("client_email", json!("velero")),
        ("token_uri", json!("https://example.com")),
        ("private_key", json!("MII")),
    ]);
    assert_eq!(
        reason(&several).matches(", ").count(),
        2,
        "{}",
        reason(&several)
    );
    for problem in refused(&[(SECRET_KEY, "{}")]).iter() {
        assert_eq!(problem.kind, ProblemKind::Invalid);
    }
}

#[test]
fn other_types_of_keys_are_refused_by_name() {
    for name in [
        "authorized_user",
        "external_account",
        "external_account_authorized_user",
        "gdch_service_account",
        "impersonated_service_account",
    ] {
        // They have other members, so that nothing is said of those that are missing.
        let document = json!({"type": name, "credential_source": {"file": "/etc/shadow"}});
        let said = reason(&document.to_string());
        assert!(
            said.starts_with(&format!("is of type `{name}`, ")),
            "{said}"
        );
    }
    let unknown = reason(&with("type", "sesame"));
    assert_eq!(unknown, "has another `type` than `service_account`");
}

#[test]
fn private_key_is_a_whole_pem() {
    let rsa = PEM.replace("PRIVATE", "RSA PRIVATE");
    assert_eq!(ready(&[(SECRET_KEY, &with("private_key", rsa))]).gaps, []);
    let half = PEM.split_at(PEM.len() / 2).0;
    let escaped = PEM.replace('\n', "\\n");
    let not_base64 = PEM.replace("Y2Fu", "%%%%");
    let public = PEM.replace("PRIVATE", "PUBLIC");
    let curve = PEM.replace("PRIVATE", "EC PRIVATE");
    for pem in ["MII", half, &escaped, &not_base64, &public, &curve] {
        let said = reason(&with("private_key", pem));
        assert_eq!(said, "has a `private_key` that is not a whole PEM", "{pem}");
    }
}

#[test]
fn signed_texts_go_to_google_alone() {
    for uri in [
        json!("https://accounts.google.com/o/oauth2/token"),
        json!("https://www.googleapis.com/oauth2/v4/token"),
        Json::Null,
    ] {
        assert_eq!(ready(&[(SECRET_KEY, &with("token_uri", uri))]).gaps, []);
    }
    for uri in [
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com:8443/token",
        "https://oauth2.googleapis.com.example.com/token",
        "https://oauth2.googleapis.com@example.com/token",
        "https://oauth2.googleapis.com\\@example.com/token",
        "https://example.com/https://oauth2.googleapis.com/token",
        "https://storage.googleapis.com/example/token",
        "https://example.storage.googleapis.com/token",
        "HTTPS://OAUTH2.GOOGLEAPIS.COM/token",
        "https://oauth2.googleapis.com/token ",
        "https://192.0.2.1/token",
        " ",
    ] {
        let said = reason(&with("token_uri", uri));
        assert!(
            said.starts_with("has a `token_uri` that is not one of Google's"),
            "{uri}: {said}"
        );
    }
    for domain in [
        "example.com",
        "googleapis.com.example.com",
        "googleapis.com ",
    ] {
        let said = reason(&with("universe_domain", domain));
        assert!(
            said.starts_with("has a `universe_domain` other than"),
            "{domain}: {said}"
        );
    }
}

#[test]
fn members_cannot_be_read_in_two_ways() {
    let elsewhere = "https://example.com/token";
    for name in [
        "TOKEN_URI",
        "Token_Uri",
        "univer\u{17f}e_domain",
        "private_\u{212a}ey",
    ] {
        let said = reason(&with(name, elsewhere));
        assert_eq!(
            said, "has a member whose name is not in lower-case letters",
            "{name}"
        );
    }
    let twice = key(&[]).replacen('{', &format!("{{\"token_uri\": \"{elsewhere}\","), 1);
    let number = with("private_key_id", 5);
    for document in [&twice, &number] {
        let said = reason(document);
        assert_eq!(said, "has a member that is not a text, or is there twice");
    }
}

#[test]
fn nothing_of_a_bad_key_is_quoted() {
    for (name, value) in [
        ("type", json!("canary-4711")),
        ("private_key", json!("canary-4711")),
        ("client_email", json!("canary-4711")),
        ("token_uri", json!("canary-4711")),
        ("universe_domain", json!("canary-4711")),
        ("client_id", json!({"canary-4711": "canary-4711"})),
        ("CANARY-4711", json!("canary-4711")),
    ] {
        let said = refused(&[(SECRET_KEY, &with(name, value))]).to_string();
        assert!(!said.to_lowercase().contains("canary"), "{said}");
    }
    let said = refused(&[(SECRET_KEY, "canary-4711")]).to_string();
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn secrets_of_refused_keys_are_known_too() {
    let inside = |document: &str| {
        let secrets = PROVIDER.secrets_inside(&document.into());
        let texts = secrets.iter().map(|one| one.expose_secret().to_owned());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(inside(&key(&[])), [PEM]);
    assert_eq!(inside(&with("token_uri", "https://example.com")), [PEM]);
    let login = r#"{"type": "authorized_user", "client_secret": "one", "refresh_token": "two"}"#;
    assert_eq!(inside(login), ["one", "two"]);
    assert_eq!(inside("key.json"), [""; 0]);
}
