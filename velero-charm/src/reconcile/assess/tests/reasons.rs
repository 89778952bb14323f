//! Why a container does not run, and what to do, in words that hold the cause.

use super::*;

/// What is said of a server whose container waits like this and ended like that before.
fn said(reason: &str, message: &Value, ended: &Value) -> Clause {
    let mut container = container(
        &json!({"waiting": {"reason": reason, "message": message}}),
        false,
    );
    container["lastState"] = json!({"terminated": ended});
    let pods = vec![pod(&json!({"containerStatuses": [container]}))];
    match server_of(&rolled_out(), pods) {
        PartHealth::Bad(clause) => clause,
        other => panic!("{reason}: {other:?}"),
    }
}

#[test]
fn reason_that_no_waiting_helps_is_bad_and_has_advice() {
    for reason in [
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    ] {
        let clause = said(reason, &json!("because"), &Value::Null);
        assert!(clause.cause.contains(&format!("`{reason}`")), "{clause}");
        assert!(!clause.advice.is_empty(), "{clause}");
    }
}

#[test]
fn pull_that_fails_ends_with_the_registrys_words() {
    let message = json!("Back-off pulling image: rpc error: not found");
    let clause = said("ImagePullBackOff", &message, &Value::Null);
    assert!(
        clause.cause.ends_with("of image `velero:v1`: not found"),
        "{clause}"
    );
    assert!(clause.advice.contains("image"), "{clause}");
    let silent = said("ImagePullBackOff", &Value::Null, &Value::Null);
    assert!(silent.cause.ends_with("of image `velero:v1`"), "{silent}");
}

#[test]
fn crash_ends_with_the_last_line_or_the_exit_code() {
    let words = json!({"exitCode": 1, "message": "first\nan error of 4711\n\n"});
    let clause = said("CrashLoopBackOff", &Value::Null, &words);
    assert!(clause.cause.contains("an error of 4711"), "{clause}");
    assert!(clause.advice.contains("kubectl logs"), "{clause}");
    assert!(clause.advice.contains("--previous"), "{clause}");
    let mute = said("CrashLoopBackOff", &Value::Null, &json!({"exitCode": 42}));
    assert!(mute.cause.contains("42"), "{mute}");
}

#[test]
fn other_reasons_keep_the_kubelets_words() {
    let message = json!("secret \"x\" not found");
    let clause = said("CreateContainerConfigError", &message, &Value::Null);
    assert!(clause.cause.contains("secret \"x\" not found"), "{clause}");
    assert!(clause.advice.contains("kubectl describe pods"), "{clause}");
}
