//! Letting nodes in, with certificates from wherever they are.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use watershed_operator::enrol::{Enroller, KubeReviewer};
use watershed_operator::fleet::{Hub, server};
use watershed_operator::leader::Role;
use watershed_operator::tls::{self, KubeConfigMap, KubeSecrets, Managed, ServerTls};

use crate::args::Run;

/// Where the operator's certificate is from.
pub(crate) enum Certificates {
    /// Somebody else writes files into this directory.
    Files(PathBuf),
    /// The operator makes them.
    Secrets(Managed),
}

impl Certificates {
    /// As told; one that the operator makes has these names.
    pub(crate) fn new(args: &Run, client: &Client, names: Vec<String>) -> Self {
        if let Some(directory) = &args.tls_dir {
            return Self::Files(directory.clone());
        }
        let store = KubeSecrets::new(client.clone(), args.namespace());
        let published = KubeConfigMap::new(client.clone(), args.namespace());
        let managed = Managed::new(Arc::new(store), names)
            .with_trust_domain(args.trust_domain.clone())
            .with_publisher(Arc::new(published));
        Self::Secrets(managed)
    }

    /// Who gives certificates to nodes.
    pub(crate) fn enroller(&self, args: &Run, client: &Client) -> Enroller {
        match self {
            Self::Files(_) => Enroller::without_authority(),
            Self::Secrets(managed) => {
                let reviewer = KubeReviewer::new(client.clone());
                Enroller::new(args.permits(), Arc::new(reviewer), managed.clone())
            }
        }
    }

    /// The certificate, as soon as there is one, and what keeps it fresh.
    async fn obtain(
        self,
        mut leads: watch::Receiver<bool>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<(ServerTls, BoxFuture<'static, ()>)> {
        match self {
            Self::Files(directory) => {
                let bundle = tls::read(&directory)?;
                let tls = ServerTls::new(&bundle)?;
                let fresh = tls.clone();
                let keep = async move {
                    tls::follow(&directory, bundle, &fresh, &shutdown).await;
                };
                Ok((tls, Box::pin(keep)))
            }
            Self::Secrets(managed) => {
                let tls = managed.obtain(&mut leads).await;
                let fresh = tls.clone();
                let keep = async move { managed.maintain(&fresh, leads, &shutdown).await };
                Ok((tls, Box::pin(keep)))
            }
        }
    }
}

/// Lets nodes in until `closing`, as soon as there is a certificate, which
/// `told` tells then.
///
/// # Errors
/// When the certificate cannot be used, or the service cannot go on.
pub(crate) async fn serve(
    hub: Hub,
    listener: TcpListener,
    certificates: Certificates,
    enroller: Enroller,
    told: watch::Sender<Option<ServerTls>>,
    role: watch::Receiver<Role>,
    closing: CancellationToken,
) -> anyhow::Result<()> {
    let obtaining = certificates.obtain(leads(role), closing.clone());
    let Some(obtained) = closing.run_until_cancelled(obtaining).await else {
        return Ok(());
    };
    let (tls, keep) = obtained.context("nodes cannot be let in")?;
    told.send_replace(Some(tls.clone()));
    let mut serving = pin!(server::serve(
        hub,
        listener,
        tls,
        Arc::new(enroller),
        closing
    ));
    tokio::select! {
        served = &mut serving => return Ok(served?),
        // That ends when it is told to, as the service is about to.
        () = keep => {}
    }
    Ok(serving.await?)
}

/// Whether this replica leads, for who need not know more.
fn leads(mut role: watch::Receiver<Role>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let leads = role.borrow_and_update().leads();
            sender.send_if_modified(|led| std::mem::replace(led, leads) != leads);
            tokio::select! {
                changed = role.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
        }
    });
    receiver
}
