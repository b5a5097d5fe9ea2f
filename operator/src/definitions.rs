//! Says which definitions the cluster lacks: watches only say that they fail.

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use watershed_operator::object::{GROUP, ObjectKind, VERSION};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);

/// Says what is missing, until everything is `synced`.
pub(crate) async fn miss(client: Client, mut synced: watch::Receiver<bool>) {
    let mut said = Vec::new();
    loop {
        // Not being able to ask is said by whoever needs an answer.
        if let Ok(served) = served(&client).await {
            let missing = missing(&served);
            if missing != said && !missing.is_empty() {
                let kinds = missing.join(", ");
                tracing::warn!(
                    group = GROUP,
                    version = VERSION,
                    kinds,
                    "the cluster lacks definitions; waiting until they are installed"
                );
            }
            said = missing;
        }
        let wait = synced.wait_for(|synced| *synced);
        if tokio::time::timeout(LOOK, wait).await.is_ok() {
            return;
        }
    }
}

/// Kinds of the group that the API server serves.
async fn served(client: &Client) -> kube::Result<Vec<String>> {
    let group = format!("{GROUP}/{VERSION}");
    match client.list_api_group_resources(&group).await {
        Ok(list) => Ok(list.resources.into_iter().map(|kind| kind.kind).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn missing(served: &[String]) -> Vec<&'static str> {
    let names = ObjectKind::ALL.map(ObjectKind::as_str).into_iter();
    names
        .filter(|name| !served.iter().any(|kind| kind == name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_served_is_missing() {
        assert_eq!(missing(&[]).len(), ObjectKind::ALL.len());
        let all: Vec<String> = ObjectKind::ALL
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect();
        assert!(missing(&all).is_empty());
        assert_eq!(missing(&all[1..]), ["CIDRCollection"]);
    }
}
