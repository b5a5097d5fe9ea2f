# Process 1 of a node: it starts the node's programs and starts them again when
# they end. When it ends itself, the kernel ends all processes of the node, pods
# too. Arguments: NAME ADDRESS DIRECTORY PROGRAMS PAUSE-IMAGE
set -eu
name=$1 address=$2 dir=$3 programs=$4 pause=$5
PATH=$programs:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
export PATH CONTAINERD_ADDRESS=/run/containerd/containerd.sock
unset NOTIFY_SOCKET

hostname "$name"
# Nothing goes to the machine below, all goes to the pods.
mount --make-rprivate /
mount --make-rshared /
for volatile in /run /var/log /var/lib; do
  mount -t tmpfs tmpfs "$volatile"
done
mkdir -p /run/lock /var/lib/kubelet
mount --bind "$dir/kubelet" /var/lib/kubelet

keep() { # LOG PROGRAM ARGUMENTS...
  log=$1
  shift
  while :; do
    "$@" || true
    echo "$1 has ended, starting it again"
    sleep 1
  done >>"$dir/$log.log" 2>&1 &
}

keep containerd containerd --config "$dir/containerd.toml"
until ctr version >/dev/null 2>&1; do sleep 0.1; done
ctr --namespace k8s.io images import "$pause"
keep kubelet kubelet --config "$dir/kubelet.json" --kubeconfig "$dir/kubelet.kubeconfig" \
  --hostname-override "$name" --node-ip "$address" --cert-dir /var/lib/kubelet/pki \
  --node-labels "topology.kubernetes.io/zone=zone-$name" --v 2
keep kube-proxy kube-proxy --config "$dir/kube-proxy.json"

# Also takes in the processes whose parents have gone.
while :; do
  wait || true
  sleep 1
done
