//! Taking a stack off the machine, whatever state it is in.
//!
//! Invariant: only what the stack made is touched: processes by their record or by the stack's folder, and
//! the machine's network and cgroups only on behalf of the stack that has the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::command::plain;
use super::layout::{LINK, Layout, MACHINE};
use super::node::{COVERED, way_out};
use super::process::{Identity, Process, end_all, of_folder};
use super::progress::Progress;
use super::s3::SOCKETS;
use super::wait::until;

const GONE_WITHIN: Duration = Duration::from_mins(1);
const CGROUPS: &str = "/sys/fs/cgroup";
/// The kubelet's.
const PODS_CGROUP: &str = "kubepods";

fn owner_file() -> PathBuf {
    Path::new(MACHINE).join("owner")
}

/// The folder of the stack that has the machine.
pub(super) fn owner() -> Option<PathBuf> {
    fs::read_to_string(owner_file()).ok().map(PathBuf::from)
}

/// Takes the machine for this stack. Another's is taken down first.
pub(super) async fn claim(layout: &Layout, progress: &Progress) -> Result<()> {
    if let Some(other) = owner().filter(|owner| owner != layout.root()) {
        let what = format!("take down the stack of {}", other.display());
        progress.step(&what, stack(&Layout::at(&other))).await?;
    }
    fs::create_dir_all(MACHINE)?;
    Ok(fs::write(
        owner_file(),
        layout.root().as_os_str().as_encoded_bytes(),
    )?)
}

/// Ends a stack and removes what it left on the machine. What it wrote stays, for the curious.
pub(super) async fn stack(layout: &Layout) -> Result<()> {
    let _ = fs::remove_file(layout.state());
    end_all(&recorded(layout)).await?;
    let mut unrecorded = of_folder(layout.root());
    while !unrecorded.is_empty() {
        end_all(&unrecorded).await?;
        unrecorded = of_folder(layout.root());
    }
    if owner().is_none_or(|owner| owner == layout.root()) {
        machine().await?;
        let _ = fs::remove_file(owner_file());
    }
    Ok(())
}

fn recorded(layout: &Layout) -> Vec<Identity> {
    let run = layout.run();
    let parts = fs::read_dir(&run)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    std::iter::once(run.clone())
        .chain(parts)
        .flat_map(|folder| Process::all(&folder))
        .filter_map(|process| process.identity())
        .collect()
}

async fn machine() -> Result<()> {
    let device = Path::new("/sys/class/net").join(LINK);
    if device.exists() {
        // It also goes on its own, when the kernel has done with the node's network.
        let _ = plain("ip", &format!("link delete {LINK}")).await;
    }
    // Fails when there is none left.
    while plain("iptables", &format!("-w -t nat -D {}", way_out()))
        .await
        .is_ok()
    {}
    until("the node's network device goes", GONE_WITHIN, async || {
        !device.exists()
    })
    .await?;
    until("the pods' cgroups go", GONE_WITHIN, async || {
        remove_cgroups()
    })
    .await?;
    for socket in SOCKETS {
        let _ = fs::remove_file(socket);
    }
    for folder in COVERED {
        // Only when empty: the node's own content was never here.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// A cgroup with processes in it cannot be removed, so somebody else's pods are safe.
fn remove_cgroups() -> bool {
    let controllers = fs::read_dir(CGROUPS)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let groups: Vec<PathBuf> = std::iter::once(PathBuf::from(CGROUPS))
        .chain(controllers.filter(|path| path.is_dir() && !path.is_symlink()))
        .map(|controller| controller.join(PODS_CGROUP))
        .filter(|group| group.is_dir())
        .collect();
    groups.iter().all(|group| remove_cgroup(group))
}

fn remove_cgroup(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}
