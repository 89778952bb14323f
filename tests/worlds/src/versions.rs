//! Velero and its plugins, which the stack builds and serves for us.
//!
//! Invariant: a version is written here and nowhere else in the tests' sources; each `go.mod` restates it because Go
//! wants it so, and a test compares them.

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use kube_stack::versions::BUSYBOX_IMAGE;
use kube_stack::{Component, Guests, Image, ImageRoot};

/// Velero: server, command line and helpers.
pub const VELERO: &str = "1.18.3";
/// Velero's plugin for AWS and S3.
pub const PLUGIN_AWS: &str = "1.14.3";
/// Velero's plugin for Azure, by its image's tag: what is in the image is a stand-in of ours.
pub const PLUGIN_AZURE: &str = "1.14.3";
/// Velero's plugin for Google Cloud.
pub const PLUGIN_GCP: &str = "1.14.2";

/// Image of the Velero server.
#[must_use]
pub fn velero_image() -> String {
    format!("velero/velero:v{VELERO}")
}

/// Image of Velero's plugin for AWS and S3.
#[must_use]
pub fn plugin_aws_image() -> String {
    format!("velero/velero-plugin-for-aws:v{PLUGIN_AWS}")
}

/// Image of Velero's plugin for Azure.
#[must_use]
pub fn plugin_azure_image() -> String {
    format!("velero/velero-plugin-for-microsoft-azure:v{PLUGIN_AZURE}")
}

/// Image of Velero's plugin for Google Cloud.
#[must_use]
pub fn plugin_gcp_image() -> String {
    format!("velero/velero-plugin-for-gcp:v{PLUGIN_GCP}")
}

inventory::submit! {
    Guests {
        project: "velero-operator",
        components,
        images,
        recipe: include_str!("versions.rs"),
    }
}

fn module(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("modules")
        .join(name)
}

fn components() -> Vec<Component> {
    vec![
        Component {
            folder: module("velero"),
            title: format!("Velero {VELERO}"),
            ldflags: format!(" -X github.com/vmware-tanzu/velero/pkg/buildinfo.Version=v{VELERO}"),
            programs: &[
                ("velero", "velero"),
                ("velero-helper", "velero-helper"),
                ("velero-restore-helper", "velero-restore-helper"),
            ],
        },
        Component {
            folder: module("plugin-aws"),
            title: format!("Velero plugin for AWS {PLUGIN_AWS}"),
            ldflags: String::from(" "),
            programs: &[
                ("velero-plugin-for-aws", "velero-plugin-for-aws"),
                ("cp-plugin", "cp-plugin"),
            ],
        },
        Component {
            folder: module("plugin-azure"),
            title: format!("the stand-in for Velero's plugin for Azure {PLUGIN_AZURE}"),
            ldflags: String::from(" "),
            programs: &[("plugin-azure", "velero-plugin-for-microsoft-azure")],
        },
        Component {
            folder: module("plugin-gcp"),
            title: format!("Velero plugin for GCP {PLUGIN_GCP}"),
            ldflags: String::from(" "),
            programs: &[("velero-plugin-for-gcp", "velero-plugin-for-gcp")],
        },
    ]
}

fn images() -> Vec<Image> {
    vec![
        Image {
            reference: velero_image(),
            entrypoint: "/velero".to_owned(),
            fill: fill_velero,
        },
        Image {
            reference: plugin_aws_image(),
            entrypoint: plugin_entrypoint("velero-plugin-for-aws"),
            fill: |root| fill_plugin(root, "velero-plugin-for-aws"),
        },
        Image {
            reference: plugin_azure_image(),
            entrypoint: plugin_entrypoint("velero-plugin-for-microsoft-azure"),
            fill: |root| fill_plugin(root, "velero-plugin-for-microsoft-azure"),
        },
        Image {
            reference: plugin_gcp_image(),
            entrypoint: plugin_entrypoint("velero-plugin-for-gcp"),
            fill: |root| fill_plugin(root, "velero-plugin-for-gcp"),
        },
    ]
}

fn fill_velero(root: &ImageRoot<'_>) -> Result<()> {
    root.program("velero", "velero")?;
    root.program("velero-restore-helper", "velero-restore-helper")?;
    root.program("velero-helper", "usr/bin/velero-helper")?;
    root.certificates()?;
    root.skeleton()
}

fn fill_plugin(root: &ImageRoot<'_>, plugin: &str) -> Result<()> {
    root.program("cp-plugin", "bin/cp-plugin")?;
    root.program(plugin, &format!("plugins/{plugin}"))?;
    root.directory("target")?;
    root.skeleton()
}

fn plugin_entrypoint(plugin: &str) -> String {
    format!("/bin/cp-plugin,/plugins/{plugin},/target/{plugin}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_modules_of_velero_have_the_same_versions() {
        let velero = "github.com/vmware-tanzu/velero";
        let pinned = [
            (include_str!("../modules/velero/go.mod"), velero, VELERO),
            (
                include_str!("../modules/plugin-aws/go.mod"),
                "github.com/vmware-tanzu/velero-plugin-for-aws",
                PLUGIN_AWS,
            ),
            (
                include_str!("../modules/plugin-azure/go.mod"),
                velero,
                VELERO,
            ),
            (
                include_str!("../modules/plugin-gcp/go.mod"),
                "github.com/vmware-tanzu/velero-plugin-for-gcp",
                PLUGIN_GCP,
            ),
            (include_str!("../modules/dotenv/go.mod"), velero, VELERO),
        ];
        for (module, path, version) in pinned {
            let version = format!("v{version}");
            let pins = |line: &str| line.split_whitespace().take(2).eq([path, &version]);
            assert!(module.lines().any(pins), "go.mod lacks `{path} {version}`");
        }
    }
}
