//! The real service and real nodes over a simulated network, in simulated
//! time: TCP with delays, partitions and hosts that crash; TLS, HTTP/2 and
//! gRPC on top of it as they are.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use turmoil::Sim;
use turmoil::net::{TcpListener, TcpStream};
use watershed_dns::Node;
use watershed_dns::fleet::{
    Connect, Credentials, Identity as NodeIdentity, Membership, MembershipError, Operators, Place,
    Running, StoreError, TlsFiles,
};
use watershed_dns::health::HealthOptions;
use watershed_operator::enrol::Enroller;
use watershed_operator::fleet::server::{Listener, serve};
use watershed_operator::fleet::{
    Config, Content, FleetName, FleetView, Hub, HubConfig, HubEvent, Identity, Metrics, Progress,
    Tagged,
};
use watershed_operator::health;
use watershed_operator::tls::{self, Authority, Bundle, Order, Purpose, ServerTls};
use watershed_proto::Location;
use watershed_snapshot::{ResourceName, SnapshotId, Term};

use crate::content::Change;
use crate::history::Recorder;

pub(crate) const OPERATORS: [&str; 2] = ["operator-0", "operator-1"];
pub(crate) const NODES: [&str; 3] = ["node-0", "node-1", "node-2"];
const PORT: u16 = 8443;
const TRUST_DOMAIN: &str = "watershed";
const DAY: Duration = Duration::from_hours(24);

/// Simulated time moves by this.
const TICK: Duration = Duration::from_millis(5);
/// How often all is looked at: looking costs more than a tick.
const LOOK: Duration = Duration::from_millis(50);

/// Two replicas of the operator and three nodes.
pub(crate) struct Network {
    pub(crate) sim: Sim<'static>,
    desk: Arc<Desk>,
    store: Recorder,
    desired: BTreeMap<ResourceName, Content>,
    term: u64,
    /// The start of each node that was seen last, and what that served.
    seen: HashMap<usize, (u64, SnapshotId)>,
    files: TempDir,
}

/// Where hosts leave what the test wants to see, and find what it wants.
#[derive(Default)]
struct Desk {
    operators: Mutex<HashMap<usize, Replica>>,
    nodes: Mutex<HashMap<usize, (u64, Arc<watershed_dns::fleet::Metrics>)>>,
    starts: AtomicU64,
    deposed: Mutex<Vec<usize>>,
}

struct Replica {
    hub: Hub,
    orders: UnboundedSender<Command>,
}

enum Command {
    Lead(Term, Vec<Tagged>),
    Follow(Option<String>),
    Publish(Vec<Tagged>),
}

fn fleet() -> FleetName {
    FleetName::new("default")
}

fn address(operator: usize) -> String {
    format!("{}:{PORT}", OPERATORS[operator])
}

impl Network {
    /// All run, nobody leads. Nodes know the address of `known` only.
    pub(crate) fn new(seed: u64, known: &'static [usize]) -> Self {
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(50))
            .tcp_capacity(4096)
            .enable_random_order()
            .build();
        let mut network = Self {
            sim,
            desk: Arc::default(),
            store: Recorder::default(),
            desired: BTreeMap::new(),
            term: 0,
            seen: HashMap::new(),
            files: tempfile::tempdir().expect("a directory"),
        };
        let files = network.files.path().to_owned();
        let (authority, _) = Authority::create(unix_seconds()).expect("an authority");
        for operator in 0..OPERATORS.len() {
            let tls = ServerTls::new(&server_bundle(&authority)).expect("a server");
            network.add_operator(operator, tls);
        }
        for (node, name) in NODES.into_iter().enumerate() {
            let directory = files.join(name);
            std::fs::create_dir_all(&directory).expect("a directory");
            tls::write(&directory, &node_bundle(&authority, node)).expect("files");
            network.add_node(node, directory, known);
        }
        network.run(TICK * 2);
        network
    }

    fn add_operator(&mut self, operator: usize, tls: ServerTls) {
        let (desk, store) = (Arc::clone(&self.desk), self.store.clone());
        self.sim.host(OPERATORS[operator], move || {
            run_operator(operator, Arc::clone(&desk), store.clone(), tls.clone())
        });
    }

    fn add_node(&mut self, node: usize, directory: PathBuf, known: &'static [usize]) {
        let desk = Arc::clone(&self.desk);
        self.sim.host(NODES[node], move || {
            run_node(node, Arc::clone(&desk), directory.clone(), known)
        });
    }

    // What happens.

    /// This operator leads by a new Lease, the others know of it.
    pub(crate) fn lead(&mut self, operator: usize) {
        for other in (0..OPERATORS.len()).filter(|other| *other != operator) {
            self.order(other, Command::Follow(Some(address(operator))));
        }
        self.lead_too(operator);
    }

    /// This operator leads by a new Lease, and nobody is told.
    pub(crate) fn lead_too(&mut self, operator: usize) {
        self.term += 1;
        let all = self.desired.clone().into_iter();
        let all = all.map(|(name, content)| tagged((name, Some(content))));
        let command = Command::Lead(Term(self.term), all.collect());
        self.order(operator, command);
    }

    /// The desired state changes, for whoever leads.
    pub(crate) fn desire(&mut self, changes: Vec<Change>) {
        for (name, content) in &changes {
            match content {
                Some(content) => self.desired.insert(name.clone(), content.clone()),
                None => self.desired.remove(name),
            };
        }
        let changes: Vec<Tagged> = changes.into_iter().map(tagged).collect();
        for operator in 0..OPERATORS.len() {
            self.order(operator, Command::Publish(changes.clone()));
        }
    }

    fn order(&self, operator: usize, command: Command) {
        let operators = self.desk.operators.lock().unwrap();
        // Of a host that has crashed nobody takes orders.
        if let Some(replica) = operators.get(&operator) {
            let _ = replica.orders.send(command);
        }
    }

    pub(crate) fn crash_operator(&mut self, operator: usize) {
        self.sim.crash(OPERATORS[operator]);
        self.desk.operators.lock().unwrap().remove(&operator);
    }

    pub(crate) fn start_operator(&mut self, operator: usize) {
        self.crash_operator(operator);
        self.sim.bounce(OPERATORS[operator]);
        self.run(TICK * 2);
    }

    pub(crate) fn crash_node(&mut self, node: usize) {
        self.sim.crash(NODES[node]);
        self.desk.nodes.lock().unwrap().remove(&node);
    }

    /// The node starts, from what is on its disk.
    pub(crate) fn start_node(&mut self, node: usize) {
        self.crash_node(node);
        self.sim.bounce(NODES[node]);
        let started = self.run_until(Duration::from_secs(10), |network| {
            network.served(node).is_some()
        });
        assert!(started, "{} does not start", NODES[node]);
    }

    /// What the node has on disk is lost.
    pub(crate) fn wipe_disk(&self, node: usize) {
        let state = self.files.path().join(NODES[node]).join("state");
        std::fs::remove_dir_all(state).expect("it has a state");
    }

    /// All links work again.
    pub(crate) fn repair(&mut self) {
        for operator in OPERATORS {
            for node in NODES {
                self.sim.repair(operator, node);
                self.sim.release(operator, node);
            }
        }
    }

    // Time.

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until something is so; false: it was not.
    pub(crate) fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.sim.elapsed() + most;
        while self.sim.elapsed() < end {
            let next_look = (self.sim.elapsed() + LOOK).min(end);
            while self.sim.elapsed() < next_look {
                self.sim.step().expect("hosts run");
            }
            self.check();
            if done(self) {
                return true;
            }
        }
        false
    }

    /// No node goes back while it runs.
    fn check(&mut self) {
        for (node, name) in NODES.into_iter().enumerate() {
            let Some((start, id)) = self.served(node) else {
                continue;
            };
            if let Some((former_start, former)) = self.seen.insert(node, (start, id))
                && former_start == start
            {
                assert!(former <= id, "{name} went from {former} to {id}");
            }
        }
    }

    // What is seen.

    /// Which start of the node it is, and what it serves.
    fn served(&self, node: usize) -> Option<(u64, SnapshotId)> {
        let nodes = self.desk.nodes.lock().unwrap();
        let (start, metrics) = nodes.get(&node)?;
        let text = metrics.text().expect("metrics");
        let gauge = |name: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.and_then(|value| value.parse().ok()).expect(name)
        };
        let id = SnapshotId {
            epoch: gauge("watershed_dns_epoch"),
            generation: gauge("watershed_dns_generation"),
        };
        Some((*start, id))
    }

    /// What the node serves; generation 0: nothing.
    pub(crate) fn id(&self, node: usize) -> SnapshotId {
        self.served(node).expect("it has run").1
    }

    pub(crate) fn recorded(&self) -> SnapshotId {
        self.store.newest().expect("something is recorded").id
    }

    /// The nodes that serve the newest generation.
    pub(crate) fn current(&self) -> Vec<usize> {
        let newest = self.store.newest().map(|held| held.id);
        let mut nodes: Vec<usize> = (0..NODES.len()).collect();
        nodes.retain(|node| self.served(*node).map(|(_, id)| id) == newest);
        nodes
    }

    /// Whether this operator counts all nodes to have all that is desired.
    pub(crate) fn is_everywhere(&self, operator: usize) -> bool {
        let all = |progress: Progress| progress.live == 3 && progress.programmed == 3;
        let mut names = self.desired.keys();
        self.current() == [0, 1, 2]
            && names.all(|name| self.progress(operator, name).is_some_and(all))
    }

    pub(crate) fn view(&self, operator: usize) -> Option<FleetView> {
        let operators = self.desk.operators.lock().unwrap();
        operators.get(&operator)?.hub.view(&fleet())
    }

    pub(crate) fn progress(&self, operator: usize, name: &ResourceName) -> Option<Progress> {
        let operators = self.desk.operators.lock().unwrap();
        operators.get(&operator)?.hub.progress(&fleet(), name)
    }

    /// The operators that learnt that another one leads.
    pub(crate) fn deposed(&self) -> Vec<usize> {
        self.desk.deposed.lock().unwrap().clone()
    }
}

fn tagged((name, content): Change) -> Tagged {
    Tagged {
        name,
        fleets: [fleet()].into(),
        content,
    }
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock").as_secs()
}

fn server_bundle(authority: &Authority) -> Bundle {
    let order = Order {
        purpose: Purpose::Server,
        identity: None,
        names: OPERATORS.map(str::to_owned).to_vec(),
        valid: DAY,
    };
    let issued = authority.issue(unix_seconds(), &order);
    issued.expect("a certificate").with(authority)
}

fn node_bundle(authority: &Authority, node: usize) -> Bundle {
    let uri = format!("spiffe://{TRUST_DOMAIN}/fleet/default/node/{}", NODES[node]);
    let order = Order {
        purpose: Purpose::Client,
        identity: Identity::parse(&uri),
        names: Vec::new(),
        valid: DAY,
    };
    let issued = authority.issue(unix_seconds(), &order);
    issued.expect("a certificate").with(authority)
}

// Hosts.

async fn run_operator(
    operator: usize,
    desk: Arc<Desk>,
    store: Recorder,
    tls: ServerTls,
) -> turmoil::Result {
    let publisher = Config {
        operator: OPERATORS[operator].to_owned(),
        heartbeat: Duration::from_secs(1),
        stale_after: Duration::from_secs(30),
        ..Config::default()
    };
    let config = HubConfig {
        publisher,
        trust_domain: TRUST_DOMAIN.to_owned(),
    };
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry)?;
    let health = health::Metrics::register(&registry)?;
    let (hub, events) = Hub::new(config, Arc::new(store), metrics, health);
    let (orders, commands) = unbounded_channel();
    let replica = Replica {
        hub: hub.clone(),
        orders,
    };
    desk.operators.lock().unwrap().insert(operator, replica);
    let port = Port(TcpListener::bind(("0.0.0.0", PORT)).await?);
    tokio::spawn(obey(hub.clone(), commands));
    tokio::spawn(report(operator, desk, events));
    let enroller = Arc::new(Enroller::without_authority());
    serve(hub, port, tls, enroller, CancellationToken::new()).await?;
    Ok(())
}

async fn obey(hub: Hub, mut commands: UnboundedReceiver<Command>) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Lead(term, all) => {
                hub.lead(term);
                hub.publish(all, [].into());
            }
            Command::Follow(leader) => hub.follow(leader),
            Command::Publish(changes) => hub.publish(changes, [].into()),
        }
    }
}

async fn report(operator: usize, desk: Arc<Desk>, mut events: UnboundedReceiver<HubEvent>) {
    while let Some(event) = events.recv().await {
        if let HubEvent::Deposed(..) = event {
            desk.deposed.lock().unwrap().push(operator);
        }
    }
}

async fn run_node(
    node: usize,
    desk: Arc<Desk>,
    directory: PathBuf,
    known: &'static [usize],
) -> turmoil::Result {
    let start = desk.starts.fetch_add(1, Ordering::Relaxed) + 1;
    let running = start_node(node, start, &directory, known).await?;
    let metrics = Arc::clone(&running.metrics);
    desk.nodes.lock().unwrap().insert(node, (start, metrics));
    std::future::pending().await
}

async fn start_node(
    node: usize,
    start: u64,
    directory: &Path,
    known: &[usize],
) -> Result<Running, MembershipError> {
    let membership = Membership {
        identity: NodeIdentity {
            fleet: "default".to_owned(),
            node: NODES[node].to_owned(),
            location: Location::default(),
            formats: 1..=2,
            boot: start,
            version: "0".to_owned(),
        },
        operators: Operators {
            addresses: known.iter().map(|operator| address(*operator)).collect(),
            credentials: Credentials::Files(TlsFiles(directory.to_owned())),
            name: None,
        },
        state: Some(directory.join("state")),
        refused: Vec::new(),
        health: HealthOptions::default(),
    };
    loop {
        let node = Node::new(watershed_dns::Config::default());
        match membership
            .clone()
            .start_on(&node, Simulated, Place::Runtime)
        {
            // What crashed may be writing yet: its disk is a real one.
            Err(MembershipError::Store(StoreError::InUse(_))) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            started => return started,
        }
    }
}

struct Port(TcpListener);

impl Listener for Port {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }
}

/// Over the simulated network.
struct Simulated;

impl Connect for Simulated {
    async fn connect(&self, endpoint: Endpoint) -> Result<Channel, tonic::transport::Error> {
        let dial = tower::service_fn(|uri: Uri| async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let stream = TcpStream::connect((host, PORT)).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        });
        endpoint.connect_with_connector(dial).await
    }
}
