use super::*;

fn key(name: &str) -> Key {
    ("shop".into(), name.into())
}

fn claim(name: &str) -> Claim {
    Claim {
        key: key(name),
        uid: format!("uid-{name}"),
        volume: format!("pv-{name}"),
        form: Form::Files,
        chosen: true,
    }
}

fn mount(pod: &str, volume: &str, what: What, access: Access) -> Mount {
    Mount {
        pod: key(pod),
        volume: volume.into(),
        what,
        access,
    }
}

fn of_claim(pod: &str, name: &str, access: Access) -> Mount {
    mount(pod, name, What::Claim(key(name)), access)
}

fn copy(pod: &str, volume: &str) -> Copy {
    Copy {
        pod_volume: Some((key(pod), volume.into())),
        ..Copy::default()
    }
}

fn told(found: &Found) -> (String, Option<String>) {
    let report = judge("nightly", found);
    (report.saved(), report.missing())
}

fn missing(found: &Found) -> Option<String> {
    told(found).1
}

#[test]
fn volumes_that_nothing_saved_are_named_with_the_remedy() {
    let found = Found {
        claims: vec![claim("data"), claim("media"), claim("db")],
        mounts: vec![
            of_claim("cart", "data", Access::Open),
            of_claim("cart", "media", Access::Open),
            of_claim("db-0", "db", Access::Open),
            mount("cart", "cache", What::Own, Access::Open),
        ],
        copies: vec![copy("db-0", "db")],
        ..Found::default()
    };
    let report = judge("nightly", &found);

    assert_eq!(report.saved(), "1 of 4");
    let why = "(file-system backup not asked for)";
    assert_eq!(
        report.missing().unwrap(),
        format!("shop/data {why}, shop/media {why}, shop/cart:cache {why}")
    );
    assert_eq!(
        report.warning("velero").unwrap(),
        "WARNING: backup `nightly` holds no data of 3 of 4 volumes:\n  shop/data\n  shop/media\n  \
         shop/cart:cache\nTheir files are saved if that is asked for: run `juju config velero \
         use-node-agent=true default-volumes-to-fs-backup=true` and back up again. For one backup, \
         add `--default-volumes-to-fs-backup`; for single volumes, annotate their pods with \
         `backup.velero.io/backup-volumes=<volume>`. What needs no backup is left out with \
         `backup.velero.io/backup-volumes-excludes=<volume>`."
    );
}

#[test]
fn a_claim_is_saved_by_any_copy_of_it() {
    for saved in [
        copy("cart", "data"),
        Copy {
            claim_uid: Some("uid-data".into()),
            ..copy("a pod that is gone", "x")
        },
        Copy {
            claim: Some(key("data")),
            ..Copy::default()
        },
    ] {
        let found = Found {
            claims: vec![claim("data")],
            mounts: vec![
                of_claim("other", "data", Access::Open),
                of_claim("cart", "data", Access::Open),
            ],
            copies: vec![saved],
            ..Found::default()
        };
        assert_eq!(told(&found), ("1 of 1".into(), None));
        assert_eq!(judge("nightly", &found).warning("velero"), None);
    }
}

#[test]
fn causes_have_remedies_of_their_own() {
    let block = Claim {
        form: Form::Block,
        ..claim("disk")
    };
    let failed = Copy {
        failure: Some("Failed, no space left".into()),
        ..copy("cart", "media")
    };
    let found = Found {
        claims: vec![claim("idle"), claim("local"), block, claim("media")],
        mounts: vec![
            of_claim("cart", "local", Access::Open),
            of_claim("cart", "media", Access::Open),
            of_claim("cart", "disk", Access::Closed),
        ],
        host_paths: BTreeSet::from(["pv-local".to_owned()]),
        copies: vec![failed],
        ..Found::default()
    };
    let report = judge("nightly", &found);
    assert_eq!(
        report.missing().unwrap(),
        "shop/idle (no running pod to read it through), shop/local (a hostPath volume), shop/disk \
         (a block device), shop/media (failed)"
    );
    let warning = report.warning("velero").unwrap();
    for part in [
        "include pods in the backup",
        "StorageClass",
        "only a snapshot",
        "no space left",
    ] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

#[test]
fn volumes_left_out_are_not_missed() {
    let found = Found {
        claims: vec![
            claim("cache"),
            Claim {
                chosen: false,
                ..claim("of others")
            },
        ],
        mounts: vec![
            of_claim("cart", "cache", Access::OptedOut),
            mount("cart", "tmp", What::Own, Access::OptedOut),
            mount("job", "tmp", What::Own, Access::Closed),
        ],
        ..Found::default()
    };
    assert_eq!(told(&found), ("0 of 0".into(), None));
}

#[test]
fn a_claim_comes_along_with_its_pod() {
    let unchosen = Claim {
        chosen: false,
        ..claim("data")
    };
    let found = Found {
        claims: vec![unchosen],
        mounts: vec![of_claim("cart", "data", Access::Open)],
        ..Found::default()
    };
    assert_eq!(told(&found).0, "0 of 1");
}

#[test]
fn snapshots_cover_claims_as_far_as_they_go() {
    let found = |snapshots| Found {
        claims: vec![claim("a"), claim("b")],
        mounts: vec![mount("cart", "cache", What::Own, Access::Open)],
        copies: vec![copy("cart", "cache")],
        snapshots,
        ..Found::default()
    };
    assert_eq!(missing(&found(2)), None);
    let report = judge("nightly", &found(1));
    assert_eq!(report.saved(), "1 of 3");
    let warning = report.warning("velero").unwrap();
    assert!(
        warning.contains("Snapshots were taken of 1 volumes"),
        "{warning}"
    );
}

#[test]
fn report_is_bounded() {
    let claims = (0..5000).map(|number| claim(&format!("data-{number}")));
    let mounts = (0..5000).map(|number| {
        of_claim(
            &format!("pod-{number}"),
            &format!("data-{number}"),
            Access::Open,
        )
    });
    let copies = (0..4000).map(|number| Copy {
        failure: Some(format!("Failed, {number}")),
        ..copy(&format!("pod-{number}"), &format!("data-{number}"))
    });
    let found = Found {
        claims: claims.collect(),
        mounts: mounts.collect(),
        copies: copies.collect(),
        rest: Rest::NotLookedAt,
        ..Found::default()
    };
    let report = judge("nightly", &found);
    assert!(report.missing().unwrap().ends_with(", and 4950 more"));
    let warning = report.warning("velero").unwrap();
    assert!(warning.len() < 8000, "{}", warning.len());
    assert!(warning.ends_with("There are more volumes than were looked at."));
}
