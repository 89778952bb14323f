//! What was read of relations' secrets, and where it is kept.

use super::*;

#[test]
fn reading_is_kept_with_the_file() {
    let one = readings("one", "v/0");
    let stored = || set(storage(None, "file"));
    let mut live = world(&core(), stored());
    let plan = planned_with(Ok(core()), stored(), &one, &live);
    live.credentials = secrets_after(plan, &live.credentials).into();

    let all: Vec<_> = live.credentials.iter().map(content).collect();
    assert_eq!(all, [r#"cloud=file read={"tape:1":{"pin":"one"}}"#]);
    let name = live.credentials[0].name_any();

    let by_another = readings("one", "v/1");
    let plan = planned_with(Ok(core()), stored(), &by_another, &live);
    let names: Vec<_> = plan
        .credentials
        .iter()
        .map(|one| one.name.clone())
        .collect();
    assert_eq!(names, [name], "only the note changes");
    live.credentials = secrets_after(plan, &live.credentials).into();
    let kept = credential::readings(&live.credentials);
    assert_eq!(kept["tape:1"].note, by_another["tape:1"].note);
}

#[test]
fn unusable_reading_is_kept_in_one_more_secret() {
    let live_with = |secrets: Vec<Secret>| Live {
        credentials: secrets.into(),
        ..world(&core(), set(storage(None, "file")))
    };
    let good = readings("good", "v/0");
    let plan = planned_with(
        Ok(core()),
        set(storage(None, "file")),
        &good,
        &live_with(vec![]),
    );
    let mut secrets = secrets_after(plan, &[]);
    for key in ["bad", "worse"] {
        let read = readings(key, "v/0");
        let plan = planned_with(Ok(core()), kept(), &read, &live_with(secrets.clone()));
        assert!(plan.locations.is_empty() && plan.install.is_none());
        secrets = secrets_after(plan, &secrets);

        let all: Vec<_> = secrets.iter().map(content).collect();
        let expected = [
            r#"cloud=file read={"tape:1":{"pin":"good"}}"#.to_owned(),
            format!(r#"read={{"tape:1":{{"pin":"{key}"}}}}"#),
        ];
        assert_eq!(all, expected);
        let believed = credential::readings(&secrets);
        assert_eq!(believed["tape:1"].content["pin"].expose_secret(), key);
        let again = planned_with(Ok(core()), kept(), &read, &live_with(secrets.clone()));
        assert!(again.credentials.is_empty() && again.deletions.is_empty());
    }
    secrets.pop();
    assert!(
        credential::readings(&secrets).is_empty(),
        "older ones are not believed"
    );

    let read = readings("worse", "v/0");
    let new = set(storage(None, "new file"));
    let plan = planned_with(Ok(core()), new, &read, &live_with(secrets.clone()));
    let all: Vec<_> = secrets_after(plan, &secrets).iter().map(content).collect();
    assert_eq!(all, [r#"cloud=new file read={"tape:1":{"pin":"worse"}}"#]);
}

#[test]
fn reading_is_kept_under_an_invalid_config() {
    let invalid = || Err(Problem::missing("velero-image", "set it").into());
    let read = readings("one", "v/0");
    let plan = planned_with(
        invalid(),
        set(storage(None, "file")),
        &read,
        &Live::default(),
    );
    assert!(plan.is_only_notes());
    let secrets = secrets_after(plan, &[]);
    assert_eq!(secrets.len(), 1);
    let live = Live {
        credentials: secrets.into(),
        ..Live::default()
    };
    let again = planned_with(invalid(), set(storage(None, "file")), &read, &live);
    assert!(again.is_empty());
}
