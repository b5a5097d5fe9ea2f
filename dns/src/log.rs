//! The query log.

use hickory_server::server::Request;
use tracing::{Level, debug, enabled, field};

use crate::edns::QueryEdns;
use crate::handler::Transport;
use crate::reply::{Decided, Reply};
use crate::udp::Limited;

/// The log's own target, so that it can be turned on alone.
const TARGET: &str = "watershed_dns::query";

/// Whether queries are logged.
pub(crate) fn is_enabled() -> bool {
    enabled!(target: TARGET, Level::DEBUG)
}

/// Logs one query at debug level: the fields of Route 53's query log that
/// apply here, and which policy decided what.
pub(crate) fn query(
    request: &Request,
    transport: Transport,
    edns: Option<QueryEdns>,
    reply: &Reply<'_>,
    limited: Option<Limited>,
) {
    if !is_enabled() {
        return;
    }
    let question = request.queries.queries().first();
    let ecs = edns.and_then(|edns| edns.subnet.ok().flatten());
    // Further decisions are those of alias and CNAME targets.
    let decided = reply.decided.first();
    debug!(
        target: TARGET,
        zone = reply.zone.map(field::display),
        name = question.map(|question| field::display(question.original().name())),
        r#type = question.map(|question| field::display(question.query_type())),
        rcode = ?reply.rcode,
        protocol = ?transport,
        limited = limited.map(Limited::as_str),
        client = %request.src().ip(),
        ecs = ecs.map(field::display),
        policy = decided.map(policy_name),
        version = decided.map(|decided| decided.version.number),
        endpoints = decided.map(|_| endpoint_names(&reply.decided)),
        "query",
    );
}

fn policy_name(decided: &Decided<'_>) -> String {
    format!(
        "{}/{}",
        decided.version.namespace, decided.version.policy_name
    )
}

/// Names of all endpoints that were chosen, joined by commas.
fn endpoint_names(decided: &[Decided<'_>]) -> String {
    let chosen = decided.iter().flat_map(|decided| {
        let policy = &decided.version.policy;
        let ids = decided.decision.endpoints.iter();
        ids.map(|id| policy.endpoint(*id).name.as_str())
    });
    chosen.collect::<Vec<&str>>().join(",")
}
