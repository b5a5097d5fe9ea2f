"""How each server is configured for the same work, with one worker.

A server is a function that writes its files into a directory and returns the
command that runs it in the foreground.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from works import (CHECK_PORT, CHECK_SECONDS, CONTINENTS, DOWN, NS_ADDRESS, PACED, PROBE_BEFORE,
                   REGIONS, STATIC, TREE_WEIGHTS, UP, WEIGHTS, ZONE, host_address)

NAMES = ("static", "nx", "tcp", "names 10k", "names 100k", "nx 100k")
POLICIES = (*NAMES, "weighted", PACED, "geo", "policies 100k")


@dataclass
class Place:
    """Where a server runs, and with what."""

    directory: Path
    port: int
    size: object
    country_file: Path
    programs: dict

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def master_file(origin, body, serial=1):
    return (f"$ORIGIN {origin}.\n$TTL 60\n@ SOA ns1 admin {serial} 3600 600 86400 60\n"
            f"@ NS ns1\nns1 A {NS_ADDRESS}\n{body}")


def static_names(place, probe=PROBE_BEFORE):
    hosts = "".join(f"h{i} A {host_address(i)}\n" for i in range(place.size.hosts))
    return f"www A {STATIC}\nprobe A {probe}\n{hosts}"


def write_zone(place, serial=1, probe=PROBE_BEFORE):
    return place.write(f"{ZONE}.zone", master_file(ZONE, static_names(place, probe), serial))


# The bare kernel, and Watershed.


def echo(place):
    return [place.programs["bench-echo"], f"127.0.0.1:{place.port}"]


def watershed(place):
    write_manifests(place)
    program = place.programs["watershed"]
    argv = [program, "serve", place.directory / "manifests", "--listen", f"127.0.0.1:{place.port}",
            "--state", place.directory / "state", "--geo-database", place.country_file]
    known = subprocess.run([program, "serve", "--help"], capture_output=True, text=True,
                           check=True).stdout
    for option, value in {"--probe-allow": "127.0.0.0/8", "--udp-workers": "1"}.items():
        argv += [option, value] if option in known else []
    if "--probe-allow" not in known:
        # Without probes, what is down has to be said.
        argv += ["--health", place.write("health.yaml", "health: {bench/down: unhealthy}\n")]
    return argv


def manifest(kind, name, spec):
    return {"apiVersion": "watershed.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "bench"}, "spec": spec}


def write_manifests(place):
    write_manifest_of_zone(place)
    write = lambda name, objects: place.write(
        f"manifests/{name}.yaml", "".join(f"---\n{json.dumps(o)}\n" for o in objects))
    write("hosts", [manifest("RecordSet", f"h{i}", {
        "hostedZoneRef": {"name": "zone"}, "name": f"h{i}", "type": "A", "ttlSeconds": 60,
        "values": [host_address(i)]}) for i in range(place.size.hosts)])
    write("checks", [manifest("HealthCheck", name, {
        "tcp": {"port": CHECK_PORT}, "intervalSeconds": CHECK_SECONDS, "timeoutSeconds": 2,
        "failureThreshold": 1, "successThreshold": 2}) for name in ("down", "up")])
    write("policies", [policy("w", weighted_document()), policy("g", geo_document()),
                       policy("f", failover_document()), policy("t", tree_document()),
                       *(policy(f"w{i}", weighted_document()) for i in range(shared(place)))])
    write("records", [record("www.w", "w"), record("www.g", "g"), record("www.f", "f"),
                      record("www.t", "t"),
                      *(record(f"p{i}.w", f"w{i % shared(place)}")
                        for i in range(place.size.policies))])


def write_manifest_of_zone(place, probe=PROBE_BEFORE):
    place.write("manifests/zone.yaml", json.dumps(manifest("HostedZone", "zone", {
        "domain": ZONE,
        "nameservers": {"names": [f"ns1.{ZONE}."], "glue": "None"},
        "soa": {"negativeTTLSeconds": 60},
        "records": [{"name": name, "type": "A", "ttlSeconds": 60, "values": [address]}
                    for name, address in (("www", STATIC), ("probe", probe), ("ns1", NS_ADDRESS))],
    })))


def shared(place):
    """Policies that the records share: a hundred records each."""
    return place.size.policies // 100


def policy(name, document):
    return manifest("TrafficPolicy", name, {"version": 1,
                                            "document": {"recordTypes": ["A"], **document}})


def record(name, policy_name):
    return manifest("PolicyRecord", name, {
        "hostedZoneRef": {"name": "zone"}, "name": name, "ttlSeconds": 60,
        "policyRef": {"name": policy_name}, "version": 1})


def endpoint(address):
    checked = {DOWN: "down"}.get(address, "up") if address.startswith("127.") else None
    return {"addresses": [address], **({"healthCheckRef": {"name": checked}} if checked else {})}


def weighted_document():
    names = {address: f"e{i}" for i, address in enumerate(WEIGHTS)}
    return {"startRule": "w",
            "rules": {"w": {"type": "Weighted", "branches": [
                {"weight": weight, "endpoint": names[a]} for a, weight in WEIGHTS.items()]}},
            "endpoints": {name: endpoint(a) for a, name in names.items()}}


def by_country(leads_to):
    return {"type": "Geolocation", "branches": [
        {**({"locations": [f"country/{c}" for c in region.countries]} if region.countries
            else {"default": True}), **leads_to(region)} for region in REGIONS]}


def geo_document():
    return {"startRule": "g", "rules": {"g": by_country(lambda r: {"endpoint": r.name})},
            "endpoints": {r.name: endpoint(r.geo) for r in REGIONS}}


def failover(*names):
    return {"type": "Failover", "branches": [{"endpoint": name} for name in names]}


def failover_document():
    return {"startRule": "f", "rules": {"f": failover("primary", "standby")},
            "endpoints": {"primary": endpoint(DOWN), "standby": endpoint(UP)}}


def tree_document():
    rules = {"g": by_country(lambda r: {"rule": f"w-{r.name}"}), "shared": failover("down", "up")}
    for region in REGIONS:
        branches = zip(TREE_WEIGHTS, ("shared", f"f-{region.name}"))
        rules[f"w-{region.name}"] = {
            "type": "Weighted", "branches": [{"weight": w, "rule": rule} for w, rule in branches]}
        rules[f"f-{region.name}"] = failover(region.name, "up")
    return {"startRule": "g", "rules": rules,
            "endpoints": {"down": endpoint(DOWN), "up": endpoint(UP),
                          **{r.name: endpoint(r.tree) for r in REGIONS}}}


# The peers.


def gdnsd(place, resource=lambda index: f"p{index}", resources=None):
    """One resource for each name, as a PolicyRecord can be changed by itself, too."""
    names = place.size.policies
    dynamic = {"www.w": "weighted!w", "www.g": "geoip!g", "www.f": "simplefo!f", "www.t": "geoip!t"}
    zone = static_names(place) + "".join(f"{n} DYNA {to}\n" for n, to in dynamic.items())
    zone += "".join(f"p{i}.w DYNA weighted!{resource(i)}\n" for i in range(names))
    place.write(f"zones/{ZONE}", master_file(ZONE, zone))
    by_weight = " ".join(f"a{i} => [ {a}, {w} ]" for i, (a, w) in enumerate(WEIGHTS.items()))
    many = "\n".join(f"{resource(i)} => {{ {by_weight} }}"
                     for i in range(names if resources is None else resources))
    # The weighted plugin drops what is down; it has no failover below it.
    trees = "\n".join(
        f"t{r.name} => {{ service_types => tcp up_thresh => 0.1 a => [ {DOWN}, 10 ] "
        f"b => [ {UP}, {TREE_WEIGHTS[0]} ] c => [ {r.tree}, {TREE_WEIGHTS[1]} ] }}"
        for r in REGIONS)
    continents = {}
    for r in REGIONS:
        for country in r.countries:
            continents.setdefault(CONTINENTS[country], []).append(f"{country} => [ {r.name} ]")
    others = REGIONS[-1].name
    countries = " ".join(f"{continent} => {{ default => [ {others} ] {' '.join(lines)} }}"
                         for continent, lines in continents.items())
    weighted_trees = " ".join(f"{r.name} => %weighted!t{r.name}" for r in REGIONS)
    place.write("config", f"""
options => {{ listen => [ "127.0.0.1:{place.port}" ] udp_threads => 1 tcp_threads => 1
  run_dir => {place.directory}/run state_dir => {place.directory}/state }}
service_types => {{ tcp => {{ plugin => tcp_connect port => {CHECK_PORT} timeout => 2
  interval => {CHECK_SECONDS} up_thresh => 2 ok_thresh => 2 down_thresh => 1 }} }}
plugins => {{
  weighted => {{ service_types => up
    w => {{ {by_weight} }}
    {trees}
    {many} }}
  simplefo => {{ f => {{ service_types => tcp primary => {DOWN} secondary => {UP} }} }}
  geoip => {{
    maps => {{ m => {{ geoip2_db => {place.country_file}
      datacenters => [ {", ".join(r.name for r in REGIONS)} ]
      map => {{ default => [ {others} ] {countries} }} }} }}
    resources => {{
      g => {{ map => m service_types => up
        dcmap => {{ {" ".join(f"{r.name} => {r.geo}" for r in REGIONS)} }} }}
      t => {{ map => m dcmap => {{ {weighted_trees} }} }}
    }}
  }}
}}
""")
    for name in ("run", "state"):
        (place.directory / name).mkdir(exist_ok=True)
    return ["gdnsd", "-c", place.directory, "start"]


def gdnsd_shared(place):
    """The same with a resource for a hundred names."""
    count = shared(place)
    return gdnsd(place, lambda index: f"p{index % count}", count)


def gdnsd_zone(place, probe):
    path = place.directory / "zones" / ZONE
    path.write_text(path.read_text().replace(PROBE_BEFORE, probe).replace(" admin 1 ", " admin 2 "))


def knot(place):
    write_zone(place)
    for name in "wg":
        place.write(f"{name}.zone", master_file(f"{name}.{ZONE}", f"www A {REGIONS[-1].geo}\n"))
    by_weight = "".join(f"  - weight: {w}\n    A: {a}\n" for a, w in WEIGHTS.items())
    names = ["www", *(f"p{i}" for i in range(place.size.policies))]
    place.write("w.conf", "".join(f"{name}.w.{ZONE}:\n{by_weight}" for name in names))
    place.write("g.conf", f"www.g.{ZONE}:\n" + "".join(
        f'  - geo: "{c}"\n    A: {r.geo}\n' for r in REGIONS for c in r.countries))
    path = place.directory
    return ["knotd", "-c", place.write("knot.conf", f"""
server:
  listen: 127.0.0.1@{place.port}
  rundir: {path}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
database:
  storage: {path}/db
log:
  - target: stderr
    any: warning
mod-geoip:
  - id: w
    config-file: {path}/w.conf
    ttl: 60
    mode: weighted
  - id: g
    config-file: {path}/g.conf
    ttl: 60
    mode: geodb
    geodb-file: {place.country_file}
    geodb-key: country/iso_code
zone:
  - domain: {ZONE}
    file: {path}/{ZONE}.zone
  - domain: w.{ZONE}
    file: {path}/w.zone
    module: mod-geoip/w
  - domain: g.{ZONE}
    file: {path}/g.zone
    module: mod-geoip/g
""")]


def nsd(place):
    write_zone(place)
    path = place.directory
    # Its limit of equal answers would take a benchmark for an attack.
    return ["nsd", "-d", "-c", place.write("nsd.conf", f"""
server:
  server-count: 1
  ip-address: 127.0.0.1@{place.port}
  reuseport: yes
  rrl-ratelimit: 0
  minimal-responses: yes
  username: ""
  zonesdir: "{path}"
  pidfile: "{path}/pid"
  database: ""
  xfrdfile: "{path}/xfrd"
  zonelistfile: "{path}/zonelist"
remote-control:
  control-enable: yes
  control-interface: "{path}/control"
zone:
  name: {ZONE}
  zonefile: {ZONE}.zone
""")]


def bind(place):
    write_zone(place)
    path = place.directory
    return ["named", "-f", "-n", "1", "-c", place.write("named.conf", f"""
options {{ directory "{path}";
  listen-on port {place.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; pid-file none; session-keyfile none; dnssec-validation no;
  minimal-responses yes; }};
controls {{ }};
zone "{ZONE}" {{ type primary; file "{ZONE}.zone"; }};
""")]


def powerdns(place):
    write_zone(place)
    choices = ",".join(f"{{{w},'{a}'}}" for a, w in WEIGHTS.items())
    by_weight = f'LUA A "pickwrandom({{{choices}}})"\n'
    names = ["www", *(f"p{i}" for i in range(place.size.policies))]
    branches = "".join(
        f"if country({{{','.join(repr(c) for c in r.countries)}}}) then return '{r.geo}' end "
        for r in REGIONS[:-1])
    zones = {"w": "".join(f"{name} {by_weight}" for name in names),
             "g": f"www LUA A \";{branches} return '{REGIONS[-1].geo}'\"\n",
             "f": f"www LUA A \"ifportup({CHECK_PORT}, {{'{DOWN}','{UP}'}})\"\n"}
    for name, body in zones.items():
        place.write(f"{name}.{ZONE}.zone", master_file(f"{name}.{ZONE}", body))
    path = place.directory
    place.write("named.conf", "".join(f'zone "{z}" {{ type native; file "{path}/{z}.zone"; }};\n'
                                      for z in (ZONE, *(f"{n}.{ZONE}" for n in zones))))
    place.write("empty.yaml", "domains: []\n")
    # With enable-lua-records=yes every query makes a Lua state of its own.
    place.write("pdns.conf", f"""
launch=bind,geoip
bind-config={path}/named.conf
geoip-database-files=mmdb:{place.country_file}
geoip-zones-file={path}/empty.yaml
enable-lua-records=shared
edns-subnet-processing=yes
local-address=127.0.0.1
local-port={place.port}
receiver-threads=1
distributor-threads=1
max-tcp-connections=100
socket-dir={path}
security-poll-suffix=
loglevel=2
disable-syslog=yes
""")
    return ["pdns_server", f"--config-dir={path}", "--daemon=no", "--guardian=no", "--write-pid=no"]


def coredns(place):
    write_zone(place)
    names = ["www", *(f"p{i}" for i in range(place.size.policies))]
    place.write("w.zone", master_file(f"w.{ZONE}", "".join(
        f"{name} A {a}\n" for name in names for a in WEIGHTS)))
    weights = "".join(f"{a} {w}\n" for a, w in WEIGHTS.items())
    place.write("w.weights", "".join(f"{name}.w.{ZONE}\n{weights}\n" for name in names))
    path = place.directory

    def server(zone, body, file):
        return (f"{zone}:{place.port} {{\n bind 127.0.0.1\n{body} file {path}/{file} {{\n"
                f"  reload 0\n }}\n}}\n")

    text = server(ZONE, "", f"{ZONE}.zone")
    text += server(f"w.{ZONE}", f" loadbalance weighted {path}/w.weights {{\n  reload 0s\n }}\n",
                   "w.zone")
    for r in REGIONS:
        place.write(f"{r.name}.zone", master_file(f"g.{ZONE}", f"www A {r.geo}\n"))
        wanted = " ".join(f"'{c}'," for c in r.countries).rstrip(",")
        view = (f" view {r.name} {{\n  expr metadata('geoip/country/code') in [{wanted}]\n }}\n"
                if r.countries else "")
        geoip = f" metadata\n geoip {place.country_file} {{\n  edns-subnet\n }}\n"
        text += server(f"g.{ZONE}", view + geoip, f"{r.name}.zone")
    return ["env", "GOMAXPROCS=1", place.programs["coredns"], "-quiet", "-conf",
            place.write("Corefile", text)]


@dataclass(frozen=True)
class Server:
    """How to start it, what it can do, and how it reloads its zone."""

    start: object
    works: tuple
    change: object = lambda place, probe: write_zone(place, 2, probe)
    reload: object = None
    about: str = ""


FAILOVER, TREE = "failover", "tree"
SERVERS = {
    "echo": Server(echo, tuple(w for w in (*POLICIES, FAILOVER, TREE) if w != "tcp"),
                   about="recvmmsg, sendmmsg and a fixed answer: the ceiling"),
    "watershed": Server(watershed, (*POLICIES, FAILOVER, TREE),
                        change=write_manifest_of_zone, reload=lambda place, pid: ["true"]),
    "gdnsd": Server(gdnsd, (*POLICIES, FAILOVER, TREE), change=gdnsd_zone,
                    reload=lambda place, pid: ["gdnsdctl", "-c", place.directory, "reload-zones"],
                    about="its tree has two levels: geo over weighted with health checks"),
    "gdnsd-shared": Server(gdnsd_shared, ("policies 100k",),
                           about="gdnsd with one resource for a hundred names, not for each"),
    "knot": Server(knot, POLICIES, reload=lambda place, pid: [
        "knotc", "-s", place.directory / "knot.sock", "zone-reload", ZONE],
        about="a name is weighted or geo; no health checks"),
    "nsd": Server(nsd, NAMES, reload=lambda place, pid: [
        "nsd-control", "-c", place.directory / "nsd.conf", "reload", ZONE]),
    "bind": Server(bind, NAMES, reload=lambda place, pid: ["kill", "-HUP", str(pid)],
                   about="its views go by the source address, not by the client subnet"),
    "powerdns": Server(powerdns, (*POLICIES, FAILOVER), reload=lambda place, pid: [
        "pdns_control", f"--socket-dir={place.directory}", "bind-reload-now", ZONE],
        about="policies are Lua records, with a shared Lua state"),
    "coredns": Server(coredns, POLICIES, reload=lambda place, pid: ["kill", "-USR1", str(pid)],
                      about="answers a weighted name with all addresses, the chosen one first"),
}
