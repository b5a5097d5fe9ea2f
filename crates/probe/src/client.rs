//! Makes one probe of any kind.

use http::HeaderValue;
use tokio::time::{Instant, timeout_at};
use watershed_health::{Check, Outcome, ProbeKind, Target};

use crate::connect::Network;
use crate::failure::{Failed, Finding};
use crate::prober::{Config, Result as ProbeResult};
use crate::tls::Tls;
use crate::trace::Trace;
use crate::{dns, grpc, http as http_probe, prometheus, tcp};

/// What all probes share.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) network: Network,
    pub(crate) tls: Tls,
    pub(crate) user_agent: HeaderValue,
}

impl Client {
    /// # Errors
    /// When the authorities cannot be read or the User-Agent is no value of a
    /// header.
    pub(crate) fn new(config: Config) -> Result<Self, String> {
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .map_err(|_| format!("{:?} is not a value of User-Agent", config.user_agent))?;
        Ok(Self {
            network: Network::new(config.allowed),
            tls: Tls::new(&config.authorities)?,
            user_agent,
        })
    }

    /// Probes a target once, within the time that its check gives.
    pub(crate) async fn probe(&self, target: &Target, check: &Check) -> ProbeResult {
        let begin = Instant::now();
        let mut trace = Trace::new(check.timeout);
        let probe = self.once(target, check, &mut trace);
        let found = match timeout_at(begin + check.timeout, probe).await {
            Ok(found) => found,
            Err(_) => Err(trace.timed_out(check.timeout)),
        };
        let finding = match (found, &check.kind) {
            (Ok(finding), _) => finding,
            (Err(failed), ProbeKind::Prometheus(probe)) => prometheus::missing(probe, failed),
            (Err(failed), _) => failed.finding(),
        }
        .tidy();
        ProbeResult {
            target: target.clone(),
            outcome: finding.outcome,
            kind: finding.kind,
            took: begin.elapsed(),
            certificate_expires: trace.certificate_expires,
        }
    }

    async fn once(
        &self,
        target: &Target,
        check: &Check,
        trace: &mut Trace,
    ) -> Result<Finding, Failed> {
        if let ProbeKind::Prometheus(probe) = &check.kind {
            return prometheus::probe(self, probe, trace).await;
        }
        // A target has the address of its check where that has one.
        let Some(address) = target.address.as_ref().or(check.address.as_ref()) else {
            return Err(Failed::protocol("the check has no address"));
        };
        match &check.kind {
            ProbeKind::Http(probe) => http_probe::probe(self, probe, address, trace).await,
            ProbeKind::Tcp(probe) => tcp::probe(&self.network, probe, address, trace).await,
            ProbeKind::Grpc(probe) => grpc::probe(self, probe, address, trace).await,
            ProbeKind::Dns(probe) => dns::probe(&self.network, probe, address, trace).await,
            ProbeKind::Prometheus(_) | ProbeKind::EndpointSlices(_) | ProbeKind::Calculated(_) => {
                Ok(Finding {
                    outcome: Outcome::Nothing("not probed".to_owned()),
                    kind: "missing",
                })
            }
        }
    }
}
