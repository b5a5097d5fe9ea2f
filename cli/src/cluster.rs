//! Talking to a Kubernetes cluster. Only the commands that need one come here.

use std::error::Error;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};

/// How long a connection to the API server may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Which cluster, and where in it.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// Context of the kubeconfig; the current one when absent
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Namespace; that of the context when absent
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// A cluster that can be asked.
pub(crate) struct Cluster {
    /// Asks it.
    pub(crate) client: Client,
    /// The namespace that was named, or that of the context.
    pub(crate) namespace: String,
}

impl ClusterArgs {
    /// The cluster. Whether its API server answers is not known yet.
    ///
    /// # Errors
    /// When there is no configuration, or it cannot be used.
    pub(crate) async fn connect(&self) -> anyhow::Result<Cluster> {
        let config = match &self.context {
            None => Config::infer()
                .await
                .context("it is not known which cluster to ask: set KUBECONFIG, or give --context"),
            Some(context) => {
                let options = KubeConfigOptions {
                    context: Some(context.clone()),
                    ..KubeConfigOptions::default()
                };
                let config = Config::from_kubeconfig(&options).await;
                config.with_context(|| format!("the context {context} cannot be used"))
            }
        };
        let mut config = config?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        let namespace = self.namespace.clone();
        Ok(Cluster {
            namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
            client: Client::try_from(config)
                .context("the configuration of the cluster cannot be used")?,
        })
    }
}

/// Carries out what needs a cluster, on this thread.
///
/// # Errors
/// Those of `task`.
pub(crate) fn run<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("the runtime cannot be started")?;
    let result = runtime.block_on(task);
    // A request that hangs holds nobody up.
    runtime.shutdown_background();
    result
}

/// The answer to a request, or what went wrong in words.
///
/// # Errors
/// When the server refused, or did not answer.
pub(crate) fn answered<T>(answer: kube::Result<T>, what: &str) -> anyhow::Result<T> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) if status.code == 404 && status.reason.is_empty() => {
            bail!("{what} cannot be read: the cluster does not know this kind: install crds/ there")
        }
        Err(kube::Error::Api(status)) => bail!("{what}: {}", status.message),
        Err(error) => bail!("{what}: the API server cannot be asked: {}", causes(&error)),
    }
}

/// An error with its causes in one line; each says what those before do not.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}
