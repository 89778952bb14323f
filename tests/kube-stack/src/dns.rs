//! The name server of the node's pods: dnsmasq.
//!
//! Invariant: it answers for the public names of the stack's stores, and asks the machine's name servers for the rest.

use anyhow::Result;

use super::gcs::HOSTS;
use super::layout::{HOST_IP, Layout};
use super::process::Process;

/// What pods have for `/etc/resolv.conf`.
pub(super) fn resolver() -> String {
    format!("nameserver {HOST_IP}\n")
}

/// Starts it. A pod that asks before it listens asks again.
pub(super) fn start(layout: &Layout) -> Result<()> {
    let run = layout.run();
    let mut command = vec![
        "dnsmasq".to_owned(),
        // Below `run`, by which it is known for ours.
        format!("--pid-file={}/dns.pid", run.display()),
    ];
    let settings = "--keep-in-foreground --conf-file=/dev/null --no-hosts --user=root \
                    --bind-interfaces --except-interface=lo --log-facility=-";
    command.extend(settings.split_whitespace().map(str::to_owned));
    command.push(format!("--listen-address={HOST_IP}"));
    command.extend(HOSTS.map(|host| format!("--address=/{host}/{HOST_IP}")));
    Process::spawn(&run, "dns", &command).map(drop)
}
