//! `watershed-operator certificate`: for nodes that no Secret reaches.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use jiff::Timestamp;
use kube::Client;
use watershed_operator::fleet::{FleetName, NodeName};
use watershed_operator::tls::{self, CA_SECRET, KubeSecrets, Managed, SecretStore};

use crate::args::Certificate;

/// Issues a certificate and writes it into files.
pub(crate) async fn certificate(order: &Certificate, client: Client) -> anyhow::Result<()> {
    let store = KubeSecrets::new(client, &order.namespace);
    let expires = issue(order, Arc::new(store)).await?;
    println!(
        "Wrote ca.crt, tls.crt and tls.key to {}. The certificate is valid until {expires}.",
        order.out.display()
    );
    Ok(())
}

/// Gives when the certificate expires.
async fn issue(order: &Certificate, store: Arc<dyn SecretStore>) -> anyhow::Result<Timestamp> {
    if store.read(CA_SECRET).await?.is_none() {
        bail!(
            "there is no Secret {}/{CA_SECRET}; the operator makes it in its own namespace, unless it runs with --tls-dir: then the authority there issues certificates",
            order.namespace
        );
    }
    let managed = Managed::new(store, Vec::new()).with_trust_domain(order.trust_domain.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let fleet = FleetName::new(&order.fleet);
    let node = order.node.as_ref().map(NodeName::new);
    let names = order.name.clone();
    let bundle = managed.issue(now, &fleet, node, names).await?;
    tls::write(&order.out, &bundle)?;
    let expires = tls::expiry(&bundle.certificate)?;
    Timestamp::from_second(expires).context("the certificate expires at no time")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use rustls_pki_types::ServerName;
    use tokio::io::AsyncWriteExt;
    use tokio_rustls::{TlsAcceptor, TlsConnector};
    use watershed_operator::fleet::Identity;
    use watershed_operator::tls::{Bundle, MemorySecrets, ServerTls, client_config};

    use super::*;
    use crate::args::{Cli, Command};

    fn order(out: &Path) -> Certificate {
        let out = out.to_str().expect("a path in UTF-8");
        let flags = "watershed-operator certificate --fleet edge --node dns-1 --name dns-1.example.com --trust-domain example.com --out";
        let cli = Cli::parse_from(flags.split(' ').chain([out]));
        match cli.command {
            Command::Certificate(order) => order,
            Command::Run(_) => panic!("it is `certificate`"),
        }
    }

    /// What the operator sees of a node that connects with `bundle`.
    async fn identity_seen(server: &ServerTls, bundle: &Bundle) -> anyhow::Result<Identity> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connector = TlsConnector::from(Arc::new(client_config(bundle)?));
        let name = ServerName::try_from("operator.example.com")?;
        let connecting = connector.connect(name, near);
        let accepting = TlsAcceptor::from(server.current()).accept(far);
        let (connected, accepted) = tokio::join!(connecting, accepting);
        connected?.shutdown().await?;
        let accepted = accepted?;
        let (_, session) = accepted.get_ref();
        let chain = session.peer_certificates().context("no certificate")?;
        Ok(Identity::of_certificate(chain.first().context("empty")?)?)
    }

    #[tokio::test]
    async fn a_node_with_what_was_written_is_let_in_under_its_name() {
        let store = MemorySecrets::default();
        let names = vec!["operator.example.com".to_owned()];
        let managed = Managed::new(Arc::new(store.clone()), names);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("late");
        let server = managed.ensure(now.as_secs()).await.expect("certificates");
        let server = ServerTls::new(&server).expect("a server");

        let directory = tempfile::tempdir().expect("a directory");
        let expires = issue(&order(directory.path()), Arc::new(store)).await;
        assert!(expires.expect("issued") > Timestamp::now());
        let bundle = tls::read(directory.path()).expect("three files");
        let identity = identity_seen(&server, &bundle).await.expect("let in");
        assert_eq!(
            identity.to_string(),
            "spiffe://example.com/fleet/edge/node/dns-1"
        );
    }

    #[tokio::test]
    async fn without_an_authority_none_is_made() {
        let store = MemorySecrets::default();
        let directory = tempfile::tempdir().expect("a directory");
        let error = issue(&order(directory.path()), Arc::new(store.clone())).await;
        let error = error.expect_err("no authority").to_string();
        assert!(error.contains("watershed-system/watershed-ca"), "{error}");
        assert_eq!(store.read(CA_SECRET).await.expect("memory"), None);
    }
}
