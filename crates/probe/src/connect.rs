//! From an address to a connection.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use watershed_health::Address;

use crate::Allowed;
use crate::failure::Failed;
use crate::trace::{Stage, Trace};

/// Looks up host names and says which addresses may be probed.
#[derive(Debug)]
pub(crate) struct Network {
    allowed: Allowed,
    resolver: Result<TokioResolver, String>,
}

impl Network {
    /// With the resolvers that the system is configured with.
    pub(crate) fn new(allowed: Allowed) -> Self {
        let resolver = TokioResolver::builder_tokio()
            .and_then(|mut builder| {
                // Both families, IPv4 first: it is there nearly everywhere.
                builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
                builder.build()
            })
            .map_err(|error| error.to_string());
        Self { allowed, resolver }
    }

    /// A TCP connection to one of the addresses, in their order.
    pub(crate) async fn connect(
        &self,
        address: &Address,
        port: u16,
        trace: &mut Trace,
    ) -> Result<TcpStream, Failed> {
        let addresses = self.addresses(address, port, trace).await?;
        trace.stage = Stage::Connect;
        in_turn(&addresses, trace.deadline, |address| async move {
            self.permit(address.ip())?;
            let stream = TcpStream::connect(address).await?;
            // Probes are small and are waited for.
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .await
    }

    /// The addresses that may be probed.
    pub(crate) async fn addresses(
        &self,
        address: &Address,
        port: u16,
        trace: &mut Trace,
    ) -> Result<Vec<SocketAddr>, Failed> {
        let found = match address {
            Address::Ip(ip) => vec![*ip],
            Address::Host(host) => {
                trace.stage = Stage::Lookup;
                self.look_up(host).await?
            }
        };
        let mut forbidden = None;
        let mut allowed = Vec::with_capacity(found.len());
        for ip in found {
            match self.permit(ip) {
                Ok(()) => allowed.push(SocketAddr::new(ip.to_canonical(), port)),
                Err(failed) => forbidden = Some(failed),
            }
        }
        match forbidden {
            Some(forbidden) if allowed.is_empty() => Err(forbidden),
            _ => Ok(allowed),
        }
    }

    /// Whether the address may be probed. Asked of addresses, never of names:
    /// what a name means can change from one moment to the next.
    pub(crate) fn permit(&self, ip: IpAddr) -> Result<(), Failed> {
        self.allowed
            .check(ip)
            .map_err(|forbidden| Failed::new("forbidden", forbidden.0))
    }

    /// The addresses of a host name, which is a full one: search lists of the
    /// machine are not for it.
    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, Failed> {
        let resolver = self
            .resolver
            .as_ref()
            .map_err(|error| dns(&format!("no resolver: {error}")))?;
        let mut name = Name::from_utf8(host)
            .map_err(|error| dns(&format!("{host} is not a host name: {error}")))?;
        name.set_fqdn(true);
        let found: Vec<IpAddr> = match resolver.lookup_ip(name).await {
            Ok(found) => found.iter().collect(),
            Err(error) => return Err(dns(&lookup_error(host, &error))),
        };
        if found.is_empty() {
            return Err(dns(&format!("{host} has no address")));
        }
        Ok(found)
    }
}

fn dns(message: &str) -> Failed {
    Failed::new("dns", format!("DNS: {message}"))
}

fn lookup_error(host: &str, error: &NetError) -> String {
    match error {
        error if error.is_nx_domain() => format!("{host} does not exist"),
        error if error.is_no_records_found() => format!("{host} has no address"),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("{host}: {code}"),
        NetError::Timeout => format!("{host}: the resolver does not answer"),
        error => format!("{host}: {error}"),
    }
}

/// Tries addresses in their order. Each gets an even share of the time that is
/// left, so that one that is silent leaves some for those after it.
pub(crate) async fn in_turn<T, F>(
    addresses: &[SocketAddr],
    deadline: Instant,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let mut last = None;
    for (left, &address) in (1..=addresses.len()).rev().zip(addresses) {
        if left == 1 {
            // The time of the probe as a whole ends it.
            return attempt(address).await;
        }
        let share = deadline.saturating_duration_since(Instant::now())
            / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout(share, attempt(address)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(failed)) => last = Some(failed),
            Err(_) => {}
        }
    }
    Err(last.unwrap_or_else(|| dns("no address")))
}
