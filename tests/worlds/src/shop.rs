//! Something to lose: a namespace with a pod, the volume of a claim, and settings.
//!
//! Invariant: what is compared after a restore is what the pod's own file system says.

use anyhow::Result;
use kube_stack::Stack;
use kube_stack::versions::BUSYBOX_IMAGE;

use crate::kubectl::{Kubectl, TIMEOUT};
use crate::namespaces;

const FILES: u32 = 3;

/// The namespace, by its name.
#[derive(Debug, Clone)]
pub struct Shop {
    stack: Stack,
    namespace: String,
}

impl Shop {
    /// Opens a shop: a pod with three megabytes of random files on the volume of a claim, and a ConfigMap.
    pub async fn open(stack: &Stack, namespace: &str) -> Result<Self> {
        Self::open_with(stack, namespace, "").await
    }

    /// The same, with a claim of this `StorageClass`.
    pub async fn open_on(stack: &Stack, namespace: &str, class: &str) -> Result<Self> {
        let class = format!("storageClassName: {class}");
        Self::open_with(stack, namespace, &class).await
    }

    async fn open_with(stack: &Stack, namespace: &str, class: &str) -> Result<Self> {
        let shop = Self::at(stack, namespace);
        shop.kubectl(&["apply", "-f", "-"], &manifests(namespace, class))
            .await?;
        shop.ready().await?;
        let write = format!(
            "for i in $(seq {FILES}); do head -c 1048576 /dev/urandom > /data/file$i; done; sync"
        );
        shop.within(&write).await?;
        Ok(shop)
    }

    /// One that is in a namespace, or will be.
    #[must_use]
    pub fn at(stack: &Stack, namespace: &str) -> Self {
        Self {
            stack: stack.clone(),
            namespace: namespace.to_owned(),
        }
    }

    /// The checksums of the files on the volume.
    pub async fn checksums(&self) -> Result<String> {
        self.within("cd /data && sha256sum file*").await
    }

    /// The ConfigMap's content.
    pub async fn motto(&self) -> Result<String> {
        let path = "jsonpath={.data.motto}";
        self.kubectl(
            &[
                "-n",
                &self.namespace,
                "get",
                "configmap",
                "shop",
                "-o",
                path,
            ],
            "",
        )
        .await
    }

    /// Deletes it all, and waits until the files are gone from the node, too.
    pub async fn lose(&self) -> Result<()> {
        let claim = [
            "-n",
            &self.namespace,
            "get",
            "persistentvolumeclaim",
            "data",
        ];
        let name = ["-o", "jsonpath={.spec.volumeName}"];
        let volume = self.kubectl(&[&claim[..], &name].concat(), "").await?;
        let here = [self.namespace.clone()];
        namespaces::delete(&self.stack.client().await?, &here).await?;
        let volume = format!("persistentvolume/{volume}");
        let gone = ["wait", &volume, "--for=delete", TIMEOUT];
        self.kubectl(&gone, "").await.map(drop)
    }

    /// From now on a backup of the shop runs until it is let go: Velero runs a command in the pod first,
    /// which waits for a file.
    pub async fn detain_backups(&self) -> Result<()> {
        self.run_before_backups("while [ ! -e /tmp/go ]; do sleep 0.1; done")
            .await
    }

    /// From now on Velero runs this in the pod before it backs the shop up, for ten minutes at most.
    pub async fn run_before_backups(&self, script: &str) -> Result<()> {
        let command = serde_json::json!(["/bin/sh", "-c", script]);
        let annotate = [
            "-n",
            &self.namespace,
            "annotate",
            "pod",
            "shop",
            &format!("pre.hook.backup.velero.io/command={command}"),
            "pre.hook.backup.velero.io/timeout=10m",
        ];
        self.kubectl(&annotate, "").await.map(drop)
    }

    /// Lets go the backup that runs.
    pub async fn let_backup_go(&self) -> Result<()> {
        self.within("touch /tmp/go").await.map(drop)
    }

    /// Waits until the pod runs.
    pub async fn ready(&self) -> Result<()> {
        let wait = [
            "-n",
            &self.namespace,
            "wait",
            "pod/shop",
            "--for=condition=Ready",
        ];
        self.kubectl(&[&wait[..], &[TIMEOUT]].concat(), "")
            .await
            .map(drop)
    }

    /// Runs a script in the pod, and gives what it prints.
    pub async fn within(&self, script: &str) -> Result<String> {
        let exec = [
            "-n",
            &self.namespace,
            "exec",
            "shop",
            "--",
            "/bin/sh",
            "-c",
            script,
        ];
        self.kubectl(&exec, "").await
    }

    async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        kubectl(&self.stack, arguments, input).await
    }
}

/// Runs kubectl as an admin.
async fn kubectl(stack: &Stack, arguments: &[&str], input: &str) -> Result<String> {
    Kubectl::of(stack).run_on(arguments, input).await
}

/// `class` is a field of the claim, or nothing.
fn manifests(namespace: &str, class: &str) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: shop, namespace: {namespace}}}
data: {{motto: never lose anything}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, namespace: {namespace}}}
spec:
  accessModes: [ReadWriteOnce]
  {class}
  resources: {{requests: {{storage: 16Mi}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shop, namespace: {namespace}}}
spec:
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - name: shop
    image: {BUSYBOX_IMAGE}
    command: [/bin/sh, -c, 'exec sleep 2147483647']
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes:
  - {{name: data, persistentVolumeClaim: {{claimName: data}}}}
"
    )
}
