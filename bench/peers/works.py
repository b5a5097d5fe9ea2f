"""What every server is asked, and which answers are right.

All of it lies in example.com: `www` and `h0`, `h1`, ... are static; `www.w` and
`p0.w`, `p1.w`, ... choose one of four by weight; `www.g` chooses by country,
`www.f` is a primary that is down with a standby, and `www.t` chooses by country,
then by weight, then by health.
"""

import random
import socket
import struct
import threading
from dataclasses import dataclass

ZONE = "example.com"
NS_ADDRESS = "127.0.0.1"
STATIC = "192.0.2.1"
# A name whose address changes, to see when a reload is done.
PROBE_BEFORE, PROBE_AFTER = "192.0.2.98", "192.0.2.99"
WEIGHTS = {"192.0.2.1": 10, "192.0.2.2": 20, "192.0.2.3": 30, "192.0.2.4": 40}

# Health checks are TCP connections to this port, every five seconds.
CHECK_PORT, CHECK_SECONDS = 8081, 5
DOWN, UP = "127.0.0.11", "127.0.0.12"


@dataclass(frozen=True)
class Region:
    """Countries that get the same answers; the last region is for all others."""

    name: str
    countries: tuple
    geo: str  # the answer of www.g
    tree: str  # one of the two answers of www.t; the other one is UP


REGIONS = (
    Region("eu", ("DE", "FR", "GB", "NL"), "192.0.2.10", "127.0.0.21"),
    Region("na", ("US", "CA"), "192.0.2.20", "127.0.0.22"),
    Region("ap", ("JP", "CN", "IN", "AU"), "192.0.2.30", "127.0.0.23"),
    Region("others", (), "192.0.2.40", "127.0.0.24"),
)
CONTINENTS = {"DE": "EU", "FR": "EU", "GB": "EU", "NL": "EU", "US": "NA", "CA": "NA",
              "JP": "AS", "CN": "AS", "IN": "AS", "AU": "OC"}
TREE_WEIGHTS = (20, 30)  # of UP, and of the region's own


@dataclass(frozen=True)
class Size:
    """How much a server holds, and what it is asked then."""

    name: str
    hosts: int
    policies: int
    works: tuple


# Enough for a look at latency, and less than any of the servers can do.
PACED, PACED_RATE = "weighted paced", 10_000
SMALL = Size("small", 10, 0,
             ("static", "weighted", "geo", "failover", "tree", "nx", "tcp", PACED))
HOSTS_10K = Size("10k names", 10_000, 0, ("names 10k",))
HOSTS_100K = Size("100k names", 100_000, 0, ("names 100k", "nx 100k"))
POLICIES_100K = Size("100k policies", 10, 100_000, ("policies 100k",))


def host_address(index):
    return f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}"


def last_name(size):
    """The name that is there only when all is loaded, and its right answers."""
    if size.policies:
        return f"p{size.policies - 1}.w.{ZONE}", list(WEIGHTS)
    return f"h{size.hosts - 1}.{ZONE}", [host_address(size.hosts - 1)]


def message(name, network=None):
    """A query for A with EDNS, and the client's network of 24 bits if there is one."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    option = struct.pack("!HHHBB", 8, 7, 1, 24, 0) + network if network else b""
    edns = struct.pack("!BHHIH", 0, 41, 1232, 0, len(option)) + option
    return struct.pack("!6H", 0, 0, 1, 0, 0, 1) + labels + struct.pack("!BHH", 0, 1, 1) + edns


def queries(work, size, networks):
    """The queries of a work: (message, response code, addresses that are right)."""
    kind = work.split()[0]
    # Names in an order that no cache of a processor can follow.
    shuffled = random.Random(1)
    if kind in ("static", "tcp"):
        return [(message(f"www.{ZONE}"), 0, [STATIC])]
    if kind == "weighted":
        return [(message(f"www.w.{ZONE}"), 0, list(WEIGHTS))]
    if kind == "failover":
        return [(message(f"www.f.{ZONE}"), 0, [UP])]
    if kind == "nx":
        return [(message(f"nx{shuffled.randrange(10**9)}.{ZONE}"), 3, []) for _ in range(50_000)]
    if kind == "names":
        every = [(message(f"h{i}.{ZONE}"), 0, [host_address(i)]) for i in range(size.hosts)]
    elif kind == "policies":
        every = [(message(f"p{i}.w.{ZONE}"), 0, list(WEIGHTS)) for i in range(size.policies)]
    elif kind == "geo":
        every = [(message(f"www.g.{ZONE}", n), 0, [region(c).geo]) for n, c in networks]
    elif kind == "tree":
        every = [(message(f"www.t.{ZONE}", n), 0, [UP, region(c).tree]) for n, c in networks]
    shuffled.shuffle(every)
    return every


def region(country):
    return next((r for r in REGIONS if country in r.countries), REGIONS[-1])


def read_networks(path):
    """Client networks as three octets, each with its country."""
    lines = (line.split() for line in path.read_text().splitlines())
    return [(socket.inet_aton(network)[:3], country) for network, country in lines]


def write_queries(path, every):
    """Writes what the load generator reads."""
    with open(path, "wb") as file:
        for query, rcode, addresses in every:
            file.write(struct.pack("!H", len(query)) + query + bytes([rcode, len(addresses)]))
            file.write(b"".join(socket.inet_aton(address) for address in addresses))


def ask(port, query, timeout=0.05):
    """Asks once. Response code and addresses, or None without a reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.connect(("127.0.0.1", port))
        try:
            client.send(query)
            reply = client.recv(4096)
        except OSError:
            return None
    at = 12
    while reply[at]:
        at += reply[at] + 1
    at += 5
    addresses = []
    for _ in range(struct.unpack_from("!H", reply, 6)[0]):
        while 0 < reply[at] < 192:
            at += reply[at] + 1
        at += 2 if reply[at] else 1
        kind, _, _, length = struct.unpack_from("!HHIH", reply, at)
        if kind == 1:
            addresses.append(socket.inet_ntoa(reply[at + 10 : at + 14]))
        at += 10 + length
    return reply[3] & 15, addresses


def is_right(reply, rcode, addresses):
    if reply is None or reply[0] != rcode:
        return False
    return reply[1][:1] == [] if rcode else reply[1] != [] and reply[1][0] in addresses


def serve_health_checks():
    """Accepts connections at every address that has to be healthy."""

    def accept(listener):
        while True:
            listener.accept()[0].close()

    for address in (UP, *(r.tree for r in REGIONS)):
        listener = socket.create_server((address, CHECK_PORT), backlog=64)
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
