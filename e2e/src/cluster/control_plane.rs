//! The programs of a control plane, their keys and their flags.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use kube::config::Kubeconfig;
use rcgen::KeyPair;

use super::options::{Audit, Options};
use super::{audit, kubeconfig};
use crate::certs::{Authority, Subject};
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::tools::Tools;

const SERVICES: &str = "10.96.0.0/16";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The running programs. They end in the order of the fields: none shall wait
/// for one that has ended before it.
pub(super) struct ControlPlane {
    controllers: Option<Process>,
    api_server: Process,
    etcd: Process,
    authority: Authority,
    dir: PathBuf,
    server: String,
}

impl ControlPlane {
    /// Starts etcd and the API server, and waits for neither.
    pub(super) fn start(tools: &Tools, dir: &Path, options: &Options) -> Result<Self> {
        let authority = Authority::new("watershed-e2e")?;
        write_keys(dir, &authority)?;
        let etcd_port = free_port()?;
        let etcd = start_etcd(tools, dir, etcd_port)?;
        let port = free_port()?;
        let launch = Launch::new(
            "kube-apiserver",
            tools.api_server(),
            dir.join("kube-apiserver.log"),
        );
        let launch = launch
            .args(api_server_args(dir, port, etcd_port))
            .args(audit_args(dir, options.audit)?)
            .args(&options.api_server_args);
        Ok(Self {
            controllers: None,
            api_server: Process::start(launch)?,
            etcd,
            authority,
            dir: dir.to_owned(),
            server: format!("https://127.0.0.1:{port}"),
        })
    }

    /// Starts the controller manager. It stays while the API server is away, as
    /// nothing takes its place.
    pub(super) fn start_controllers(&mut self, tools: &Tools) -> Result<()> {
        let config = self.dir.join("controllers.kubeconfig");
        let user = Subject {
            common_name: "system:kube-controller-manager".to_owned(),
            ..Subject::default()
        };
        kubeconfig::write(&config, &self.kubeconfig(&user)?)?;
        let launch = Launch::new(
            "kube-controller-manager",
            tools.controller_manager(),
            self.dir.join("kube-controller-manager.log"),
        );
        let launch = launch
            .args(controller_args(&self.dir, free_port()?))
            .arg(flag("kubeconfig", &config));
        self.controllers = Some(Process::start(launch)?);
        Ok(())
    }

    pub(super) fn admin(&self) -> Result<Kubeconfig> {
        self.kubeconfig(&Subject {
            common_name: "watershed-e2e".to_owned(),
            organization: Some("system:masters".to_owned()),
            ..Subject::default()
        })
    }

    fn kubeconfig(&self, user: &Subject) -> Result<Kubeconfig> {
        let issued = self.authority.issue(user)?;
        let authority = self.authority.certificate();
        kubeconfig::with_certificate(&self.server, authority, &user.common_name, &issued)
    }

    pub(super) fn api_server(&self) -> &Process {
        &self.api_server
    }

    pub(super) fn controllers(&self) -> Result<&Process> {
        let controllers = self.controllers.as_ref();
        controllers
            .context("the controller manager is not started, see Options::controller_manager")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// The API server waits for etcd without end and does not say why.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.etcd.exited() {
            Some(status) => {
                error.context(format!("etcd ended: {status}; {}", self.etcd.last_words()))
            }
            None => error,
        }
    }
}

/// Whether a start failed only because of another program's port.
pub(super) fn port_was_taken(error: &Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

fn flag(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

fn write_keys(dir: &Path, authority: &Authority) -> Result<()> {
    let names = [
        "127.0.0.1",
        "10.96.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default.svc",
    ];
    let server = authority.server(&names)?;
    authority.write(&dir.join("tls"), &server)?;
    fs::write(dir.join("tls/ca.key"), authority.key())?;
    let accounts = KeyPair::generate()?;
    fs::write(dir.join("tls/accounts.key"), accounts.serialize_pem())?;
    fs::write(dir.join("tls/accounts.pub"), accounts.public_key_pem())?;
    Ok(())
}

fn start_etcd(tools: &Tools, dir: &Path, port: u16) -> Result<Process> {
    let url = format!("http://127.0.0.1:{port}");
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    let launch = Launch::new("etcd", tools.etcd(), dir.join("etcd.log"));
    Process::start(launch.arg(flag("data-dir", &dir.join("etcd"))).args([
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        // What a power cut would lose is a test's to lose.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]))
}

fn api_server_args(dir: &Path, port: u16, etcd_port: u16) -> Vec<String> {
    let tls = dir.join("tls");
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // Nothing reaches this server through the Service `kubernetes`.
        "--endpoint-reconciler-type=none".to_owned(),
        flag("tls-cert-file", &tls.join("tls.crt")),
        flag("tls-private-key-file", &tls.join("tls.key")),
        flag("client-ca-file", &tls.join("ca.crt")),
        flag("service-account-key-file", &tls.join("accounts.pub")),
        flag(
            "service-account-signing-key-file",
            &tls.join("accounts.key"),
        ),
        format!("--service-account-issuer={ISSUER}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged".to_owned(),
    ]
}

/// Requests are recorded as they are answered, not later: tests count them.
fn audit_args(dir: &Path, what: Audit) -> Result<Vec<String>> {
    let Some(policy) = audit::policy(what) else {
        return Ok(Vec::new());
    };
    let file = dir.join("audit-policy.yaml");
    fs::write(&file, policy)?;
    Ok(vec![
        flag("audit-policy-file", &file),
        flag("audit-log-path", &dir.join("audit.log")),
        "--audit-log-mode=blocking-strict".to_owned(),
        // One file, of any size (megabytes).
        "--audit-log-maxsize=10000".to_owned(),
    ])
}

fn controller_args(dir: &Path, port: u16) -> Vec<String> {
    let tls = dir.join("tls");
    let config = dir.join("controllers.kubeconfig");
    vec![
        flag("authentication-kubeconfig", &config),
        flag("authorization-kubeconfig", &config),
        flag("root-ca-file", &tls.join("ca.crt")),
        flag(
            "service-account-private-key-file",
            &tls.join("accounts.key"),
        ),
        flag("cluster-signing-cert-file", &tls.join("ca.crt")),
        flag("cluster-signing-key-file", &tls.join("ca.key")),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // With the default of 20 a second its start takes four seconds more.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]
}
