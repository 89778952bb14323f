//! A proxy between a charm and the API server of a control plane alone, which does what a sick API
//! server does, at the request that a test says.
//!
//! Invariant: what its [`Script`] does not name passes through unchanged and at once, watches
//! included; each request has a number and is in the record, whatever became of it.
//!
//! It shows a certificate of the control plane's own authority, so a charm trusts it with the file that
//! it has. One connection of a client is one connection to the API server: what ends one ends the other.

mod refusal;
mod script;

use std::future::{pending, ready};
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use refusal::Refusal;
pub use script::{Asked, Exchange, Fault, Kill, Rule};

use self::script::Script;
use super::pki::{API_SERVER, EXPIRED};
use super::{ApiEndpoint, ControlPlaneOnly};

/// How the proxy meets a client that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// With a valid certificate.
    Valid,
    /// With one that was valid until 2021.
    Expired,
    /// It never takes a connection up. The kernel does, so that clients wait for the first word.
    Silent,
}

/// A running proxy; it ends with this value.
#[derive(Debug)]
pub struct Proxy {
    api: ApiEndpoint,
    script: Arc<Script>,
    door: AbortHandle,
}

impl Proxy {
    /// Starts one, with nothing in its script.
    pub async fn start(plane: &ControlPlaneOnly, face: Face) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = ApiEndpoint {
            port: listener.local_addr()?.port(),
            ..plane.api().clone()
        };
        let name = match face {
            Face::Valid | Face::Silent => API_SERVER,
            Face::Expired => {
                plane.pki().make_expired().await?;
                EXPIRED
            }
        };
        let pki = plane.pki();
        let acceptor = acceptor(&pki.certificate_of(name), &pki.key_of(name))?;
        let script = Arc::new(Script::default());
        let upstream = Arc::new(Upstream::of(plane.api())?);
        let door = if face == Face::Silent {
            tokio::spawn(async move {
                let _open = listener;
                pending::<()>().await;
            })
        } else {
            tokio::spawn(serve(listener, acceptor, upstream, Arc::clone(&script)))
        };
        Ok(Self {
            api,
            script,
            door: door.abort_handle(),
        })
    }

    /// Where it is, as a charm is to be told.
    #[must_use]
    pub const fn api(&self) -> &ApiEndpoint {
        &self.api
    }

    /// Replaces the script, empties the record and counts from 1 again.
    pub fn play(&self, rules: Vec<Rule>) {
        self.script.begin(rules);
    }

    /// What was asked since the script began, in the order in which it came.
    #[must_use]
    pub fn record(&self) -> Vec<Exchange> {
        self.script.record()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.door.abort();
    }
}

type Body = BoxBody<Bytes, io::Error>;
type Answer = io::Result<Response<Body>>;

/// The API server, as the proxy reaches it.
struct Upstream {
    address: (String, u16),
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Upstream {
    fn of(api: &ApiEndpoint) -> Result<Self> {
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_file(&api.ca_pem)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self {
            address: (api.host.clone(), api.port),
            name: ServerName::try_from(api.host.clone())?,
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender and the last body are gone; its error is theirs, too.
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the proxy's certificate")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    upstream: Arc<Upstream>,
    script: Arc<Script>,
) {
    // The clients end with the proxy.
    let mut clients = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while clients.try_join_next().is_some() {}
        let (acceptor, upstream, script) =
            (acceptor.clone(), Arc::clone(&upstream), Arc::clone(&script));
        clients.spawn(async move {
            // What a client makes of its connection's end is what a test looks at.
            let _ = meet(stream, &acceptor, &upstream, &script).await;
        });
    }
}

/// One connection of a client, to its end.
async fn meet(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    upstream: &Upstream,
    script: &Script,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(acceptor.accept(stream).await?);
    let sender = Mutex::new(upstream.connect().await?);
    let service = service_fn(|request| answer(request, &sender, script));
    hyper::server::conn::http1::Builder::new()
        .serve_connection(stream, service)
        .await?;
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    sender: &Mutex<SendRequest<Incoming>>,
    script: &Script,
) -> Answer {
    let asked = Asked::of(&request);
    let (number, fault) = script.next(&asked);
    let answer = match fault {
        None => forward(request, sender).await,
        Some(Fault::KillBefore(kill)) => {
            kill();
            pending().await
        }
        Some(Fault::KillAfter(kill)) => {
            forward(request, sender).await?;
            kill();
            pending().await
        }
        Some(Fault::Refuse(refusal)) => refuse(refusal, &asked),
        Some(Fault::Cut) => cut(forward(request, sender).await?, &asked).await,
        Some(Fault::Hang) => pending().await,
        Some(Fault::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            forward(request, sender).await
        }
    }?;
    script.answered(number, answer.status().as_u16());
    Ok(answer)
}

async fn forward(request: Request<Incoming>, sender: &Mutex<SendRequest<Incoming>>) -> Answer {
    let mut sender = sender.lock().await;
    sender.ready().await.map_err(io::Error::other)?;
    let answer = sender.send_request(request).await;
    let mut answer = answer.map_err(io::Error::other)?;
    // This is about the other connection.
    answer.headers_mut().remove(CONNECTION);
    Ok(answer.map(|body| body.map_err(io::Error::other).boxed()))
}

fn refuse(refusal: Refusal, asked: &Asked) -> Answer {
    let body = Full::from(refusal.text(asked)).map_err(|never| match never {});
    let status = StatusCode::from_u16(refusal.code()).map_err(io::Error::other)?;
    let mut answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, refusal.content_type());
    if refusal == Refusal::Busy {
        answer = answer.header(RETRY_AFTER, "1");
    }
    answer.body(body.boxed()).map_err(io::Error::other)
}

/// The head and the first half of the body, then the end of the connection. A watch has no half: it ends
/// before its first event.
async fn cut(answer: Response<Body>, asked: &Asked) -> Answer {
    let (head, body) = answer.into_parts();
    let mut bytes = if asked.is_watch() {
        Bytes::new()
    } else {
        body.collect().await?.to_bytes()
    };
    let half = bytes.split_to(bytes.len() / 2);
    let end = async {
        // What was said before is sent while this waits.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let frames = stream::once(ready(Ok(Frame::data(half)))).chain(stream::once(end));
    let body = BodyExt::boxed(StreamBody::new(frames));
    Ok(Response::from_parts(head, body))
}
