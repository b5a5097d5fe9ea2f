//! The command line of `watershed-operator`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use watershed_operator::control::ControlConfig;
use watershed_operator::enrol::{Permit, Permits};
use watershed_operator::fleet::{Config, HubConfig};
use watershed_operator::leader::LeaderConfig;
use watershed_operator::tls::TRUST_DOMAIN;
use watershed_operator::watch::WatchesConfig;
use watershed_proto::{NEWEST_FORMAT, OLDEST_FORMAT};

/// The operator of Watershed
///
/// It reads custom resources from a Kubernetes cluster, decides what every name
/// serves, sends that to a fleet of DNS nodes, and writes into the status of
/// the resources what became of it. The cluster is the one of KUBECONFIG or
/// ~/.kube/config, or the one that the program runs in.
#[derive(Debug, Parser)]
#[command(name = "watershed-operator", version = crate::VERSION)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the operator
    Run(Box<Run>),
    /// Issue a certificate for a node outside the cluster
    Certificate(Certificate),
}

/// How to run.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The operator's own namespace: of the Lease, the generation record, the
    /// Secrets, and the fleet of zones that name none
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAME",
        default_value = "watershed-system"
    )]
    namespace: String,

    /// Name of this replica, which no other has; by default the host's with a
    /// random end
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pod_name: Option<String>,

    /// Only look at this namespace; may be given several times. By default all
    #[arg(long, value_name = "NAME")]
    watch_namespace: Vec<String>,

    /// Where nodes connect, by gRPC with mutual TLS
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:8443")]
    pub(crate) fleet_listen: SocketAddr,

    /// Where nodes reach this replica; by default where it listens, if that is
    /// one address, else the host's name
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<HostPort>,

    /// Directory with ca.crt, tls.crt and tls.key, looked at every few
    /// seconds. Without it the operator is its own authority, and keeps
    /// certificates in Secrets
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,

    /// A name or address in the certificate that the operator makes for
    /// itself, besides the advertised one; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "tls_dir")]
    dns_name: Vec<String>,

    /// Trust domain of the identities in certificates of nodes
    #[arg(long, value_name = "NAME", default_value = TRUST_DOMAIN)]
    pub(crate) trust_domain: String,

    /// Give certificates to nodes of FLEET that show a token of this account;
    /// may be given several times
    #[arg(
        long,
        env = "WATERSHED_ENROL",
        value_name = "NAMESPACE/SERVICEACCOUNT=FLEET",
        value_delimiter = ',',
        conflicts_with = "tls_dir"
    )]
    enrol: Vec<Permit>,

    /// Where to serve /healthz, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:8080")]
    pub(crate) http: SocketAddr,

    /// Name of the Lease by which replicas decide who leads
    #[arg(long, value_name = "NAME", default_value = "watershed-operator")]
    lease_name: String,

    /// How long others wait for a leader that is silent. It stops by itself
    /// after two thirds of it
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 15,
        value_parser = clap::value_parser!(u32).range(3..=3600)
    )]
    lease_seconds: u32,

    /// Writes to the API server in a second on average; twice as many at once
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = ControlConfig::default().writes_per_second,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    writes_per_second: u32,

    /// How long answers stay that rest on a permission which was taken back: a
    /// grant that is replaced, or deleted by mistake, takes nothing away
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(0..=86_400)
    )]
    grant_grace_seconds: u32,

    /// Up to so many records that share a version tell each of its health, in
    /// the condition Healthy and in events; beyond, only the version does
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = ControlConfig::default().fanout_limit,
    )]
    status_fanout_limit: usize,

    /// Highest format of resources to send, for upgrades in steps
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = NEWEST_FORMAT,
        value_parser = clap::value_parser!(u32).range(i64::from(OLDEST_FORMAT)..=i64::from(NEWEST_FORMAT))
    )]
    snapshot_format: u32,

    /// Print what would be written, write nothing, and exit
    #[arg(long = "dry-run")]
    pub(crate) rehearse: bool,

    /// How to write the log on standard error
    #[arg(
        long,
        value_enum,
        default_value_t = LogFormat::Json,
        value_name = "FORMAT",
        help = "How to write the log on standard error; RUST_LOG says what is in it, by default `info`"
    )]
    pub(crate) log_format: LogFormat,
}

/// A certificate to issue.
#[derive(Debug, Args)]
pub(crate) struct Certificate {
    /// The fleet that the node belongs to
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) fleet: String,

    /// Name of the node, as in its own --node; without it the certificate is for
    /// every node of the fleet
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Another name or address in the certificate; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,

    /// Directory for ca.crt, tls.crt and tls.key
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// The operator's namespace, where the Secret of its authority is
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAME",
        default_value = "watershed-system"
    )]
    pub(crate) namespace: String,

    /// Trust domain of the node's identity
    #[arg(long, value_name = "NAME", default_value = TRUST_DOMAIN)]
    pub(crate) trust_domain: String,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// A host, which is a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Run {
    /// The operator's own namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of this replica.
    pub(crate) fn identity(&self) -> String {
        let made = || format!("{}-{:08x}", host_name(), rand::random::<u32>());
        self.pod_name.clone().unwrap_or_else(made)
    }

    /// Where nodes reach this replica, which listens at `bound`.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> HostPort {
        let made = || HostPort {
            host: match bound.ip() {
                address if address.is_unspecified() => host_name(),
                address => address.to_string(),
            },
            port: bound.port(),
        };
        self.advertise.clone().unwrap_or_else(made)
    }

    /// What the operator's own certificate names.
    pub(crate) fn certified(&self, advertised: &HostPort) -> Vec<String> {
        let mut names = vec![advertised.host.clone()];
        for name in &self.dns_name {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whose tokens may enrol nodes, and of which fleets.
    pub(crate) fn permits(&self) -> Permits {
        self.enrol.iter().cloned().collect()
    }

    /// How to take part in the election.
    pub(crate) fn election(&self, identity: &str, advertised: &HostPort) -> LeaderConfig {
        LeaderConfig {
            namespace: self.namespace.clone(),
            name: self.lease_name.clone(),
            identity: identity.to_owned(),
            address: advertised.to_string(),
            duration: Duration::from_secs(self.lease_seconds.into()),
        }
    }

    /// How to publish.
    pub(crate) fn hub(&self, identity: &str) -> HubConfig {
        HubConfig {
            publisher: Config {
                operator: identity.to_owned(),
                newest_format: self.snapshot_format,
                ..Config::default()
            },
            trust_domain: self.trust_domain.clone(),
        }
    }

    /// How to reconcile.
    pub(crate) fn control(&self, identity: &str) -> ControlConfig {
        ControlConfig {
            instance: identity.to_owned(),
            watches: WatchesConfig {
                own_namespace: self.namespace.clone(),
                namespaces: BTreeSet::from_iter(self.watch_namespace.clone()),
            },
            writes_per_second: self.writes_per_second,
            fanout_limit: self.status_fanout_limit,
            grant_grace: SignedDuration::from_secs(self.grant_grace_seconds.into()),
        }
    }
}

fn host_name() -> String {
    let name = hostname::get().ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is not HOST:PORT, such as 192.0.2.1:8443");
        let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match inner {
            Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
            None if !host.is_empty() && !host.contains([':', '[', ']']) => host,
            _ => return Err(fault()),
        };
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(fault()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const PAGE: &str = include_str!("../../docs/operator.md");

    /// Flags of a subcommand, as tables of the page name them.
    fn documented(section: &str) -> BTreeSet<&str> {
        let (_, text) = PAGE.split_once(section).expect("the section is there");
        let text = text.split("\n## ").next().unwrap_or(text);
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `--"));
        rows.filter_map(|row| row.split([' ', '`']).next())
            .collect()
    }

    #[test]
    fn the_page_names_every_flag_and_no_other() {
        for (name, section) in [
            ("run", "\n## Running it"),
            ("certificate", "\n## Certificates"),
        ] {
            let mut cli = Cli::command();
            cli.build();
            let command = cli.find_subcommand(name).expect(name);
            let flags = command.get_arguments().filter_map(clap::Arg::get_long);
            let flags: BTreeSet<&str> = flags.filter(|flag| *flag != "help").collect();
            assert_eq!(documented(section), flags, "{name}");
            let undescribed = command
                .get_arguments()
                .find(|flag| flag.get_help().is_none());
            assert!(undescribed.is_none(), "{undescribed:?}");
        }
    }

    #[test]
    fn the_page_names_the_defaults() {
        let run = run(&[]);
        for (flag, value) in [
            ("lease-seconds", run.lease_seconds),
            ("writes-per-second", run.writes_per_second),
            ("grant-grace-seconds", run.grant_grace_seconds),
            (
                "status-fanout-limit",
                u32::try_from(run.status_fanout_limit).expect("small"),
            ),
        ] {
            let row = PAGE
                .lines()
                .find(|line| line.contains(&format!("`--{flag}")));
            let row = row.expect(flag);
            assert!(row.contains(&format!("| {value} |")), "{row}");
        }
    }

    fn run(flags: &[&str]) -> Run {
        let start = ["watershed-operator", "run"];
        let cli = Cli::parse_from(start.iter().chain(flags));
        match cli.command {
            Command::Run(run) => *run,
            Command::Certificate(_) => panic!("it is `run`"),
        }
    }

    #[test]
    fn host_and_port_read_back() {
        for text in ["dns.example.com:8443", "192.0.2.1:1", "[2001:db8::1]:8443"] {
            let parsed: HostPort = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:70000",
            "2001:db8::1:8443",
            "[host]:1",
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_advertised_follows_from_where_it_listens() {
        let bound = "192.0.2.1:8443".parse().expect("an address");
        assert_eq!(run(&[]).advertised(bound).to_string(), "192.0.2.1:8443");
        let anywhere = "[::]:8443".parse().expect("an address");
        let told = run(&["--advertise", "operator.example.com:443"]);
        assert_eq!(
            told.advertised(anywhere).to_string(),
            "operator.example.com:443"
        );
        assert_ne!(run(&[]).advertised(anywhere).host, "::");
    }

    #[test]
    fn the_certificate_names_what_is_advertised_and_no_name_twice() {
        let run = run(&["--dns-name", "a.example.com", "--dns-name", "b.example.com"]);
        let advertised = "a.example.com:8443".parse().expect("host and port");
        assert_eq!(
            run.certified(&advertised),
            ["a.example.com", "b.example.com"]
        );
    }

    #[test]
    fn accounts_may_enrol_nodes_of_several_fleets() {
        assert!(run(&[]).permits().is_empty());
        let given = run(&["--enrol", "a/b=c,a/b=d", "--enrol", "e/f=g"]);
        let expected = ["a/b=c", "a/b=d", "e/f=g"];
        let expected = expected.map(|text| text.parse::<Permit>().expect(text));
        assert_eq!(given.permits(), expected.into_iter().collect());
    }

    #[test]
    fn two_replicas_on_one_host_have_different_names() {
        assert_ne!(run(&[]).identity(), run(&[]).identity());
        assert_eq!(run(&["--pod-name", "a"]).identity(), "a");
    }
}
