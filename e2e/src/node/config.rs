//! What a node's programs are told.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::cgroup::Cgroup;
use super::{GRACE, lan, needs};

/// The image of the first process of each pod.
pub(crate) const PAUSE: &str = "watershed.dev/e2e/pause:1";

/// The port that the kubelet serves logs and the like on.
pub(super) const KUBELET_PORT: u16 = 10250;

/// Directories that a node hides behind its own.
const HIDDEN: [&str; 3] = ["/run", "/var/log", "/var/lib"];

/// Writes all files but credentials, which are there before.
pub(super) fn write(dir: &Path, number: u8, cgroup: &Cgroup) -> Result<()> {
    for hidden in HIDDEN {
        ensure!(
            !dir.starts_with(hidden),
            "{} is below {hidden}, which a node has for itself: build elsewhere (CARGO_TARGET_DIR)",
            dir.display()
        );
    }
    for part in ["kubelet", "containerd", "cni", "pods"] {
        fs::create_dir_all(dir.join(part))?;
    }
    let put = |name: &str, value: &Value| {
        let path = dir.join(name);
        fs::write(&path, format!("{value:#}\n")).with_context(|| path.display().to_string())
    };
    put("kubelet.json", &kubelet(dir, number, cgroup))?;
    put("kube-proxy.json", &kube_proxy(dir, number))?;
    put("cni/10-pods.conflist", &pod_network(dir, number))?;
    fs::write(dir.join("containerd.toml"), containerd(dir)?)?;
    // For pods that want the node's own DNS: there is the cluster's only.
    let resolver = format!("nameserver {}\n", lan::GATEWAY);
    Ok(fs::write(dir.join("resolv.conf"), resolver)?)
}

fn kubelet(dir: &Path, number: u8, cgroup: &Cgroup) -> Value {
    let tls = dir.join("tls");
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": lan::node_address(number),
        "port": KUBELET_PORT,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": tls.join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": tls.join("tls.crt"),
        "tlsPrivateKeyFile": tls.join("tls.key"),
        "clusterDNS": [lan::GATEWAY],
        "clusterDomain": "cluster.local",
        "resolvConf": dir.join("resolv.conf"),
        "podLogsDir": dir.join("pods"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        // Machines with version 1 of cgroups are refused otherwise.
        "failCgroupV1": false,
        "failSwapOn": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup.root(),
        "enforceNodeAllocatable": [],
        // Writes to what belongs to the whole machine may fail.
        "featureGates": {"KubeletInUserNamespace": true},
        // The machine's disk is not the node's to tidy up.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "serializeImagePulls": false,
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": GRACE.as_secs(),
        "syncFrequency": "10s",
    })
}

fn kube_proxy(dir: &Path, number: u8) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": dir.join("kube-proxy.kubeconfig")},
        "hostnameOverride": lan::node_name(number),
        "clusterCIDR": lan::PODS,
        // A namespace may not set these.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
    })
}

/// Pods of a node share a bridge, and have the node as their router.
fn pod_network(dir: &Path, number: u8) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "hairpinMode": true,
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": dir.join("kubelet/addresses"),
                    "ranges": [[{"subnet": lan::pods_of(number)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn containerd(dir: &Path) -> Result<String> {
    let root: PathBuf = dir.join("containerd");
    let (root, networks) = (root.display(), dir.join("cni"));
    let (networks, plugins) = (networks.display(), needs::cni_plugins()?);
    let plugins = plugins.display();
    // restrict_oom_score_adj: without it no pod starts where the tests' process
    // may not lower its own score.
    Ok(format!(
        r#"version = 2
root = "{root}"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{networks}"
"#
    ))
}
