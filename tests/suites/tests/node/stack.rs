//! The stack does what the other tests rely on.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube_stack::{Csi, Stack};

/// A name that no other test has, in this run or another.
fn unique(what: &str) -> String {
    format!(
        "{what}-{}-{}",
        std::process::id(),
        jiff::Timestamp::now().as_microsecond()
    )
}

#[tokio::test]
async fn a_request_is_counted_once_and_in_its_place() {
    let stack = Stack::shared().await.unwrap();
    let audit = stack.audit();
    let maps = Api::<ConfigMap>::namespaced(stack.client().await.unwrap(), "default");
    let name = unique("counted");
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };

    let before = audit.mark().await.unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let between = audit.mark().await.unwrap();
    maps.delete(&name, &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let all = audit.since(&before).await.unwrap();
    let late = audit.since(&between).await.unwrap();

    let ours = |events: Vec<kube_stack::AuditEvent>| {
        events
            .into_iter()
            .filter(|event| event.name == name)
            .collect::<Vec<_>>()
    };
    let (all, late) = (ours(all), ours(late));
    let verbs: Vec<&str> = all.iter().map(|event| event.verb.as_str()).collect();
    assert_eq!(verbs, ["create", "delete"]);
    assert_eq!(all[0].code, 201);
    assert_eq!(all[0].resource, "configmaps");
    assert_eq!(all[0].namespace, "default");
    assert_eq!(all[0].user, "admin");
    assert_eq!(
        late,
        all[1..],
        "a mark divides what was before from what is after"
    );
}

#[tokio::test]
async fn a_read_of_many_objects_is_in_the_log_when_it_is_answered() {
    let stack = Stack::shared().await.unwrap();
    let audit = stack.audit();
    let namespaces = Api::<Namespace>::all(stack.client().await.unwrap());
    for _ in 0..20 {
        let mark = audit.mark().await.unwrap();
        let name = unique("absent");
        assert!(namespaces.get_opt(&name).await.unwrap().is_none());
        let seen = audit.since(&mark).await.unwrap();
        assert_eq!(
            seen.iter()
                .filter(|event| event.name == name && event.code == 404)
                .count(),
            1
        );
    }
}

#[tokio::test]
async fn a_bucket_keeps_what_is_put_into_it() {
    let store = Stack::shared().await.unwrap().s3();
    let bucket = unique("bucket");
    store.create_bucket(&bucket).await.unwrap();
    assert!(store.list(&bucket, "").await.unwrap().is_empty());
    store
        .put(&bucket, "backups/one/a b.txt", b"hello")
        .await
        .unwrap();
    store.put(&bucket, "restores/two", b"").await.unwrap();

    let objects = store.list(&bucket, "backups/").await.unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(
        (objects[0].key.as_str(), objects[0].size),
        ("backups/one/a b.txt", 5)
    );
    assert_eq!(
        store.get(&bucket, "backups/one/a b.txt").await.unwrap(),
        b"hello"
    );
    assert_eq!(store.list(&bucket, "").await.unwrap().len(), 2);

    store.delete_bucket(&bucket).await.unwrap();
    let error = store.list(&bucket, "").await.unwrap_err().to_string();
    assert!(error.contains("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn wrong_keys_are_refused() {
    let store = Stack::shared().await.unwrap().s3();
    let wrong_secret = store.with_keys(&store.access_key, "wrong");
    let error = wrong_secret.list("any", "").await.unwrap_err().to_string();
    assert!(error.contains("SignatureDoesNotMatch"), "{error}");
    let unknown = store.with_keys("AKIDUNKNOWN", "wrong");
    let error = unknown.create_bucket("any").await.unwrap_err().to_string();
    assert!(error.contains("InvalidAccessKeyId"), "{error}");
}

#[tokio::test]
async fn the_azure_store_takes_both_keys_of_the_account_and_no_other() {
    let store = Stack::shared().await.unwrap().azure();
    let container = unique("container");
    store.create_container(&container).await.unwrap();
    let second = store.with_second_key();
    assert_eq!(second.list(&container).await.unwrap(), []);

    let wrong = store.with_key("bm90IHRoZSBrZXkgb2YgdGhlIGFjY291bnQ=");
    let error = wrong.delete_container(&container).await.unwrap_err();
    assert!(
        error.to_string().contains("AuthorizationFailure"),
        "{error}"
    );

    second.delete_container(&container).await.unwrap();
    let error = store.list(&container).await.unwrap_err().to_string();
    assert!(error.contains("ContainerNotFound"), "{error}");
}

#[tokio::test]
async fn csi_stand_in_holds_the_specification() {
    let stack = Stack::shared().await.unwrap();
    let csi = stack.csi().await.unwrap();
    let before = (csi.volumes().unwrap(), csi.snapshots().unwrap());
    let mut sanity = stack
        .on_node(&stack.bin("csi-sanity").display().to_string())
        .unwrap();
    sanity.args([
        format!("--csi.endpoint=unix://{}", Csi::socket()),
        format!("--csi.mountdir=/run/{}", unique("mount")),
        format!("--csi.stagingdir=/run/{}", unique("staging")),
        "--ginkgo.no-color".to_owned(),
    ]);
    let done = sanity.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("SUCCESS! -- "), "{said}");
    let after = (csi.volumes().unwrap(), csi.snapshots().unwrap());
    assert_eq!(after, before, "what was made is deleted again");
}

#[tokio::test]
async fn the_google_store_takes_the_key_of_the_account_and_no_other() {
    let store = Stack::shared().await.unwrap().gcs().await.unwrap();
    let bucket = unique("bucket");
    store.create_bucket(&bucket).await.unwrap();
    assert_eq!(store.list(&bucket).await.unwrap(), []);

    let deleted = store.with_key(&store.deleted_key);
    let error = deleted.list(&bucket).await.unwrap_err();
    assert!(
        error.to_string().contains("Invalid JWT Signature"),
        "{error}"
    );

    store.delete_bucket(&bucket).await.unwrap();
    let error = store.list(&bucket).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}
