//! The proxy between a charm and its API server: what is not in its script passes, and each fault is
//! what it is called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use juju_emulator::{DeployOptions, Juju};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use kube_stack::proxy::{Asked, Face, Fault, Kill, Proxy, Refusal, Rule};
use kube_stack::{ControlPlaneOnly, DEADLINE};
use serde_json::{from_value, json};
use tokio::sync::Notify;
use tokio::time::timeout;
use worlds::clusters;
use worlds::operator;

/// What a client waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_millis(300);
const TESTER: &str = "tester";

/// A control plane, and the token of an account that may do everything in it.
struct Bench {
    plane: ControlPlaneOnly,
    token: String,
}

impl Bench {
    async fn set_up() -> Self {
        let plane = ControlPlaneOnly::start().await.unwrap();
        let client = plane.client().await.unwrap();
        let how = PostParams::default();
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let account = from_value(json!({"metadata": {"name": TESTER}})).unwrap();
        accounts.create(&how, &account).await.unwrap();
        let binding: ClusterRoleBinding = from_value(json!({
            "metadata": {"name": TESTER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                        "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": TESTER, "namespace": "default"}],
        }))
        .unwrap();
        Api::all(client).create(&how, &binding).await.unwrap();
        let request = TokenRequest::default();
        let answer = accounts.create_token_request(TESTER, &how, &request).await;
        let token = answer.unwrap().status.unwrap().token;
        let bench = Self { plane, token };
        let allowed = async {
            let client = bench.client(bench.plane.api().port).await;
            while maps(&client).list(&ListParams::default()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, allowed).await.unwrap();
        bench
    }

    /// A client with the token that asks at this port, and never again on its own.
    async fn client(&self, port: u16) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.plane.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.unwrap();
        config.auth_info = kube::config::AuthInfo::default();
        config.auth_info.token = Some(self.token.clone().into());
        config.cluster_url = format!("https://127.0.0.1:{port}").parse().unwrap();
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    async fn proxy(&self, face: Face) -> (Proxy, Client) {
        let proxy = Proxy::start(&self.plane, face).await.unwrap();
        let client = self.client(proxy.api().port).await;
        (proxy, client)
    }
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

async fn make(client: &Client, name: &str) -> kube::Result<ConfigMap> {
    let map = from_value(json!({"metadata": {"name": name}, "data": {"key": "value"}})).unwrap();
    maps(client).create(&PostParams::default(), &map).await
}

async fn is_there(client: &Client, name: &str) -> bool {
    maps(client).get_opt(name).await.unwrap().is_some()
}

/// The last cause of an error.
fn cause(error: &kube::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn is_map(asked: &Asked) -> bool {
    asked.path.ends_with("/configmaps")
}

#[tokio::test]
async fn faults_are_what_they_are_called() {
    let bench = Bench::set_up().await;
    let straight = bench.plane.client().await.unwrap();
    let (proxy, client) = bench.proxy(Face::Valid).await;
    what_is_not_named_passes_watches_included(&proxy, &client, &straight).await;
    refusals_are_in_the_words_of_the_api_server(&proxy, &client, &straight).await;
    a_cut_answer_was_begun_and_what_was_asked_is_done(&proxy, &client, &straight).await;
    a_kill_comes_before_or_after_the_deed(&proxy, &client, &straight).await;
    answers_may_come_late_or_never(&proxy, &client).await;

    let (_expired, client) = bench.proxy(Face::Expired).await;
    let error = make(&client, "no").await.unwrap_err();
    assert!(cause(&error).contains("expired"), "{error:?}");

    let (_silent, client) = bench.proxy(Face::Silent).await;
    assert!(timeout(PATIENCE, make(&client, "no")).await.is_err());
    assert!(!is_there(&straight, "no").await);
}

async fn what_is_not_named_passes_watches_included(
    proxy: &Proxy,
    client: &Client,
    straight: &Client,
) {
    let parameters = WatchParams::default().fields("metadata.name=seen");
    let events = maps(client).watch(&parameters, "0").await.unwrap();
    let mut events = events.boxed();
    make(straight, "seen").await.unwrap();
    let seen =
        async { while !matches!(events.try_next().await, Ok(Some(WatchEvent::Added(_)))) {} };
    timeout(DEADLINE, seen).await.unwrap();
    assert!(is_there(client, "seen").await);

    let record = proxy.record();
    let [watch, get] = record.as_slice() else {
        panic!("{record:?}");
    };
    assert!(watch.asked.is_watch() && !get.asked.is_watch());
    assert_eq!(get.number, 2);
    assert_eq!(get.asked.user, "system:serviceaccount:default:tester");
    let shown = "2 GET /api/v1/namespaces/default/configmaps/seen → 200";
    assert_eq!(get.to_string(), shown);
}

async fn refusals_are_in_the_words_of_the_api_server(
    proxy: &Proxy,
    client: &Client,
    straight: &Client,
) {
    let refused = async |refusal: Refusal| {
        proxy.play(vec![Rule::every(is_map, Fault::Refuse(refusal))]);
        match make(client, "refused").await {
            Err(kube::Error::Api(status)) => (status.code, status.reason, status.message),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        refused(Refusal::Forbidden).await,
        (
            403,
            "Forbidden".to_owned(),
            "configmaps is forbidden: User \"system:serviceaccount:default:tester\" cannot create \
             resource \"configmaps\" in API group \"\" in the namespace \"default\""
                .to_owned()
        )
    );
    assert_eq!(
        refused(Refusal::Terminating).await,
        (
            403,
            "Forbidden".to_owned(),
            "configmaps is forbidden: unable to create new content in namespace default because it is \
             being terminated"
                .to_owned()
        )
    );
    assert_eq!(refused(Refusal::Conflict).await.0, 409);
    assert_eq!(refused(Refusal::Broken).await.0, 500);
    let busy = refused(Refusal::Busy).await;
    assert_eq!(
        (busy.0, busy.2.as_str()),
        (429, "Too many requests, please try again later.")
    );
    assert!(!is_there(straight, "refused").await);

    proxy.play(vec![Rule::at(1, Fault::Refuse(Refusal::NotFound))]);
    let gone = maps(client).get("seen").await.unwrap_err();
    let real = maps(client).get("never").await.unwrap_err();
    let (kube::Error::Api(gone), kube::Error::Api(real)) = (gone, real) else {
        panic!("both are answers");
    };
    assert_eq!(gone.message.replace("seen", "never"), real.message);
    assert_eq!((gone.code, &gone.reason), (real.code, &real.reason));
    assert_eq!(proxy.record()[0].answer, Some(404));
}

async fn a_cut_answer_was_begun_and_what_was_asked_is_done(
    proxy: &Proxy,
    client: &Client,
    straight: &Client,
) {
    proxy.play(vec![Rule::first(is_map, Fault::Cut)]);
    let error = make(client, "cut").await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    assert_eq!(proxy.record()[0].answer, Some(201));
    assert!(is_there(straight, "cut").await);

    make(client, "once").await.unwrap();
    assert!(is_there(straight, "once").await, "only the first was meant");

    proxy.play(vec![Rule::first(Asked::is_watch, Fault::Cut)]);
    let events = maps(client).watch(&WatchParams::default(), "0").await;
    let event = timeout(DEADLINE, events.unwrap().boxed().try_next())
        .await
        .unwrap();
    assert!(!matches!(event, Ok(Some(_))), "{event:?}");
}

async fn a_kill_comes_before_or_after_the_deed(proxy: &Proxy, client: &Client, straight: &Client) {
    let killed = Arc::new(Notify::new());
    let kill: Kill = {
        let killed = Arc::clone(&killed);
        Arc::new(move || killed.notify_one())
    };
    for (fault, name, done) in [
        (Fault::KillBefore(Arc::clone(&kill)), "before", false),
        (Fault::KillAfter(Arc::clone(&kill)), "after", true),
    ] {
        proxy.play(vec![Rule::at(1, fault)]);
        let request = {
            let client = client.clone();
            tokio::spawn(async move { make(&client, name).await })
        };
        timeout(DEADLINE, killed.notified()).await.unwrap();
        assert_eq!(is_there(straight, name).await, done);
        assert!(!request.is_finished());
        assert_eq!(proxy.record()[0].answer, None);
        request.abort();
    }
}

async fn answers_may_come_late_or_never(proxy: &Proxy, client: &Client) {
    proxy.play(vec![Rule::every(is_map, Fault::Hang)]);
    let all = ListParams::default();
    assert!(timeout(PATIENCE, maps(client).list(&all)).await.is_err());

    let pause = Duration::from_secs(2);
    proxy.play(vec![Rule::at(1, Fault::Slow(pause))]);
    let began = Instant::now();
    let deleted = maps(client).delete("once", &DeleteParams::default()).await;
    assert!(deleted.is_ok() && began.elapsed() >= pause);
}

#[tokio::test]
async fn the_charm_goes_by_way_of_the_proxy_and_trusts_it() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    let proxy = Proxy::start(&plane, Face::Valid).await.unwrap();
    let cluster = clusters::at(plane.client().await.unwrap(), proxy.api());
    let dir = tempfile::tempdir().unwrap();
    let mut juju = Juju::bootstrap(dir.path(), "by-proxy", Some(cluster))
        .await
        .unwrap();
    proxy.play(vec![Rule::every(
        |_| true,
        Fault::Refuse(Refusal::Forbidden),
    )]);

    operator::deploy(&mut juju, DeployOptions::trusted())
        .await
        .unwrap();

    let status = operator::status(&juju);
    assert!(status.contains(": not trusted"), "{status}");
    let record = proxy.record();
    let charm = "system:serviceaccount:by-proxy:velero-operator";
    assert!(record.iter().all(|exchange| exchange.asked.user == charm));
    assert!(record[0].asked.path.ends_with("/customresourcedefinitions"));
}
