//! How long a DNS node takes from its start to the right answer for the last
//! of its records, with what it kept on disk and no operator; and what memory
//! it has then.
//!
//! `bench-start --program target/release/watershed-dns [--output FILE]`
//!
//! The state is written by the node's own store. Each start is of a fresh copy
//! and one of a process; between them the file stays in the cache of the
//! system, as after a restart of a pod.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use procfs::process::Process;
use watershed_bench::{state, works};

/// A node that does not answer right after so long never will.
const PATIENCE: Duration = Duration::from_mins(2);
/// Records of the state that the memory of a record is reckoned from.
const FEW: usize = 10;

#[derive(Parser)]
#[command(about = "Starts a DNS node from disk again and again", version)]
struct Args {
    /// The program `watershed-dns`
    #[arg(long, value_name = "PATH")]
    program: PathBuf,
    /// Policy records
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Policies that they serve
    #[arg(long, default_value_t = 1000)]
    policies: usize,
    /// Starts; the figures are medians
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Where to write the figures, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What one start was like.
struct Start {
    seconds: f64,
    cpu_seconds: f64,
    /// Resident memory when it answers, and the most that it ever was.
    memory: u64,
    peak: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let few = measure(&args, FEW)?;
    let many = measure(&args, args.records)?;
    let each = many.memory.saturating_sub(few.memory) / args.records as u64;
    println!(
        "{} records: {:.2} s to the right answer for the last one, {:.2} s of CPU",
        args.records, many.seconds, many.cpu_seconds
    );
    println!(
        "memory: {:.1} MB, {:.1} MB at most, {:.1} MB with {FEW} records: {each} bytes a record",
        megabytes(many.memory),
        megabytes(many.peak),
        megabytes(few.memory),
    );
    if let Some(path) = &args.output {
        let figures = serde_json::json!({
            "records": args.records,
            "start_s": many.seconds,
            "start_cpu_s": many.cpu_seconds,
            "memory_mb": megabytes(many.memory),
            "peak_mb": megabytes(many.peak),
            "memory_few_mb": megabytes(few.memory),
            "record_bytes": each,
        });
        write(path, &figures)?;
    }
    Ok(())
}

fn write(path: &Path, figures: &serde_json::Value) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53 octets")]
fn megabytes(octets: u64) -> f64 {
    octets as f64 / 1e6
}

/// The medians of several starts with so many records.
fn measure(args: &Args, records: usize) -> anyhow::Result<Start> {
    let directory = tempfile::tempdir()?;
    state::write(directory.path(), records, args.policies.min(records))?;
    let mut starts = Vec::new();
    for _ in 0..args.starts.max(1) {
        starts.push(start(&args.program, directory.path(), records)?);
    }
    Ok(Start {
        seconds: median(&starts, |start| start.seconds),
        cpu_seconds: median(&starts, |start| start.cpu_seconds),
        memory: median(&starts, |start| start.memory),
        peak: median(&starts, |start| start.peak),
    })
}

fn median<T: PartialOrd + Copy>(starts: &[Start], figure: impl Fn(&Start) -> T) -> T {
    let mut figures: Vec<T> = starts.iter().map(figure).collect();
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    figures[figures.len() / 2]
}

fn start(program: &Path, state: &Path, records: usize) -> anyhow::Result<Start> {
    let server = free_address()?;
    let began = Instant::now();
    let mut node = Running(spawn(program, state, server)?);
    let packet = works::query(&state::name_of(records - 1), None)?;
    await_answer(&mut node, server, &packet)?;
    let seconds = began.elapsed().as_secs_f64();
    let process = Process::new(node.0.id().try_into()?)?;
    let cpu_seconds = cpu_seconds(&process)?;
    // Memory is read at rest: the allocator gives back what the start used.
    std::thread::sleep(Duration::from_millis(500));
    let (memory, peak) = memory(&process)?;
    Ok(Start {
        seconds,
        cpu_seconds,
        memory,
        peak,
    })
}

fn spawn(program: &Path, state: &Path, server: SocketAddr) -> anyhow::Result<Child> {
    // No operator answers there, and so no certificate is read.
    let nobody = free_address()?;
    let mut command = Command::new(program);
    command
        .args(["--listen", &server.to_string()])
        .args([
            "--http",
            "127.0.0.1:0",
            "--node",
            "bench",
            "--udp-workers",
            "1",
        ])
        .args(["--operator", &nobody.to_string(), "--tls-dir"])
        .arg(state)
        .arg("--state")
        .arg(state)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let child = command.spawn();
    child.with_context(|| format!("{} cannot be started", program.display()))
}

/// A process that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is said elsewhere.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of the loopback that nobody listens on, by TCP or by UDP.
fn free_address() -> anyhow::Result<SocketAddr> {
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

fn await_answer(node: &mut Running, server: SocketAddr, packet: &[u8]) -> anyhow::Result<()> {
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    client.connect(server)?;
    client.set_read_timeout(Some(Duration::from_millis(2)))?;
    let mut reply = [0; 1232];
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(status) = node.0.try_wait()? {
            bail!("the node ended: {status}");
        }
        // While nobody listens, the system refuses.
        let received = client.send(packet).and_then(|_| client.recv(&mut reply));
        match received {
            Ok(len) if is_right(&reply[..len]) => return Ok(()),
            Ok(_) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    bail!("no right answer in {PATIENCE:?}")
}

/// One record in the answer, which is an address of the works.
fn is_right(reply: &[u8]) -> bool {
    let rcode = reply.get(3).map(|flags| flags & 0xf);
    let address = reply
        .windows(6)
        .any(|octets| octets[..5] == [0, 4, 192, 0, 2]);
    (rcode, reply.get(6..8)) == (Some(0), Some(&[0, 1])) && address
}

/// Resident memory in octets, now and at most.
fn memory(process: &Process) -> anyhow::Result<(u64, u64)> {
    let status = process.status()?;
    let kibibytes = status.vmrss.zip(status.vmhwm);
    let (now, most) = kibibytes.context("the kernel does not say")?;
    Ok((now * 1024, most * 1024))
}

/// CPU time of all threads, also of those that have ended.
#[expect(clippy::cast_precision_loss, reason = "a number of hundredths")]
fn cpu_seconds(process: &Process) -> anyhow::Result<f64> {
    let stat = process.stat()?;
    let ticks = (stat.utime + stat.stime) as f64;
    Ok(ticks / procfs::ticks_per_second() as f64)
}
