//! The load generator of the comparison: keeps a number of queries
//! outstanding, judges every reply, and prints one line of JSON.

mod links;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use links::{Link, Tcp, Udp};
use watershed_bench::load::{Latencies, Query, Verdict, queries};

/// Sends queries and judges the replies
#[derive(Debug, Parser)]
struct Args {
    /// The server
    server: SocketAddr,
    /// Queries, and what must be answered
    queries: PathBuf,
    /// How long to send
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Stop after so many replies, if that is earlier
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// Queries a second, at most; 0 for no limit
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Sockets or connections
    #[arg(long, default_value_t = 4)]
    links: usize,
    /// Queries outstanding on each, up to 1024
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    window: u16,
    /// By TCP instead of UDP
    #[arg(long)]
    tcp: bool,
    /// Take any reply for right: the server is the echo
    #[arg(long)]
    any: bool,
}

/// The id of a query: where it is in the window, and how often that place was
/// used, so that a late reply is not taken for that to the next query.
const SLOT_BITS: u32 = 10;

/// What is not answered after this time is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// One place in the window of a link.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// When the query was sent, in nanoseconds; none when the place is free.
    sent: Option<u64>,
    query: usize,
    uses: u16,
}

/// The queries that are outstanding on a link.
struct Window {
    slots: Vec<Slot>,
    free: Vec<u16>,
    next: usize,
}

#[derive(Default)]
struct Results {
    latencies: Latencies,
    sent: u64,
    wrong: u64,
    lost: u64,
    octets: u64,
    /// How often each of the right addresses was the answer.
    shares: [u64; 8],
    first_wrong: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let file = std::fs::read(&args.queries).context("the queries cannot be read")?;
    let queries = queries(&file).context("the file of queries is cut short")?;
    let links = 0..args.links;
    if args.tcp {
        let links = links.map(|_| Tcp::connect(args.server));
        run(&args, &queries, links.collect::<Result<Vec<_>, _>>()?)
    } else {
        let links = links.map(|_| Udp::connect(args.server));
        run(&args, &queries, links.collect::<Result<Vec<_>, _>>()?)
    }
}

fn run<L: Link>(args: &Args, queries: &[Query<'_>], links: Vec<L>) -> anyhow::Result<()> {
    let mut links: Vec<(L, Window)> = links
        .into_iter()
        .enumerate()
        .map(|(index, link)| {
            let next = queries.len() * index / args.links;
            (link, Window::new(args.window, next))
        })
        .collect();
    let mut results = Results::default();
    let start = Instant::now();
    let end = nanoseconds(Duration::from_secs_f64(args.seconds));
    let mut next_look = PATIENCE;
    let mut now = 0;
    while now < end && results.latencies.count() < args.count {
        for (link, window) in &mut links {
            let received = nanoseconds(start.elapsed());
            link.receive(|reply| {
                if let Some(slot) = window.take(reply) {
                    results.count(slot, &queries[slot.query], reply, received, args.any);
                }
            })?;
            now = nanoseconds(start.elapsed());
            let room = window.free.len().min(link.room());
            let allowed = usize::try_from(args.allowed(now, results.sent)).unwrap_or(usize::MAX);
            for _ in 0..room.min(allowed) {
                let Some((id, query)) = window.place(now, queries.len()) else {
                    break;
                };
                link.queue(id, queries[query].message);
                results.sent += 1;
            }
            link.flush()?;
        }
        if start.elapsed() > next_look {
            next_look += PATIENCE / 4;
            let before = now.saturating_sub(nanoseconds(PATIENCE));
            results.lost += links
                .iter_mut()
                .map(|(_, w)| w.give_up(before))
                .sum::<u64>();
        }
    }
    println!("{}", results.json(now));
    Ok(())
}

impl Args {
    /// How many queries more may be sent by now.
    fn allowed(&self, now: u64, sent: u64) -> u64 {
        if self.rate == 0 {
            return u64::MAX;
        }
        let due = u128::from(now) * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(sent)
    }
}

impl Window {
    fn new(size: u16, next: usize) -> Self {
        Self {
            slots: vec![Slot::default(); size.into()],
            free: (0..size).collect(),
            next,
        }
    }

    /// Takes a place for the next query, and says its id and which it is.
    fn place(&mut self, now: u64, queries: usize) -> Option<(u16, usize)> {
        let place = self.free.pop()?;
        let slot = &mut self.slots[usize::from(place)];
        slot.uses = slot.uses.wrapping_add(1);
        slot.sent = Some(now);
        slot.query = self.next;
        self.next = (self.next + 1) % queries;
        Some((place | slot.uses << SLOT_BITS, slot.query))
    }

    /// Frees the place of the query that this is the reply to.
    fn take(&mut self, reply: &[u8]) -> Option<Slot> {
        let id = u16::from_be_bytes(*reply.first_chunk()?);
        let place = id & ((1 << SLOT_BITS) - 1);
        let slot = self.slots.get_mut(usize::from(place))?;
        let is_current = slot.uses << SLOT_BITS == id - place;
        let taken = (slot.sent.is_some() && is_current).then_some(*slot)?;
        slot.sent = None;
        self.free.push(place);
        Some(taken)
    }

    /// Frees the places of queries sent before a time, and says how many.
    fn give_up(&mut self, before: u64) -> u64 {
        let mut lost = 0;
        for (place, slot) in (0..).zip(&mut self.slots) {
            if slot.sent.is_some_and(|sent| sent < before) {
                slot.sent = None;
                self.free.push(place);
                lost += 1;
            }
        }
        lost
    }
}

impl Results {
    fn count(&mut self, slot: Slot, query: &Query<'_>, reply: &[u8], now: u64, any: bool) {
        let sent = slot.sent.unwrap_or(now);
        self.latencies.add(now.saturating_sub(sent));
        self.octets += reply.len() as u64;
        match query.judge(reply) {
            _ if any => {}
            Verdict::Right(index) => self.shares[index.min(7)] += 1,
            Verdict::Wrong => {
                self.wrong += 1;
                self.first_wrong.get_or_insert_with(|| hex(reply));
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn json(&self, elapsed: u64) -> String {
        let replies = self.latencies.count();
        let micros = |percent| self.latencies.percentile(percent) as f64 / 1e3;
        format!(
            r#"{{"qps":{:.0},"replies":{replies},"wrong":{},"lost":{},"p50_us":{:.1},"p99_us":{:.1},"octets":{:.1},"shares":{:?},"first_wrong":"{}"}}"#,
            replies as f64 * 1e9 / elapsed as f64,
            self.wrong,
            self.lost,
            micros(50),
            micros(99),
            self.octets as f64 / replies.max(1) as f64,
            self.shares,
            self.first_wrong.as_deref().unwrap_or_default(),
        )
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
