//! Which kinds of the Gateway API this cluster has.

use std::collections::BTreeMap;

use kube::Client;

use super::Source;
use super::source::GATEWAY_GROUP;

/// Versions that are understood, best first.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The kinds that the cluster serves, and in which version.
///
/// # Errors
/// When the API server does not answer.
pub(super) async fn discover(client: &Client) -> kube::Result<BTreeMap<Source, &'static str>> {
    let mut found = BTreeMap::new();
    for version in VERSIONS {
        let group = format!("{GATEWAY_GROUP}/{version}");
        let resources = match client.list_api_group_resources(&group).await {
            Ok(list) => list.resources,
            // No such group or version here.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => return Err(error),
        };
        for source in [Source::Gateways, Source::Grants] {
            let plural = source.resource(None).plural;
            if resources.iter().any(|resource| resource.name == plural) {
                found.entry(source).or_insert(version);
            }
        }
    }
    Ok(found)
}
