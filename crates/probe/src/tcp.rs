//! A TCP connection.

use watershed_health::{Address, TcpProbe};

use crate::connect::Network;
use crate::failure::{Failed, Finding};
use crate::trace::Trace;

/// Connects, and closes the connection as soon as it stands.
pub(crate) async fn probe(
    network: &Network,
    probe: &TcpProbe,
    address: &Address,
    trace: &mut Trace,
) -> Result<Finding, Failed> {
    network.connect(address, probe.port, trace).await?;
    Ok(Finding::passed("connected"))
}
