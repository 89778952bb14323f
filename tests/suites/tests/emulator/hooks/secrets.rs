//! A secret from one real charm to another: both sides' hooks, revisions, grants, and their end.

use std::fs;

use juju_emulator::{DeployOptions, HookRun, SecretDue};

use super::{World, charm_in, write_script};

/// Makes a secret for the relation, and a revision of it for each value of its option.
const OWNER: &str = "word=$(config-get word)
case $JUJU_HOOK_NAME in
offer-relation-created)
    uri=$(secret-add --label ours token=$word)
    secret-grant $uri -r $JUJU_RELATION_ID
    relation-set --app uri=$uri ;;
config-changed)
    [ -z \"$(secret-ids)\" ] || secret-set $(secret-ids) token=$word ;;
secret-remove)
    secret-remove $JUJU_SECRET_ID --revision $JUJU_SECRET_REVISION ;;
esac
echo $JUJU_HOOK_NAME $JUJU_SECRET_REVISION >> seen";

/// Follows it.
const READER: &str = "echo $JUJU_HOOK_NAME $JUJU_SECRET_LABEL >> seen
for id in $(relation-ids other); do
    uri=$(relation-get -r $id --app uri owner)
    [ -z \"$uri\" ] || secret-get $uri --label theirs --refresh token > token 2> error
done
true";

impl World {
    async fn of_secrets() -> (Self, u32) {
        let mut world = Self::new().await;
        let owner = charm_in(&world.dir.path().join("owner"), OWNER);
        let reader = charm_in(&world.dir.path().join("reader"), READER);
        let one = DeployOptions::default;
        world.juju.deploy(&owner, "owner", one()).await.unwrap();
        world.juju.deploy(&reader, "reader", one()).await.unwrap();
        world.juju.settle().await.unwrap();
        let id = world.juju.integrate("reader:other", "owner:offer").unwrap();
        world.settle_well().await;
        (world, id)
    }

    async fn settle_well(&mut self) -> Vec<String> {
        let runs = self.juju.settle().await.unwrap();
        let well = |run: &HookRun| run.exit.is_success();
        assert!(runs.iter().all(well), "{runs:#?}");
        runs.iter()
            .map(|run| format!("{} {}", run.unit, run.hook))
            .collect()
    }

    fn of(&self, unit: &str, name: &str) -> String {
        fs::read_to_string(self.juju.charm_dir(unit).join(name)).unwrap_or_default()
    }
}

#[tokio::test]
async fn hooks_of_both_sides_run_from_first_to_last() {
    let (mut world, _) = World::of_secrets().await;
    assert_eq!(world.of("reader/0", "token"), "hello\n");
    let seen = world.of("reader/0", "seen");
    // The owner had written before the reader came: its bag comes before its unit.
    let relation = ["created", "changed", "joined", "changed"];
    let mut last: Vec<_> = seen.lines().map(str::trim).rev().take(4).collect();
    last.reverse();
    assert_eq!(last, relation.map(|word| format!("other-relation-{word}")));
    world
        .juju
        .remove_relation("reader:other", "owner:offer")
        .unwrap();
    let mut runs = world.settle_well().await;
    runs.sort();
    assert_eq!(
        runs,
        [
            "owner/0 offer-relation-broken",
            "owner/0 offer-relation-departed",
            "reader/0 other-relation-broken",
            "reader/0 other-relation-departed",
        ]
    );
}

#[tokio::test]
async fn a_new_revision_is_told_followed_and_its_forerunner_removed() {
    let (mut world, _) = World::of_secrets().await;
    world.juju.config("owner", &[("word", "second")]).unwrap();
    let runs = world.settle_well().await;
    assert_eq!(
        runs,
        [
            "owner/0 config-changed",
            "reader/0 secret-changed",
            "owner/0 secret-remove"
        ]
    );
    assert_eq!(world.of("reader/0", "token"), "second\n");
    assert!(
        world
            .of("reader/0", "seen")
            .ends_with("secret-changed theirs\n")
    );
    assert!(world.of("owner/0", "seen").ends_with("secret-remove 1\n"));
    let secret = world.juju.model().secrets.values().next().unwrap();
    assert_eq!(secret.revisions.keys().collect::<Vec<_>>(), [&2]);

    // One that does not follow hears of it all the same, and keeps the old revision alive.
    write_script(
        &world.juju.charm_dir("reader/0"),
        "secret-get --label theirs > token",
    );
    world.juju.config("owner", &[("word", "third")]).unwrap();
    let runs = world.settle_well().await;
    assert_eq!(runs, ["owner/0 config-changed", "reader/0 secret-changed"]);
    assert_eq!(world.of("reader/0", "token"), "token: second\n");
    assert!(world.settle_well().await.is_empty());
}

#[tokio::test]
async fn secret_that_is_revoked_removed_or_ended_cannot_be_read() {
    let (mut world, id) = World::of_secrets().await;
    let ends = [
        (
            format!("secret-revoke $(secret-ids) -r {id}"),
            "is not allowed to read this secret",
        ),
        (format!("secret-grant $(secret-ids) -r {id}"), ""),
        ("secret-remove $(secret-ids)".to_owned(), "not found"),
    ];
    for (script, error) in ends {
        write_script(&world.juju.charm_dir("owner/0"), &script);
        world
            .juju
            .run_hook("owner/0", "update-status")
            .await
            .unwrap();
        let runs = world.juju.hook_runs().len();
        world
            .juju
            .run_hook("reader/0", "update-status")
            .await
            .unwrap();
        assert_eq!(
            world.juju.hook_runs().len(),
            runs + 1,
            "none of it sets a hook off"
        );
        let told = world.of("reader/0", "error");
        assert!(
            told.contains(error) && told.is_empty() == error.is_empty(),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_hook_that_fails_leaves_secrets_as_they_were() {
    let (mut world, id) = World::of_secrets().await;
    let before = world.juju.model().secrets.clone();
    write_script(
        &world.juju.charm_dir("owner/0"),
        &format!(
            "s=$(secret-ids); secret-set $s token=x --label other
             secret-get --label other --peek > peeked
             secret-add token=y; secret-revoke $s -r {id}; secret-remove $s; exit 1"
        ),
    );
    world
        .juju
        .run_hook("owner/0", "update-status")
        .await
        .unwrap();
    assert_eq!(
        world.of("owner/0", "peeked"),
        "token: x\n",
        "the hook itself sees them"
    );
    let show = |secrets| serde_json::to_string(secrets).unwrap();
    assert_eq!(show(&world.juju.model().secrets), show(&before));
}

#[tokio::test]
async fn an_owner_hears_what_is_due() {
    let (mut world, _) = World::of_secrets().await;
    let id = world.juju.model().secrets.keys().next().unwrap().clone();
    world.juju.secret_due(&id, SecretDue::Rotate).unwrap();
    world.juju.secret_due(&id, SecretDue::Expired).unwrap();
    let runs = world.settle_well().await;
    assert_eq!(runs, ["owner/0 secret-expired", "owner/0 secret-rotate"]);
    assert!(
        world
            .of("owner/0", "seen")
            .ends_with("secret-expired 1\nsecret-rotate\n")
    );
}
