//! One model, with a proxy before its API server, and its undisturbed twin.

use std::sync::Arc;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use tests::juju::model::Life;
use tests::juju::{DeployOptions, Interruption, S3Settings};
use tests::operator::{APP, S3};
use tests::plane::{LightWorld, Plane};
use tests::stack::proxy::{Face, Fault, Kill, Proxy, Rule};

pub(crate) struct Scene {
    pub(crate) world: LightWorld,
    pub(crate) proxy: Proxy,
    /// What the integrator was told last.
    store: S3Settings,
    backups: usize,
}

impl Scene {
    /// A model with the charm in it, and an integrator that is not related.
    pub(crate) async fn set(plane: &Plane, name: &str) -> Self {
        Self::with(plane, name, DeployOptions::trusted(), None).await
    }

    async fn with(
        plane: &Plane,
        name: &str,
        options: DeployOptions,
        store: Option<S3Settings>,
    ) -> Self {
        let proxy = plane.proxy(Face::Valid).await.unwrap();
        let mut world = plane.world_at(name, proxy.api()).await.unwrap();
        world.deploy(options).await.unwrap();
        let store = store.unwrap_or_else(|| {
            let mut store = world.settings();
            // A world's own bears its name.
            store.options.insert("bucket".into(), "one".into());
            store
        });
        world.juju.deploy_s3_integrator(S3, store.clone()).unwrap();
        Self {
            world,
            proxy,
            store,
            backups: 0,
        }
    }

    /// A model that was made as this one is now, and to which nothing has happened.
    pub(crate) async fn twin(&self, plane: &Plane, name: &str) -> Self {
        let mut options = DeployOptions::trusted();
        let set = &self.world.juju.model().applications[APP].config;
        let texts = set.iter().map(|(key, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            (key.clone(), text)
        });
        options.config.extend(texts);
        let mut twin = Self::with(plane, name, options, Some(self.store.clone())).await;
        if self.is_related() == Some(true) {
            twin.world.juju.integrate(APP, S3).unwrap();
        }
        twin.settle().await;
        twin.quiet_hook().await;
        twin
    }

    /// Runs what is due. A hook that was killed runs again by itself, later.
    pub(crate) async fn settle(&mut self) {
        let runs = self.world.juju.settle().await.unwrap();
        let failed = runs
            .iter()
            .find(|run| !run.exit.is_success() && !run.exit.is_terminated());
        assert!(failed.is_none(), "{failed:#?}\n{}", self.world.log());
    }

    /// Ends what is out of the charm's hands, and lets all hooks that are due run.
    pub(crate) async fn end(&mut self) {
        self.proxy.play(Vec::new());
        // One that is never reached takes the place of the one that is planned.
        let juju = &mut self.world.juju;
        juju.interrupt_next(Interruption::Killed, usize::MAX);
        juju.trust(APP).await.unwrap();
        self.end_backups().await;
        self.settle().await;
        while !self.world.juju.settle().await.unwrap().is_empty() {}
    }

    /// One more hook of the leader, of which nothing is new; what it says.
    pub(crate) async fn quiet_hook(&mut self) -> String {
        let leader = self.leader();
        self.world.juju.update_status(&leader).await.unwrap();
        let status = self.world.juju.unit_status(&leader).unwrap();
        format!("{}: {}", status.level, status.message)
    }

    pub(crate) async fn assert_next_hook_writes_nothing(&mut self) {
        let mark = self.world.plane().audit().mark().await.unwrap();
        self.quiet_hook().await;
        let requests = self.world.plane().audit().since(&mark).await.unwrap();
        let writes = requests.into_iter().filter(|request| {
            let reads = ["get", "list", "watch"].contains(&request.verb.as_str());
            request.user == self.world.charm_user() && !reads
        });
        assert_eq!(writes.collect::<Vec<_>>(), []);
    }

    /// The unit that leads.
    pub(crate) fn leader(&self) -> String {
        let app = &self.world.juju.model().applications[APP];
        app.unit_name(app.leader.unwrap())
    }

    /// Another unit takes the leader's place.
    pub(crate) async fn succeed(&mut self) {
        let old = self.leader();
        // A unit that does not lead waits long for a leader that does nothing.
        let _ = self.world.juju.run_hook(&old, "update-status").await;
        let new = self.world.juju.add_unit(APP).unwrap();
        self.settle().await;
        self.world.juju.move_leadership(&new).unwrap();
        self.world.juju.remove_unit(&old).unwrap();
    }

    /// Whether there is a relation; none while one is ending.
    pub(crate) fn is_related(&self) -> Option<bool> {
        match self.world.juju.model().relations.values().next() {
            None => Some(false),
            Some(relation) if relation.life == Life::Alive => Some(true),
            Some(_) => None,
        }
    }

    pub(crate) fn offer(&mut self, key: &str, value: &str) {
        match key {
            "secret-key" => value.clone_into(&mut self.store.secret_key),
            _ => drop(self.store.options.insert(key.to_owned(), value.to_owned())),
        }
        self.world.juju.config(S3, &[(key, value)]).unwrap();
    }

    /// Lets something happen at this many-th request from now on.
    pub(crate) fn at(&self, request: usize, fault: Fault) {
        self.proxy.play(vec![Rule::at(request, fault)]);
    }

    /// What kills the hook that runs.
    pub(crate) fn kill(&self) -> Kill {
        let killer = self.world.juju.killer();
        // It may have ended by itself meanwhile.
        Arc::new(move || drop(killer.kill()))
    }

    /// Runs kubectl in the namespace; what it is about may not be there.
    pub(crate) async fn by_hand(&self, arguments: &[&str]) {
        let here = ["-n", &self.world.namespace];
        let _ = self.world.kubectl(&[&here[..], arguments].concat()).await;
    }

    pub(crate) async fn begin_backup(&mut self) {
        self.backups += 1;
        let backup: Value = json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {
                "name": format!("backup-{}", self.backups), "namespace": self.world.namespace,
            },
            "spec": {},
            "status": {"phase": "InProgress", "startTimestamp": jiff::Timestamp::now().to_string()},
        });
        self.world.apply(&backup).await.unwrap();
    }

    pub(crate) async fn end_backups(&self) {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", "Backup"));
        let backups: Api<DynamicObject> =
            Api::namespaced_with(self.world.client(), &self.world.namespace, &kind);
        let (how, all) = (DeleteParams::default(), ListParams::default());
        drop(backups.delete_collection(&how, &all).await.unwrap());
    }
}
