//! Waiting for objects to become as they are awaited, by watch.
//!
//! Nothing is polled. A world is listed once and then follows the API server's events; it is looked at again
//! after each event, and after a second in which nothing happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    ops::ControlFlow,
    pin::Pin,
    time::Duration,
};

use futures::{Stream, StreamExt as _, future::ready, stream::once};
use kube::{
    Api, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{ClusterError, Sifted, ask, list, plural, sift_listed};

/// How long a world is left unlooked at when nothing happens.
const GLANCE: Duration = Duration::from_secs(1);

/// Follows a world, which `begin` lists and [watches](watch), until `decide` breaks or the deadline passes;
/// gives it as last seen.
pub(crate) async fn follow<W, C>(
    begin: impl AsyncFn() -> Result<(W, C), ClusterError>,
    deadline: Instant,
    mut decide: impl FnMut(&W) -> ControlFlow<()>,
) -> Result<W, ClusterError>
where
    C: Stream<Item = Result<Change<W>, Lost>> + Unpin,
{
    loop {
        let (mut world, mut changes) = begin().await?;
        loop {
            if decide(&world).is_break() || Instant::now() >= deadline {
                return Ok(world);
            }
            let glance = (Instant::now() + GLANCE).min(deadline);
            match timeout_at(glance, changes.next()).await {
                Ok(Some(Ok(change))) => change(&mut world),
                // A watch ended or was too slow: list again, but not without a pause.
                Ok(Some(Err(Lost)) | None) => {
                    sleep_until(glance).await;
                    break;
                }
                Err(_) => {}
            }
        }
    }
}

/// Waits until no object is as `awaited` says; gives the names of those that still are at the deadline.
pub(crate) async fn until_none<K>(
    api: &Api<K>,
    labels: &str,
    deadline: Instant,
    awaited: impl Fn(&K) -> bool,
) -> Result<BTreeSet<String>, ClusterError>
where
    K: Clone + DeserializeOwned + Debug + ResourceExt,
{
    let parameters = WatchParams::default().labels(labels);
    loop {
        let select = ListParams::default().labels(labels);
        let name = |object: K| awaited(&object).then(|| object.name_any());
        let Sifted { kept, version } = sift_listed(api, select, name).await?;
        let mut left: BTreeSet<String> = kept.into_iter().collect();
        if left.is_empty() {
            return Ok(left);
        }
        let doing = format!("watch {}", plural(api));
        let mut events = ask(doing, || api.watch(&parameters, &version))
            .await?
            .boxed();
        while !left.is_empty() {
            match timeout_at(deadline, events.next()).await {
                Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
                    if awaited(&object) {
                        left.insert(object.name_any());
                    } else {
                        left.remove(&object.name_any());
                    }
                }
                Ok(Some(Ok(WatchEvent::Deleted(object)))) => {
                    left.remove(&object.name_any());
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) | Err(_) => break,
            }
        }
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        // The watch ended: list again.
        sleep_until((Instant::now() + GLANCE).min(deadline)).await;
    }
}

/// A watch that cannot continue.
pub(crate) struct Lost;

/// What an event changes in a world.
type Change<W> = Box<dyn FnOnce(&mut W) + Send>;
/// What happens to one kind's objects.
pub(crate) type Changes<W> = Pin<Box<dyn Stream<Item = Result<Change<W>, Lost>> + Send>>;

/// Lists objects, then streams what happens to them.
pub(crate) async fn watch<W, K>(
    api: &Api<K>,
    select: &ListParams,
    place: fn(&mut W) -> &mut BTreeMap<String, K>,
) -> Result<(BTreeMap<String, K>, Changes<W>), ClusterError>
where
    W: 'static,
    K: Clone + DeserializeOwned + Debug + ResourceExt + Send + 'static,
{
    let found = list(api, select).await?;
    let version = found.metadata.resource_version.unwrap_or_default();
    let parameters = WatchParams {
        label_selector: select.label_selector.clone(),
        field_selector: select.field_selector.clone(),
        ..WatchParams::default()
    };
    let doing = format!("watch {}", plural(api));
    let events = ask(doing, || api.watch(&parameters, &version)).await?;
    let changes = events.map(move |event| -> Result<Change<W>, Lost> {
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                Ok(Box::new(move |world| {
                    place(world).insert(object.name_any(), object);
                }))
            }
            Ok(WatchEvent::Deleted(object)) => Ok(Box::new(move |world| {
                place(world).remove(&object.name_any());
            })),
            Ok(WatchEvent::Bookmark(_)) => Ok(Box::new(|_| {})),
            Ok(WatchEvent::Error(_)) | Err(_) => Err(Lost),
        }
    });
    // Otherwise one ended watch would go unnoticed among the others.
    let changes = changes.chain(once(ready(Err(Lost))));
    Ok((by_name(found.items), Box::pin(changes)))
}

/// Objects by their names.
pub(crate) fn by_name<K: ResourceExt>(objects: Vec<K>) -> BTreeMap<String, K> {
    objects
        .into_iter()
        .map(|object| (object.name_any(), object))
        .collect()
}
