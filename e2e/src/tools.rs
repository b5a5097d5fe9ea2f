//! The programs of the control plane: built by `make e2e-tools`, or others that
//! the environment names.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Names a directory with `etcd`, `kube-apiserver`, `kubectl` and, for tests
/// that need controllers, `kube-controller-manager`, as the tools of
/// controller-runtime do. The version that is asked for is then that directory's.
pub const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Which Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The newest that can be built here: `e2e/tools/kube`.
    #[default]
    Newest,
    /// The oldest that is supported: the API server of `e2e/tools/kube-oldest`,
    /// with all else as new as in [`Version::Newest`].
    Oldest,
}

impl Version {
    fn tool(self) -> &'static str {
        match self {
            Self::Newest => "kube",
            Self::Oldest => "kube-oldest",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        })
    }
}

/// The control plane's programs of one version.
#[derive(Clone, Debug)]
pub struct Tools {
    api_server: PathBuf,
    others: PathBuf,
}

impl Tools {
    /// Finds them.
    ///
    /// # Errors
    /// When they are not built or the directory that is named lacks one.
    pub fn find(version: Version) -> Result<Self> {
        if let Some(assets) = assets() {
            let tools = Self {
                api_server: assets.join("kube-apiserver"),
                others: assets,
            };
            tools.check()?;
            return Ok(tools);
        }
        let tools = Self {
            api_server: built(version.tool())?.join("kube-apiserver"),
            others: built(Version::Newest.tool())?,
        };
        tools.check()?;
        Ok(tools)
    }

    /// `kube-apiserver` of the version that was asked for.
    pub fn api_server(&self) -> &Path {
        &self.api_server
    }

    /// `etcd`.
    pub fn etcd(&self) -> PathBuf {
        self.others.join("etcd")
    }

    /// `kubectl`.
    pub fn kubectl(&self) -> PathBuf {
        self.others.join("kubectl")
    }

    /// `kube-controller-manager`.
    pub fn controller_manager(&self) -> PathBuf {
        self.others.join("kube-controller-manager")
    }

    /// `kube-scheduler`.
    pub fn scheduler(&self) -> PathBuf {
        self.others.join("kube-scheduler")
    }

    /// `kubelet`; `kube-proxy` is beside it.
    pub fn kubelet(&self) -> PathBuf {
        self.others.join("kubelet")
    }

    fn check(&self) -> Result<()> {
        for program in [self.api_server.clone(), self.etcd(), self.kubectl()] {
            ensure!(program.is_file(), "{} is not there", program.display());
        }
        Ok(())
    }
}

/// `helm`, at the version that `e2e/tools/helm` pins.
///
/// # Errors
/// When it is not built.
pub fn helm() -> Result<PathBuf> {
    Ok(built("helm")?.join("helm"))
}

/// `coredns`, at the version that `e2e/tools/coredns` pins.
///
/// # Errors
/// When it is not built.
pub fn coredns() -> Result<PathBuf> {
    Ok(built("coredns")?.join("coredns"))
}

/// `gitops`, what Argo CD and Flux do with objects.
///
/// # Errors
/// When it is not built.
pub fn gitops() -> Result<PathBuf> {
    Ok(built("gitops")?.join("gitops"))
}

/// `pause`, the first process of each pod.
///
/// # Errors
/// When it is not built.
pub fn pause() -> Result<PathBuf> {
    Ok(built("pause")?.join("pause"))
}

fn assets() -> Option<PathBuf> {
    env::var_os(ASSETS)
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
}

/// The directory that the build script names: it alone knows what the hash in
/// the name is made of.
fn built(tool: &str) -> Result<PathBuf> {
    let script = repository().join("scripts/e2e-tools");
    let output = Command::new(&script)
        .args(["--where", tool])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(output.status.success(), "{} failed", script.display());
    let dir = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    if !dir.is_dir() {
        bail!(
            "{} is not there: the control plane's programs are not built. \
             Build them once (ten minutes): make e2e-tools, or name a directory with {ASSETS}",
            dir.display()
        );
    }
    Ok(dir)
}

/// The root of the checkout that this was built from.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
