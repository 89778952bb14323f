//! Keys and certificates, above all of one control plane.
//!
//! Invariant: every component has a name of its own, so the audit log tells them apart, and `admin` is
//! nobody but the tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use tokio::process::Command;

use super::command;
use super::layout::NODE;

/// Name of the certificate that tests use.
pub(super) const ADMIN: &str = "admin";
pub(super) const CONTROLLER_MANAGER: &str = "controller-manager";
pub(super) const SCHEDULER: &str = "scheduler";
pub(super) const KUBE_PROXY: &str = "kube-proxy";
pub(super) const KUBELET: &str = "kubelet";
pub(super) const PROVISIONER: &str = "local-path-provisioner";
pub(super) const API_SERVER: &str = "apiserver";
/// The API server's key again, with a certificate whose time is over.
pub(super) const EXPIRED: &str = "expired";
/// How the API server shows itself to the kubelet.
pub(super) const KUBELET_CLIENT: &str = "kubelet-client";
const CA: &str = "ca";

/// A folder of keys and certificates.
#[derive(Debug, Clone)]
pub(super) struct Pki {
    folder: PathBuf,
}

impl Pki {
    pub(super) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Makes all of them. `names` are those under which the API server and the kubelet are reached.
    pub(super) async fn make(&self, names: &[String]) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.make_authority().await?;
        let names = format!("subjectAltName={}", names.join(","));
        let node = format!("/O=system:nodes/CN=system:node:{NODE}");
        let subjects = [
            (API_SERVER, "/CN=kube-apiserver"),
            (KUBELET, node.as_str()),
            (
                KUBELET_CLIENT,
                "/O=system:masters/CN=kube-apiserver-kubelet-client",
            ),
            (ADMIN, "/O=system:masters/CN=admin"),
            (CONTROLLER_MANAGER, "/CN=system:kube-controller-manager"),
            (SCHEDULER, "/CN=system:kube-scheduler"),
            (KUBE_PROXY, "/CN=system:kube-proxy"),
            (PROVISIONER, "/O=system:masters/CN=local-path-provisioner"),
        ];
        for (name, subject) in subjects {
            self.signed(name, subject, &names).await?;
        }
        let mut key = Command::new("openssl");
        key.args([
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
        ]);
        command::output(key.arg(self.service_account_key()))
            .await
            .map(drop)
    }

    /// Makes only an authority, and what a server of these names shows.
    pub(super) async fn make_for_server(&self, server: &str, names: &[String]) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.make_authority().await?;
        let names = format!("subjectAltName={}", names.join(","));
        self.signed(server, &format!("/CN={server}"), &names).await
    }

    async fn make_authority(&self) -> Result<()> {
        let authority = [
            "-subj",
            "/CN=stack",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ];
        self.certificate(CA, &authority).await
    }

    async fn signed(&self, name: &str, subject: &str, names: &str) -> Result<()> {
        let (authority, key) = (self.certificate_of(CA), self.key_of(CA));
        let (authority, key) = (authority.to_string_lossy(), key.to_string_lossy());
        self.certificate(
            name,
            &[
                "-subj",
                subject,
                "-CA",
                &authority,
                "-CAkey",
                &key,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-addext",
                "extendedKeyUsage=clientAuth,serverAuth",
                "-addext",
                names,
            ],
        )
        .await
    }

    async fn certificate(&self, name: &str, rest: &[&str]) -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "3650"])
            .args(rest)
            .arg("-keyout")
            .arg(self.key_of(name))
            .arg("-out")
            .arg(self.certificate_of(name));
        command::output(&mut openssl).await.map(drop)
    }

    /// Makes the [`EXPIRED`] one, for the loopback.
    pub(super) async fn make_expired(&self) -> Result<()> {
        let settings = "[ca]\ndefault_ca = all\n[all]\ndatabase = expired.index\n\
                        new_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\n\
                        policy = names\nx509_extensions = more\n[names]\n\
                        commonName = supplied\n[more]\nsubjectAltName = IP:127.0.0.1\n";
        fs::write(self.folder.join("expired.cnf"), settings)?;
        fs::write(self.folder.join("expired.index"), "")?;
        fs::copy(self.key_of(API_SERVER), self.key_of(EXPIRED))?;
        let request = "req -new -subj /CN=kube-apiserver -key expired.key -out expired.csr";
        // Only `ca` can put a certificate into the past.
        let certificate = "ca -batch -notext -config expired.cnf -cert ca.crt -keyfile ca.key \
                           -startdate 20200101000000Z -enddate 20210101000000Z \
                           -in expired.csr -out expired.crt";
        for arguments in [request, certificate] {
            let mut openssl = Command::new("openssl");
            openssl
                .args(arguments.split_whitespace())
                .current_dir(&self.folder);
            command::output(&mut openssl).await?;
        }
        Ok(())
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.certificate_of(CA)
    }

    pub(super) fn ca_key(&self) -> PathBuf {
        self.key_of(CA)
    }

    pub(super) fn service_account_key(&self) -> PathBuf {
        self.key_of("service-account")
    }

    pub(super) fn certificate_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.crt"))
    }

    pub(super) fn key_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    /// The configuration with which `name` reaches the API server.
    pub(super) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.kubeconfig"))
    }

    /// Writes the configurations of all clients.
    pub(super) fn write_kubeconfigs(&self, server: &str) -> Result<()> {
        for name in [
            ADMIN,
            CONTROLLER_MANAGER,
            SCHEDULER,
            KUBE_PROXY,
            KUBELET,
            PROVISIONER,
        ] {
            let user = json!({
                "client-certificate": self.certificate_of(name),
                "client-key": self.key_of(name),
            });
            let cluster = json!({"server": server, "certificate-authority": self.ca()});
            let config = json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "stack", "cluster": cluster}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": "stack", "context": {"cluster": "stack", "user": name}}],
                "current-context": "stack",
            });
            fs::write(self.kubeconfig(name), serde_json::to_vec_pretty(&config)?)?;
        }
        Ok(())
    }
}
