//! One real `watershed-dns`, asked by DNS.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::content::name;
use crate::operator::Operator;
use crate::process::Usage;

/// An answer comes by then, or not at all.
const REPLY: Duration = Duration::from_millis(500);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(2);

/// A real node. It ends when this is dropped.
pub(crate) struct RealNode {
    process: Child,
    address: SocketAddr,
    /// What it says.
    log: PathBuf,
}

/// The program, where it is built together with this one.
///
/// # Errors
/// When it is not there.
pub(crate) fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let node = own.with_file_name("watershed-dns");
    ensure!(
        node.exists(),
        "{} is not there: cargo build --release --bin watershed-dns, or say --node",
        node.display()
    );
    Ok(node)
}

impl RealNode {
    /// Starts it with nothing on its disk.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(program: &Path, operator: &Operator, directory: &Path) -> Result<Self> {
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = directory.join("node.log");
        let process = Command::new(program)
            .args(["--node", "real", "--operator-name", "localhost"])
            .args(["--listen", &address.to_string()])
            .args(["--http", "127.0.0.1:0"])
            .args(["--operator", &operator.address().to_string()])
            .arg("--tls-dir")
            .arg(operator.certificates())
            .arg("--state")
            .arg(directory.join("state"))
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Self {
            process,
            address,
            log,
        })
    }

    /// What it has used.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.id())
    }

    /// Waits until a record answers with this address.
    ///
    /// # Errors
    /// When it does not within `patience`, or has ended.
    pub(crate) async fn answers(
        &mut self,
        record: usize,
        address: Ipv4Addr,
        patience: Duration,
    ) -> Result<()> {
        let end = Instant::now() + patience;
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(self.address).await?;
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait()? {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("the real node has ended, {status}: {said}");
            }
            // A port that nobody listens at yet refuses.
            if let Ok(Some(answer)) = ask(&socket, record).await
                && answer == address
            {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("record {record} does not answer with {address} within {patience:?}")
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn ask(socket: &tokio::net::UdpSocket, record: usize) -> Result<Option<Ipv4Addr>> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name(record))?, RecordType::A));
    socket.send(&message.to_vec()?).await?;
    let mut octets = [0; 512];
    let length = tokio::time::timeout(REPLY, socket.recv(&mut octets)).await??;
    let reply = Message::from_vec(octets.get(..length).unwrap_or_default())?;
    ensure!(reply.id == message.id, "another reply");
    let answers = reply.answers.iter();
    let mut addresses = answers.filter_map(|record| match &record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    });
    Ok(addresses.next_back())
}
