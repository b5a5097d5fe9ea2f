//! The programs of a control plane, their keys and their flags.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use kube::config::Kubeconfig;
use rcgen::KeyPair;

use super::options::{Audit, Options};
use super::{audit, kubeconfig};
use crate::certs::{Authority, Subject};
use crate::forward::Forward;
use crate::netns::Namespace;
use crate::node::{GATEWAY, GRACE, Lan, SERVICES};
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::tools::Tools;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The running programs. They end in the order of the fields: none shall wait
/// for one that has ended before it.
pub(super) struct ControlPlane {
    dns: Option<Process>,
    scheduler: Option<Process>,
    controllers: Option<Process>,
    api_server: Process,
    etcd: Process,
    authority: Authority,
    dir: PathBuf,
    port: u16,
    place: Place,
}

/// Where the programs run.
enum Place {
    /// On this machine's loopback address: nothing else needs to reach them.
    Here,
    /// On a network with nodes, and with a port on this machine's loopback
    /// address for those who are not there.
    There {
        namespace: Namespace,
        forward: Forward,
    },
}

impl Place {
    fn new(lan: Option<&Lan>, port: u16) -> Result<Self> {
        let Some(lan) = lan else {
            return Ok(Self::Here);
        };
        let api_server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self::There {
            namespace: lan.namespace().clone(),
            forward: Forward::start(lan.namespace(), api_server)?,
        })
    }

    fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Here => None,
            Self::There { namespace, .. } => Some(namespace),
        }
    }

    /// Where this process reaches the API server.
    fn server(&self, port: u16) -> String {
        match self {
            Self::Here => format!("https://127.0.0.1:{port}"),
            Self::There { forward, .. } => format!("https://{}", forward.address()),
        }
    }
}

impl ControlPlane {
    /// Starts etcd and the API server, and waits for neither.
    pub(super) fn start(
        tools: &Tools,
        dir: &Path,
        options: &Options,
        lan: Option<&Lan>,
    ) -> Result<Self> {
        let authority = Authority::new("watershed-e2e")?;
        write_keys(dir, &authority)?;
        let (port, etcd_port) = (free_port()?, free_port()?);
        let place = Place::new(lan, port)?;
        let etcd = start_etcd(tools, dir, etcd_port, place.namespace())?;
        let launch = Launch::new(
            "kube-apiserver",
            tools.api_server(),
            dir.join("kube-apiserver.log"),
        );
        let launch = launch
            .within(place.namespace())
            .args(api_server_args(dir, port, etcd_port))
            .args(reached_by(dir, &place))
            .args(audit_args(dir, options.audit)?)
            .args(&options.api_server_args);
        Ok(Self {
            dns: None,
            scheduler: None,
            controllers: None,
            api_server: Process::start(launch)?,
            etcd,
            authority,
            dir: dir.to_owned(),
            port,
            place,
        })
    }

    /// Starts the controller manager. It stays while the API server is away, as
    /// nothing takes its place.
    pub(super) fn start_controllers(&mut self, tools: &Tools) -> Result<()> {
        let config = self.dir.join("controllers.kubeconfig");
        self.write_credentials(&config, &named("system:kube-controller-manager"))?;
        let launch = self
            .launch("kube-controller-manager", tools.controller_manager())
            .args(controller_args(&self.dir, free_port()?))
            .arg(flag("kubeconfig", &config));
        self.controllers = Some(Process::start(launch)?);
        Ok(())
    }

    /// Starts the scheduler, which only nodes give something to do.
    pub(super) fn start_scheduler(&mut self, tools: &Tools) -> Result<()> {
        let config = self.dir.join("scheduler.kubeconfig");
        self.write_credentials(&config, &named("system:kube-scheduler"))?;
        let launch = self
            .launch("kube-scheduler", tools.scheduler())
            .args(scheduler_args(&config, free_port()?));
        self.scheduler = Some(Process::start(launch)?);
        Ok(())
    }

    /// Starts the cluster's DNS, on the router of the pods rather than in one.
    pub(super) fn start_dns(&mut self, program: &Path) -> Result<()> {
        let config = self.dir.join("dns.kubeconfig");
        self.write_credentials(&config, &administrator("cluster-dns"))?;
        let corefile = self.dir.join("Corefile");
        fs::write(&corefile, corefile_of(&config))?;
        let launch = self
            .launch("coredns", program)
            .arg("-conf")
            .arg(corefile.as_os_str());
        self.dns = Some(Process::start(launch)?);
        Ok(())
    }

    /// What a node's kubelet and kube-proxy identify themselves by.
    pub(super) fn write_node_credentials(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        let kubelet = Subject {
            common_name: format!("system:node:{name}"),
            organization: Some("system:nodes".to_owned()),
            names: vec![name.to_owned(), address.to_string()],
            ..Subject::default()
        };
        self.authority
            .write(&dir.join("tls"), &self.authority.issue(&kubelet)?)?;
        let server = format!("https://{GATEWAY}:{}", self.port);
        for (file, subject) in [
            ("kubelet.kubeconfig", &kubelet),
            ("kube-proxy.kubeconfig", &named("system:kube-proxy")),
        ] {
            let kubeconfig = self.kubeconfig_for(&server, subject)?;
            kubeconfig::write(&dir.join(file), &kubeconfig)?;
        }
        Ok(())
    }

    fn launch(&self, name: &str, program: impl Into<PathBuf>) -> Launch {
        Launch::new(name, program, self.dir.join(format!("{name}.log")))
            .within(self.place.namespace())
    }

    /// Credentials for a program of the control plane.
    fn write_credentials(&self, path: &Path, user: &Subject) -> Result<()> {
        let server = format!("https://127.0.0.1:{}", self.port);
        kubeconfig::write(path, &self.kubeconfig_for(&server, user)?)
    }

    /// All rights, for this process and those beside it.
    pub(super) fn admin(&self) -> Result<Kubeconfig> {
        let server = self.place.server(self.port);
        self.kubeconfig_for(&server, &administrator("watershed-e2e"))
    }

    fn kubeconfig_for(&self, server: &str, user: &Subject) -> Result<Kubeconfig> {
        let issued = self.authority.issue(user)?;
        let authority = self.authority.certificate();
        kubeconfig::with_certificate(server, authority, &user.common_name, &issued)
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

/// A user with the rights that roles give to this name.
fn named(user: &str) -> Subject {
    Subject {
        common_name: user.to_owned(),
        ..Subject::default()
    }
}

/// A user with all rights.
fn administrator(user: &str) -> Subject {
    Subject {
        organization: Some("system:masters".to_owned()),
        ..named(user)
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
    let gateway = GATEWAY.to_string();
    let names = [
        "127.0.0.1",
        "10.96.0.1",
        &gateway,
        "localhost",
        "kubernetes",
        "kubernetes.default.svc",
    ];
    let server = authority.server(&names)?;
    authority.write(&dir.join("tls"), &server)?;
    fs::write(dir.join("tls/ca.key"), authority.key())?;
    let kubelets = authority.issue(&administrator("kube-apiserver-kubelet-client"))?;
    authority.write(&dir.join("tls/kubelets"), &kubelets)?;
    let accounts = KeyPair::generate()?;
    fs::write(dir.join("tls/accounts.key"), accounts.serialize_pem())?;
    fs::write(dir.join("tls/accounts.pub"), accounts.public_key_pem())?;
    Ok(())
}

fn start_etcd(
    tools: &Tools,
    dir: &Path,
    port: u16,
    namespace: Option<&Namespace>,
) -> Result<Process> {
    let url = format!("http://127.0.0.1:{port}");
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    let launch = Launch::new("etcd", tools.etcd(), dir.join("etcd.log")).within(namespace);
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
        format!("--secure-port={port}"),
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

/// Who reaches the API server, and whom it reaches.
fn reached_by(dir: &Path, place: &Place) -> Vec<String> {
    if place.namespace().is_none() {
        return vec![
            "--bind-address=127.0.0.1".to_owned(),
            // Nothing comes through the Service `kubernetes`.
            "--endpoint-reconciler-type=none".to_owned(),
        ];
    }
    let tls = dir.join("tls/kubelets");
    vec![
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={GATEWAY}"),
        flag("kubelet-client-certificate", &tls.join("tls.crt")),
        flag("kubelet-client-key", &tls.join("tls.key")),
        flag("kubelet-certificate-authority", &tls.join("ca.crt")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
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
        "--node-monitor-period=1s".to_owned(),
        format!("--node-monitor-grace-period={}s", GRACE.as_secs()),
    ]
}

fn scheduler_args(config: &Path, port: u16) -> Vec<String> {
    vec![
        flag("kubeconfig", config),
        flag("authentication-kubeconfig", config),
        flag("authorization-kubeconfig", config),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
    ]
}

/// Names of the cluster and no others: there is nobody to ask for those.
fn corefile_of(kubeconfig: &Path) -> String {
    format!(
        ".:53 {{\n    errors\n    kubernetes cluster.local in-addr.arpa ip6.arpa {{\n        \
         kubeconfig {}\n        ttl 1\n    }}\n}}\n",
        kubeconfig.display()
    )
}
