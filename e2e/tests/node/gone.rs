//! Whatever ends a cluster, nothing is left of its nodes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use watershed_e2e::{Cluster, Options, eventually};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn nothing_is_left_of_a_node_but_its_logs() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("left").with_nodes(1)).await?;
    let dir = cluster.dir().to_owned();
    let node = cluster.nodes().first().context("one node")?;
    let network = fs::read_link(node.network().path())?;
    let cgroup = node.cgroup().to_owned();
    assert!(
        processes_in(&network)? >= 3,
        "containerd, kubelet, kube-proxy"
    );
    assert!(!cgroups(&cgroup)?.is_empty());
    drop(cluster);

    // The kernel ends what has lost its first process in its own time.
    let gone = async || {
        let left = processes_in(&network)?;
        ensure!(left == 0, "{left} processes are left");
        Ok(())
    };
    eventually("all processes are gone", SOON, gone).await?;
    assert_eq!(cgroups(&cgroup)?, Vec::<PathBuf>::new());
    assert!(!dir.join("n1/containerd").exists());
    assert!(fs::metadata(dir.join("n1/kubelet.log"))?.len() > 0);
    Ok(())
}

#[tokio::test]
async fn nodes_do_not_outlive_a_process_that_is_killed() -> Result<()> {
    let name = format!("node-killed-{}", std::process::id());
    let dev = DevCluster { name };
    let up = String::from_utf8(dev.run("up", &["--nodes", "1"])?.stdout)?;
    let kubeconfig = up.trim().strip_prefix("export KUBECONFIG=");
    let dir = Path::new(kubeconfig.context("for a shell")?)
        .parent()
        .context("a directory")?;
    let supervisor: i32 = fs::read_to_string(dir.join("pid"))?.parse()?;
    let machines = fs::read(dir.join("machines"))?;
    let machines: serde_json::Value = serde_json::from_slice(&machines)?;
    let first = machines["nodes"][0].as_u64().context("a node's process")?;
    let network = fs::read_link(format!("/proc/{first}/ns/net"))?;
    let marks = format!("watershed-e2e-{supervisor}-");
    assert!(processes_in(&network)? >= 3 && !cgroups(&marks)?.is_empty());

    kill(Pid::from_raw(supervisor), Signal::SIGKILL)?;
    let gone = async || {
        let (left, cgroups) = (processes_in(&network)?, cgroups(&marks)?);
        ensure!(left == 0, "{left} processes are left");
        ensure!(cgroups.is_empty(), "left: {cgroups:?}");
        Ok(())
    };
    eventually("all has ended with its supervisor", SOON, gone).await
}

/// How many processes are in a network, as `/proc/<process>/ns/net` names it.
fn processes_in(network: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir("/proc")? {
        let theirs = fs::read_link(entry?.path().join("ns/net"));
        count += usize::from(theirs.is_ok_and(|theirs| theirs == network));
    }
    Ok(count)
}

/// Cgroups of the first level, in all hierarchies, whose names begin like this.
fn cgroups(beginning: &str) -> Result<Vec<PathBuf>> {
    let top = Path::new("/sys/fs/cgroup");
    let mut found = Vec::new();
    let mut hierarchies = vec![top.to_owned()];
    for entry in fs::read_dir(top)? {
        hierarchies.push(entry?.path());
    }
    for hierarchy in hierarchies.iter().filter(|path| path.is_dir()) {
        for entry in fs::read_dir(hierarchy)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(beginning) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// A development cluster that is ended with the test.
struct DevCluster {
    name: String,
}

impl DevCluster {
    fn run(&self, command: &str, more: &[&str]) -> Result<Output> {
        let output = Command::new(env!("CARGO_BIN_EXE_watershed-e2e"))
            .arg("dev-cluster")
            .arg(command)
            .args(["--name", &self.name])
            .args(more)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dev-cluster {command}: {said}");
        Ok(output)
    }
}

impl Drop for DevCluster {
    fn drop(&mut self) {
        let _ = self.run("down", &[]);
    }
}
