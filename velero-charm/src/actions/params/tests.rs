use serde_json::json;

use super::*;

fn params(given: Value) -> Params {
    let Value::Object(given) = given else {
        panic!("no parameters")
    };
    Params::of(given)
}

#[test]
fn time_limit_is_sane_or_refused_in_words() {
    assert_eq!(time_limit("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(time_limit("24h"), Ok(LONGEST_TIMEOUT));
    for text in ["soon", "0s", "-5m", "5", "1ns1h", "9223372036854775808s"] {
        let fault = time_limit(text).unwrap_err();
        assert!(fault.contains("give a duration such as"), "{text}: {fault}");
    }
    for text in ["2562047788015215h", "24h1ns", "9223372036854775807s", "P7D"] {
        let fault = time_limit(text).unwrap_err();
        assert!(fault.starts_with("is `"), "{text}: {fault}");
    }
    assert!(time_limit("25h").unwrap_err().contains("at most `24h`"));
    assert!(time_limit(&"9".repeat(5000)).unwrap_err().len() < 150);
}

#[test]
fn lifetime_is_one_that_velero_can_keep() {
    for text in ["720h", "1h30m", "1.5h", "90m5s"] {
        assert_eq!(lifetime(text).as_deref(), Ok(text));
    }
    for text in [
        "30d",
        "720",
        "h",
        "-1h",
        "0h",
        "0",
        "1h 30m",
        "5ms",
        "9999999h9",
    ] {
        assert!(lifetime(text).unwrap_err().contains("`720h`"), "{text}");
    }
    assert!(lifetime(&"9".repeat(5000)).unwrap_err().len() < 150);
}

#[test]
fn faults_of_all_parameters_are_reported_at_once() {
    let mut params = params(json!({
        "timeout": "soon", "include-namespaces": "shop, Bank", "exclude-namespaces": "x",
        "or-selector": "app=a or ,", "namespace-mapping": "shop",
    }));
    assert_eq!(params.timeout(), DEFAULT_TIMEOUT);
    params.namespaces("include-namespaces");
    params.either("include-namespaces", "exclude-namespaces");
    params.or_selectors("or-selector");
    params.mapping("namespace-mapping");
    let said = params.finish().unwrap_err().to_string();
    assert_eq!(said.split("; ").count(), 5, "{said}");
    for part in [
        "`timeout` is `soon`",
        "`include-namespaces` has `Bank`",
        "`include-namespaces` and `exclude-namespaces` exclude each other",
        "`or-selector` has an empty selector",
        "`namespace-mapping` has `shop`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn selectors_of_one_key_are_all_kept() {
    let mut params = params(json!({"or-selector": "app=a or app=b"}));
    let selectors = params.or_selectors("or-selector");
    assert_eq!(selectors.len(), 2);
    assert_eq!(selectors[1]["matchExpressions"][0]["values"], json!(["b"]));
}

#[test]
fn blank_parameter_is_none() {
    let mut params = params(json!({"name": "  ", "namespaces": " , "}));
    assert_eq!(params.text("name"), None);
    assert!(params.namespaces("namespaces").is_empty());
    assert!(params.finish().is_ok());
}
