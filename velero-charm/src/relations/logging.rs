//! `loki_push_api`: lines for Loki, which this charm sends itself. Velero has no container of Juju's whose output could
//! be forwarded.

use std::{collections::BTreeSet, io::Cursor, time::Duration};

use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    observer::{Endpoint, Observer, Units, Words},
    topology::Topology,
};
use crate::juju::{JujuError, Tools};

/// Where those are who keep logs.
pub(crate) const ENDPOINT: Endpoint = Endpoint {
    name: "logging",
    units: Units::AreSilent,
};
/// Where each unit of Loki says where to send.
const ADDRESS: &str = "endpoint";
/// Loki answers in milliseconds; a hook has better things to do than to wait for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// A line, and when what it tells of was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

/// Why Loki has not taken something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error("{0}")]
    Address(#[from] http::Error),
    #[error("no certificates to trust: {0}")]
    Certificates(std::io::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("{0}")]
    Request(#[from] hyper_util::client::legacy::Error),
    #[error("it answered {0}")]
    Refused(StatusCode),
}

#[derive(Deserialize)]
struct Address {
    url: String,
}

/// What is yet to be said. There are no rules for Loki: what is worth an alert, Velero measures.
pub(crate) fn of_application(observer: &Observer, topology: &Topology) -> Option<Words> {
    observer.unsaid(
        [
            ("metadata", topology.metadata().to_string()),
            ("alert_rules", "{}".to_owned()),
        ]
        .into(),
    )
}

/// Where to send, each address once.
pub(crate) async fn addresses(
    tools: &Tools,
    observers: &[Observer],
) -> Result<BTreeSet<String>, JujuError> {
    let mut found = BTreeSet::new();
    for observer in observers {
        for unit in tools.remote_units(&observer.id).await? {
            let bag = tools.unit_bag(&observer.id, &unit).await?;
            found.extend(bag.get(ADDRESS).and_then(|text| address(text)));
        }
    }
    Ok(found)
}

fn address(text: &str) -> Option<String> {
    let address: Address = serde_json::from_str(text).ok()?;
    Some(address.url)
}

/// Sends lines to one address.
pub(crate) async fn push(
    address: &str,
    topology: &Topology,
    lines: &[Line],
) -> Result<(), PushError> {
    let request = Request::post(address)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Cursor::new(body(topology, lines).to_string())))?;
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(PushError::Certificates)?
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let answer = timeout(PATIENCE, client.request(request)).await;
    let status = answer.map_err(|_| PushError::Silent)??.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(PushError::Refused(status))
    }
}

fn body(topology: &Topology, lines: &[Line]) -> Value {
    let labels: serde_json::Map<_, _> = topology
        .labels()
        .iter()
        .map(|(label, value)| ((*label).to_owned(), (*value).into()))
        .collect();
    let values: Vec<_> = lines
        .iter()
        .map(|line| json!([line.at.as_nanosecond().to_string(), line.text]))
        .collect();
    json!({"streams": [{"stream": labels, "values": values}]})
}

#[cfg(test)]
mod tests {
    use super::super::{observer::tests::observer, topology::tests::topology};
    use super::*;

    #[test]
    fn data_bag_is_as_the_python_library_writes_it() {
        let words = of_application(&observer(&[], &[]), &topology()).unwrap();
        let fields = words.fields();
        let metadata: Value = serde_json::from_str(&fields["metadata"]).unwrap();
        assert_eq!(metadata["charm_name"], "velero-operator");
        assert_eq!(metadata["unit"], "");
        assert_eq!(fields["alert_rules"], "{}");
    }

    #[test]
    fn address_is_what_a_unit_of_loki_says() {
        let said = r#"{"url": "http://loki-0.loki:3100/loki/api/v1/push"}"#;
        let url = "http://loki-0.loki:3100/loki/api/v1/push";
        assert_eq!(address(said).as_deref(), Some(url));
        assert_eq!(address("perhaps"), None);
    }

    #[test]
    fn lines_are_labelled_as_series_are() {
        let at = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let text = "Backup `b` ended `Failed`.".to_owned();
        let body = body(&topology(), &[Line { at, text }]);
        let stream = &body["streams"][0];
        assert_eq!(stream["stream"]["juju_application"], "my-velero");
        let line = json!(["1767225600500000000", "Backup `b` ended `Failed`."]);
        assert_eq!(stream["values"], json!([line]));
    }
}
