//! Who vouches for the stores that have a public name: a certificate authority of this machine.
//!
//! Invariant: images trust it and so outlive a run of the stack, as it does. It vouches for the names of the Google
//! store and no others.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cache::{Cache, Entry, key};
use super::gcs::HOSTS;
use super::layout::Layout;
use super::pki::Pki;
use super::progress::Progress;

/// The certificate of the Google store.
const STORE: &str = "store";

/// Sees to it that there is one.
pub(super) async fn ensure(layout: &Layout, progress: &Progress) -> Result<()> {
    let recipes = [include_str!("authority.rs"), include_str!("pki.rs")];
    let entry = Entry::new("authority", key(recipes.into_iter().chain(HOSTS)));
    let (certificate, store) = (certificate(layout), store(layout));
    if layout.has(&entry, &[certificate, store.certificate, store.key]) {
        return Ok(());
    }
    let make = async |folder: &Path| {
        let names = HOSTS.map(|host| format!("DNS:{host}"));
        Pki::at(folder).make_for_server(STORE, &names).await
    };
    Cache::here()?
        .take(&entry, &folder(layout), progress, make)
        .await?;
    layout.note(&entry)
}

/// Its own certificate.
pub(super) fn certificate(layout: &Layout) -> PathBuf {
    Pki::at(&folder(layout)).ca()
}

/// What the Google store shows of itself.
pub(super) struct Shown {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

pub(super) fn store(layout: &Layout) -> Shown {
    let pki = Pki::at(&folder(layout));
    Shown {
        certificate: pki.certificate_of(STORE),
        key: pki.key_of(STORE),
    }
}

fn folder(layout: &Layout) -> PathBuf {
    layout.root().join("authority")
}
