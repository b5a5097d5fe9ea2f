//! The command line of `watershed-dns`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{ArgGroup, Parser, ValueEnum};
use ipnet::IpNet;
use rand::Rng;
use watershed_dns::fleet::{Credentials, EnrolFiles, Identity, Membership, Operators, TlsFiles};
use watershed_dns::health::HealthOptions;
use watershed_dns::{Config, RateLimit, UdpOptions};
use watershed_probe::Allowed;
use watershed_proto::{Location, NEWEST_FORMAT, OLDEST_FORMAT};
use watershed_snapshot::ResourceName;

/// A DNS node of a Watershed fleet
///
/// It answers queries from what an operator sends it, and from what it kept of
/// that on disk while there is no operator.
#[derive(Debug, Parser)]
#[command(name = "watershed-dns", version = crate::VERSION)]
// One of two ways to show operators who the node is.
#[command(group(ArgGroup::new("credentials").required(true).args(["tls_dir", "token"])))]
pub(crate) struct Args {
    /// Where to answer queries, by UDP and TCP; may be given several times.
    /// In a container it is 0.0.0.0:5353 or [::]:5353
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5353")]
    pub(crate) listen: Vec<SocketAddr>,

    /// Threads that answer UDP, each with a socket of its own; by default one
    /// for each core
    #[arg(long, env = "WATERSHED_UDP_WORKERS", value_name = "NUMBER")]
    udp_workers: Option<NonZeroUsize>,

    /// Keep each of these threads on a core of its own
    #[arg(long, env = "WATERSHED_PIN_CPUS")]
    pin_cpus: bool,

    /// Octets of queries that may wait at each of these sockets, as far as the
    /// system allows
    #[arg(
        long,
        env = "WATERSHED_UDP_RECEIVE_BUFFER",
        value_name = "OCTETS",
        default_value_t = UdpOptions::default().receive_buffer
    )]
    udp_receive_buffer: usize,

    /// Answers by UDP that one network (a /24 of IPv4, a /56 of IPv6) gets in a
    /// second, of those that are alike; 0 means no limit
    #[arg(
        long,
        env = "WATERSHED_UDP_RATE_LIMIT",
        value_name = "ANSWERS",
        default_value_t = RateLimit::default().per_second,
        value_parser = clap::value_parser!(u32).range(..=100_000)
    )]
    udp_rate_limit: u32,

    /// Of the answers over that limit send one in so many without records and
    /// with TC set, after which clients ask by TCP, and drop the others; 0 drops
    /// all
    #[arg(
        long,
        env = "WATERSHED_UDP_RATE_SLIP",
        value_name = "NUMBER",
        default_value_t = RateLimit::default().slip,
        value_parser = clap::value_parser!(u8).range(..=10)
    )]
    udp_rate_slip: u8,

    /// Networks that the limit does not hold for; may be given several times
    #[arg(
        long,
        env = "WATERSHED_UDP_RATE_EXEMPT",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    udp_rate_exempt: Vec<IpNet>,

    /// Where to serve /healthz, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,

    /// An operator; may be given several times, they are tried in turn
    #[arg(long = "operator", value_name = "HOST:PORT", required = true)]
    operators: Vec<String>,

    /// The name in the operator's certificate, when it is not the HOST
    #[arg(long, value_name = "NAME")]
    operator_name: Option<String>,

    /// Directory with ca.crt, tls.crt and tls.key; read anew at every
    /// connection. Without it the operator issues a certificate, for a token
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,

    /// Certificate of the operator's authority (PEM); read anew at every
    /// connection
    #[arg(
        long,
        env = "WATERSHED_CA",
        value_name = "FILE",
        requires = "token",
        conflicts_with = "tls_dir"
    )]
    ca: Option<PathBuf>,

    /// Service account token for the audience `watershed-operator`, by which
    /// the operator knows the node; read anew whenever it is needed
    #[arg(
        long,
        env = "WATERSHED_TOKEN",
        value_name = "FILE",
        requires = "ca",
        conflicts_with = "tls_dir"
    )]
    token: Option<PathBuf>,

    /// The fleet that the node belongs to
    #[arg(
        long,
        env = "WATERSHED_FLEET",
        value_name = "NAME",
        default_value = "default"
    )]
    fleet: String,

    /// Name of the node, unique in its fleet
    #[arg(long, env = "WATERSHED_NODE", value_name = "NAME")]
    node: String,

    /// The cluster that the node is in
    #[arg(
        long,
        env = "WATERSHED_CLUSTER",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    cluster: String,

    /// The region that the node is in
    #[arg(
        long,
        env = "WATERSHED_REGION",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    region: String,

    /// The zone of the region that the node is in
    #[arg(
        long,
        env = "WATERSHED_ZONE",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    zone: String,

    /// Where to keep what is served, for the next start; without it a start
    /// needs an operator
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Location database in MaxMind DB format, instead of the built-in country table
    #[arg(long, value_name = "FILE")]
    pub(crate) geo_database: Option<PathBuf>,

    /// Measured latency between client areas and regions, YAML or CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) latency: Option<PathBuf>,

    /// Addresses that health checks may probe though they are not public:
    /// loopback, private and link-local ones; may be given several times
    #[arg(
        long,
        env = "WATERSHED_PROBE_ALLOW",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    probe_allow: Vec<IpNet>,

    /// Certificates of authorities (PEM) that HTTPS and gRPC probes trust
    /// besides the public ones
    #[arg(long, env = "WATERSHED_PROBE_CA", value_name = "FILE")]
    probe_ca: Option<PathBuf>,

    /// Probes of health checks under way at once, at most
    #[arg(
        long,
        env = "WATERSHED_PROBE_CONCURRENCY",
        value_name = "NUMBER",
        default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    probe_concurrency: u16,

    /// How long without an operator the node goes by the fleet's last verdicts
    /// on health; after that it goes by its own probes
    #[arg(
        long,
        env = "WATERSHED_HEALTH_GRACE",
        value_name = "SECONDS",
        default_value_t = 10
    )]
    health_grace: u32,

    /// How long to go on answering after SIGTERM, not ready any more, so that
    /// those who send queries can take notice
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    drain_seconds: u32,

    /// Highest format of resources to read, for upgrades in steps
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = NEWEST_FORMAT,
        value_parser = clap::value_parser!(u32).range(i64::from(OLDEST_FORMAT)..=i64::from(NEWEST_FORMAT))
    )]
    snapshot_format: u32,

    /// How to write the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,

    /// Find fault with the resource of this name: for tests of a fleet
    #[arg(long, value_name = "KIND/NAMESPACE/NAME", hide = true)]
    refuse: Vec<ResourceName>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Args {
    /// How long queries are still answered after a signal.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.into())
    }

    /// How queries are answered.
    pub(crate) fn config(&self) -> Config {
        Config {
            udp: UdpOptions {
                workers: self.udp_workers,
                pin_cpus: self.pin_cpus,
                receive_buffer: self.udp_receive_buffer,
            },
            rate_limit: RateLimit {
                per_second: self.udp_rate_limit,
                slip: self.udp_rate_slip,
                exempt: self.udp_rate_exempt.clone(),
            },
            ..Config::default()
        }
    }

    /// How the node shows operators who it is.
    fn credentials(&self) -> anyhow::Result<Credentials> {
        match (&self.tls_dir, &self.ca, &self.token) {
            (Some(directory), None, None) => Ok(Credentials::Files(TlsFiles(directory.clone()))),
            (None, Some(ca), Some(token)) => Ok(Credentials::Enrolment(EnrolFiles {
                ca: ca.clone(),
                token: token.clone(),
            })),
            // The command line was checked for that.
            _ => bail!("give either --tls-dir, or --ca and --token"),
        }
    }

    /// How the node probes.
    fn health(&self) -> anyhow::Result<HealthOptions> {
        let authorities = self.probe_ca.as_ref().map(|path| {
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
        });
        Ok(HealthOptions {
            allowed: Allowed::new(self.probe_allow.clone()),
            authorities: authorities.transpose()?.unwrap_or_default(),
            concurrency: self.probe_concurrency.into(),
            grace: Duration::from_secs(self.health_grace.into()),
            ..HealthOptions::default()
        })
    }

    /// The node's part in the fleet.
    ///
    /// # Errors
    /// When a file that it names cannot be read.
    pub(crate) fn membership(&self) -> anyhow::Result<Membership> {
        Ok(Membership {
            identity: Identity {
                fleet: self.fleet.clone(),
                node: self.node.clone(),
                location: Location {
                    cluster: self.cluster.clone(),
                    region: self.region.clone(),
                    zone: self.zone.clone(),
                },
                formats: OLDEST_FORMAT..=self.snapshot_format,
                boot: rand::rng().random(),
                version: crate::VERSION.to_owned(),
            },
            operators: Operators {
                addresses: self.operators.clone(),
                credentials: self.credentials()?,
                name: self.operator_name.clone(),
            },
            state: self.state.clone(),
            refused: self.refuse.clone(),
            health: self.health()?,
        })
    }
}
