//! A way to the API server on which bytes are counted.
//!
//! Invariant: it hands on what it gets as it is; TLS goes through it from end to end. What is counted is
//! what TCP carried, handshakes included.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use kube_stack::ApiEndpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A running relay; it takes no more connections after this value's end.
pub(super) struct Relay {
    api: ApiEndpoint,
    counts: Arc<Counts>,
    door: AbortHandle,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What has gone through a relay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    pub(super) connections: u64,
    /// Bytes to the API server.
    pub(super) sent: u64,
    /// Bytes from it.
    pub(super) received: u64,
}

impl Relay {
    pub(super) async fn to(api: &ApiEndpoint) -> Result<Self> {
        // The API server's certificate is for its address and says nothing of ports.
        let listener = TcpListener::bind((api.host.as_str(), 0)).await?;
        let here = ApiEndpoint {
            port: listener.local_addr()?.port(),
            ..api.clone()
        };
        let counts = Arc::<Counts>::default();
        let door = tokio::spawn(serve(listener, api.clone(), Arc::clone(&counts)));
        Ok(Self {
            api: here,
            counts,
            door: door.abort_handle(),
        })
    }

    /// Where it is, as a charm is to be told.
    pub(super) const fn api(&self) -> &ApiEndpoint {
        &self.api
    }

    /// What has gone through since the last time this was asked.
    pub(super) fn take(&self) -> Traffic {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Traffic {
            connections: take(&self.counts.connections),
            sent: take(&self.counts.sent),
            received: take(&self.counts.received),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.door.abort();
    }
}

async fn serve(listener: TcpListener, api: ApiEndpoint, counts: Arc<Counts>) {
    while let Ok((client, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(server) = TcpStream::connect((api.host.as_str(), api.port)).await else {
            continue;
        };
        // Or it would be the relay that makes small writes wait.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            tokio::join!(
                pump(from_client, to_server, &counts.sent),
                pump(from_server, to_client, &counts.received),
            )
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        let read = buffer.get(..length).unwrap_or_default();
        if to.write_all(read).await.is_err() {
            break;
        }
    }
    // The peer may have gone first.
    let _ = to.shutdown().await;
}
