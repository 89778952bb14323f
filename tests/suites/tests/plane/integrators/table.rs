//! The table: a row for each protocol version that integrators talk.
//!
//! Invariant: `Row::outcome` is what the tests hold a row to and what the page says of it.

use juju_emulator::{AuthRelease, AzureDialect, Dialect, GcsRelease, Release};
use worlds::foreign_charms::ForeignCharm;

use super::courses::Course;
use super::offers::Offer;

/// Releases of an integrator that talk alike.
pub(super) struct Row {
    /// The name of its world.
    pub(super) name: &'static str,
    /// The integrator.
    pub(super) charm: &'static str,
    pub(super) releases: &'static str,
    pub(super) end: End,
    pub(super) keys: Keys,
    /// How its keys come in a relation that this charm has begun.
    way: Way,
    /// The same if it has them before the relation is made.
    again: Way,
    /// The same in one that the Python charm has begun.
    python: Way,
    resets: Resets,
    blank: Outcome,
    /// Where it may not read the user's secret.
    ungranted: Ungranted,
    refresh: Refresh,
}

/// Who is at the other end.
pub(super) enum End {
    Played(Release),
    /// The library that the integrator stands on, by package and version, in a charm of the tests which has this offer.
    Library(ForeignCharm, &'static str, Offer),
}

/// Where the integrator has keys from.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    InASecret,
    ByAnAction,
    ItsOwn,
}

/// How keys come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Secret,
    /// In the data bag: it has no other way.
    Clear,
    /// In the data bag, though it could send a secret.
    StaysClear,
    /// As a secret, with old ones left in the data bag.
    Both,
}

enum Resets {
    /// Which options stay.
    But(&'static [&'static str]),
    Has(&'static str),
}

enum Ungranted {
    /// It sends nothing.
    Silent {
        late: &'static str,
    },
    /// It sends a blank.
    Blank {
        revoked: &'static str,
        late: &'static str,
        by: Heal,
    },
    NoSecret,
}

/// What makes an integrator send a key once it may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heal {
    UpdateStatus,
    IntegratingAgain,
}

pub(super) enum Refresh {
    To(Release, Way),
    No(&'static str),
}

/// How a course ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Connects(Way),
    /// The new key, and nothing is restarted.
    InForce,
    /// What was reset is taken back, but for these.
    TakenBack(&'static [&'static str]),
    /// What works stays, and this is the status.
    Kept(&'static str),
    /// The same once the user changes another option.
    KeptLater(&'static str),
    /// What works stays, and so does the status.
    Unmoved,
    /// This is the status until the key comes.
    Heals(&'static str, Heal),
    Disconnects,
    /// The key of the account counts again.
    BackToTheKey,
    /// There is no such course.
    Cannot(&'static str),
}

const NEWEST: Refresh = Refresh::No("it is the newest");
const OWN_STORE: Refresh = Refresh::No("no release that talks otherwise is known");

impl Row {
    pub(super) fn offer(&self) -> Offer {
        match &self.end {
            End::Played(Release::S3(_)) => Offer::S3,
            End::Played(Release::Azure(_)) => Offer::Azure,
            End::Played(Release::AzureAuth(_)) => Offer::Principal,
            End::Played(Release::Gcs(_)) => Offer::Gcs,
            End::Library(.., offer) => *offer,
        }
    }

    /// Whether its user sets this option. A store that makes the bucket on request has no option for it.
    pub(super) fn has(&self, option: &str) -> bool {
        self.name != "seaweedfs" || option != "bucket"
    }

    /// The bucket that is to be in use: the user's, or that which the store has made at our wish.
    pub(super) fn bucket(&self, of_the_user: &str, wish: Option<&String>) -> String {
        match wish {
            Some(wish) if !self.has("bucket") => wish.clone(),
            _ => of_the_user.to_owned(),
        }
    }

    /// How it goes on when it is refreshed.
    pub(super) const fn refresh(&self) -> &Refresh {
        &self.refresh
    }

    pub(super) fn outcome(&self, course: Course) -> Outcome {
        match course {
            Course::Python => Outcome::Connects(self.python),
            Course::Removal if self.offer() == Offer::Principal => Outcome::BackToTheKey,
            Course::Removal => Outcome::Disconnects,
            Course::First => Outcome::Connects(self.way),
            Course::Again => Outcome::Connects(self.again),
            Course::Rotation => Outcome::InForce,
            Course::Resets => match self.resets {
                Resets::But(stand) => Outcome::TakenBack(stand),
                Resets::Has(why) => Outcome::Cannot(why),
            },
            Course::Blank => self.blank,
            Course::Revoked => match self.ungranted {
                Ungranted::Silent { .. } => Outcome::Unmoved,
                Ungranted::Blank { revoked, .. } if self.sends_again() => Outcome::Kept(revoked),
                Ungranted::Blank { revoked, .. } => Outcome::KeptLater(revoked),
                Ungranted::NoSecret => Outcome::Cannot(self.no_secret()),
            },
            Course::Late => match self.ungranted {
                Ungranted::Silent { late } => Outcome::Heals(late, Heal::UpdateStatus),
                Ungranted::Blank { late, by, .. } => Outcome::Heals(late, by),
                Ungranted::NoSecret => Outcome::Cannot(self.no_secret()),
            },
            Course::Refresh => match self.refresh {
                Refresh::To(_, way) => Outcome::Connects(way),
                Refresh::No(why) => Outcome::Cannot(why),
            },
        }
    }

    /// It sends all again with each `update-status`, a blank as well.
    pub(super) fn sends_again(&self) -> bool {
        self.offer() != Offer::Azure
    }

    const fn no_secret(&self) -> &'static str {
        match self.keys {
            Keys::ByAnAction => "its keys come by an action, not in a secret of the user",
            Keys::ItsOwn | Keys::InASecret => "its keys are its own, not in a secret of the user",
        }
    }
}

const WITHOUT_BUCKET: &str = "blocked: set `bucket` in `s3-integrator`: `bucket` is missing";
const S3_WAITS: &str = "waiting: waiting for `s3-integrator` to send a bucket and keys";
const OF_S3: [&str; 5] = ["path", "region", "s3-uri-style", "tls-ca-chain", "endpoint"];
const OF_AZURE: [&str; 2] = ["path", "resource-group"];
const WITHOUT_CONTAINER: &str =
    "blocked: set `container` in `azure-storage-integrator`: `container` is missing";
const AZURE_BLANK: &str = "blocked: set the account key in `azure-storage-integrator`, or if it is set, grant it with \
                           `juju grant-secret`, remove the relation and integrate again: `secret-key` is blank";
const WITHOUT_TENANT: &str =
    "blocked: set `tenant-id` in `azure-auth-integrator`: `tenant-id` is missing";
const PRINCIPAL_BLANK: &str = "blocked: set the service principal in `azure-auth-integrator`, or if it is set, grant it with \
     `juju grant-secret`, remove the relation and integrate again: `client-id` is blank, \
     `client-secret` is blank";
const PRINCIPAL_WAITS: &str =
    "waiting: waiting for `azure-auth-integrator` to send a service principal";
const GCS_WAITS: &str = "waiting: waiting for `gcs-integrator` to send a bucket and a service account's key (`secret-key`)";
const CHARMLIB: &str = "object-storage-charmlib 1.0.0";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "s3-track-1",
        charm: "s3-integrator",
        releases: "track 1",
        end: End::Played(Release::S3(Dialect::V0)),
        keys: Keys::ByAnAction,
        way: Way::Clear,
        again: Way::Clear,
        python: Way::Clear,
        resets: Resets::But(&[]),
        blank: Outcome::Unmoved,
        ungranted: Ungranted::NoSecret,
        refresh: Refresh::To(Release::S3(Dialect::V1), Way::StaysClear),
    },
    Row {
        name: "s3-unversioned",
        charm: "s3-integrator",
        releases: "2/edge, May to October 2025: revisions 167, 210, 225, 238",
        end: End::Played(Release::S3(Dialect::Unversioned)),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::StaysClear,
        resets: Resets::But(&OF_S3),
        blank: Outcome::Unmoved,
        ungranted: Ungranted::Silent { late: S3_WAITS },
        refresh: Refresh::To(Release::S3(Dialect::V1), Way::Secret),
    },
    Row {
        name: "s3-lib-version",
        charm: "s3-integrator",
        releases: "2/edge, revision 276",
        end: End::Played(Release::S3(Dialect::LibVersion)),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::StaysClear,
        resets: Resets::But(&OF_S3),
        blank: Outcome::Unmoved,
        ungranted: Ungranted::Silent { late: S3_WAITS },
        refresh: Refresh::To(Release::S3(Dialect::V1), Way::Secret),
    },
    Row {
        name: "s3-version-1",
        charm: "s3-integrator",
        releases: "2/stable, revision 543",
        end: End::Played(Release::S3(Dialect::V1)),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::StaysClear,
        resets: Resets::But(&[]),
        blank: Outcome::Kept(WITHOUT_BUCKET),
        ungranted: Ungranted::Silent { late: S3_WAITS },
        refresh: Refresh::No("later releases talk alike"),
    },
    Row {
        name: "s3-library",
        charm: "s3-integrator",
        releases: "newest",
        end: End::Library(ForeignCharm::ObjectStorageProvider, CHARMLIB, Offer::S3),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::StaysClear,
        resets: Resets::But(&[]),
        blank: Outcome::Kept(WITHOUT_BUCKET),
        ungranted: Ungranted::Silent { late: S3_WAITS },
        refresh: NEWEST,
    },
    Row {
        name: "seaweedfs",
        charm: "seaweedfs-k8s",
        releases: "the one there is",
        end: End::Played(Release::S3(Dialect::V0)),
        keys: Keys::ItsOwn,
        way: Way::Clear,
        again: Way::Clear,
        python: Way::Clear,
        resets: Resets::Has("the store has no such options"),
        blank: Outcome::Cannot("the store has no such option, and makes the bucket"),
        ungranted: Ungranted::NoSecret,
        refresh: OWN_STORE,
    },
    Row {
        name: "minio-like",
        charm: "minio-like",
        releases: "any store of its own that sends a bucket and keys unasked",
        end: End::Played(Release::S3(Dialect::Deaf)),
        keys: Keys::ItsOwn,
        way: Way::Clear,
        again: Way::Clear,
        python: Way::Clear,
        resets: Resets::Has("the store has no such options"),
        blank: Outcome::Kept("blocked: set `bucket` in `minio-like`: `bucket` is missing"),
        ungranted: Ungranted::NoSecret,
        refresh: OWN_STORE,
    },
    Row {
        name: "azure-v0",
        charm: "azure-storage-integrator",
        releases: "those on data_interfaces v0, which name no version",
        end: End::Played(Release::Azure(AzureDialect::V0)),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::Secret,
        resets: Resets::But(&OF_AZURE),
        blank: Outcome::Kept(WITHOUT_CONTAINER),
        ungranted: Ungranted::Blank {
            revoked: AZURE_BLANK,
            late: AZURE_BLANK,
            by: Heal::IntegratingAgain,
        },
        refresh: Refresh::To(Release::Azure(AzureDialect::V1), Way::Secret),
    },
    Row {
        name: "azure-library",
        charm: "azure-storage-integrator",
        releases: "newest",
        end: End::Library(ForeignCharm::ObjectStorageProvider, CHARMLIB, Offer::Azure),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::Secret,
        resets: Resets::But(&OF_AZURE),
        blank: Outcome::Unmoved,
        ungranted: Ungranted::Blank {
            revoked: AZURE_BLANK,
            late: AZURE_BLANK,
            by: Heal::IntegratingAgain,
        },
        refresh: NEWEST,
    },
    Row {
        name: "principal-old",
        charm: "azure-auth-integrator",
        releases: "before March 2026, on data_interfaces v0",
        end: End::Played(Release::AzureAuth(AuthRelease::Old)),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::StaysClear,
        python: Way::StaysClear,
        resets: Resets::But(&[]),
        blank: Outcome::Kept(WITHOUT_TENANT),
        ungranted: Ungranted::Blank {
            revoked: PRINCIPAL_BLANK,
            late: PRINCIPAL_BLANK,
            by: Heal::UpdateStatus,
        },
        refresh: Refresh::To(Release::AzureAuth(AuthRelease::New), Way::Both),
    },
    Row {
        name: "principal-library",
        charm: "azure-auth-integrator",
        releases: "since March 2026, on data_interfaces v1",
        end: End::Library(
            ForeignCharm::ServicePrincipalProvider,
            "dpcharmlibs-interfaces 1.2.2",
            Offer::Principal,
        ),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::Secret,
        resets: Resets::But(&[]),
        blank: Outcome::Kept(WITHOUT_TENANT),
        ungranted: Ungranted::Blank {
            revoked: PRINCIPAL_BLANK,
            late: PRINCIPAL_WAITS,
            by: Heal::UpdateStatus,
        },
        refresh: NEWEST,
    },
    Row {
        name: "gcs-unversioned",
        charm: "gcs-integrator",
        releases: "of January 2026",
        end: End::Played(Release::Gcs(GcsRelease::Unversioned)),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::Secret,
        resets: Resets::But(&["path"]),
        blank: Outcome::Unmoved,
        ungranted: Ungranted::Silent { late: GCS_WAITS },
        refresh: Refresh::To(Release::Gcs(GcsRelease::Library), Way::Secret),
    },
    Row {
        name: "gcs-library",
        charm: "gcs-integrator",
        releases: "newest",
        end: End::Library(ForeignCharm::ObjectStorageProvider, CHARMLIB, Offer::Gcs),
        keys: Keys::InASecret,
        way: Way::Secret,
        again: Way::Secret,
        python: Way::Secret,
        resets: Resets::But(&["path"]),
        blank: Outcome::Unmoved,
        ungranted: Ungranted::Silent { late: GCS_WAITS },
        refresh: NEWEST,
    },
];
