//! A steady load that proves that no answer was lost, failed or mixed.
//!
//! One task per server sends at a fixed rate and reads what comes back. It
//! keeps each answer that is not as expected, each that does not come, and, per
//! question, which answers came in which order: an answer that changes once and
//! for all makes two runs, one that flaps makes more.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hickory_proto::op::Message;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::query::{Question, Reply, any_port};
use super::report::{Fault, Report};
use crate::netns::Namespace;

/// Says whether an answer is as it should be, or what is wrong with it.
type Accept = Arc<dyn Fn(&Asked<'_>, &Reply) -> Result<(), String> + Send + Sync>;

/// What was asked of whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The server.
    pub server: SocketAddr,
    /// The question.
    pub question: &'a Question,
    /// When it was sent.
    pub sent: Instant,
}

/// How to load.
#[derive(Clone)]
pub struct LoadOptions {
    servers: Vec<SocketAddr>,
    questions: Vec<Question>,
    rate: u32,
    timeout: Duration,
    accept: Accept,
    from: Option<Namespace>,
}

impl LoadOptions {
    /// Asks each server the questions in turn, 200 a second, and expects an
    /// answer within a second that has data and code NOERROR.
    pub fn new(servers: &[SocketAddr], questions: &[Question]) -> Self {
        Self {
            servers: servers.to_vec(),
            questions: questions.to_vec(),
            rate: 200,
            timeout: Duration::from_secs(1),
            accept: Arc::new(|_, reply| has_data(reply)),
            from: None,
        }
    }

    /// Questions per second and server.
    #[must_use]
    pub fn rate(mut self, rate: u32) -> Self {
        self.rate = rate.clamp(1, 10_000);
        self
    }

    /// Asks from another network than this process's own.
    #[must_use]
    pub fn from(mut self, network: &Namespace) -> Self {
        self.from = Some(network.clone());
        self
    }

    /// How long an answer may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Which answers are right. The error says what is wrong with the others.
    #[must_use]
    pub fn accept(
        mut self,
        accept: impl Fn(&Asked<'_>, &Reply) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.accept = Arc::new(accept);
        self
    }
}

fn has_data(reply: &Reply) -> Result<(), String> {
    match reply.values().as_slice() {
        [] => Err("no data".to_owned()),
        _ => Ok(()),
    }
}

/// A load that goes on until it is stopped or dropped.
pub struct QueryLoad {
    stop: watch::Sender<bool>,
    answered: Arc<AtomicU64>,
    servers: Vec<JoinHandle<Result<Report>>>,
}

impl QueryLoad {
    /// Starts to ask.
    ///
    /// # Errors
    /// When there is nobody or nothing to ask.
    pub async fn start(options: LoadOptions) -> Result<Self> {
        if options.servers.is_empty() || options.questions.is_empty() {
            bail!("a load needs servers and questions");
        }
        let (stop, stopped) = watch::channel(false);
        let answered = Arc::new(AtomicU64::new(0));
        let mut servers = Vec::new();
        for &server in &options.servers {
            let socket = match &options.from {
                Some(network) => network.udp(any_port(server))?,
                None => UdpSocket::bind(any_port(server)).await?,
            };
            socket.connect(server).await?;
            // Before the runtime has heard of it, nothing can be sent.
            socket.writable().await?;
            let stream = Stream {
                server,
                socket,
                options: options.clone(),
                answered: answered.clone(),
                pending: HashMap::new(),
                report: Report::default(),
            };
            servers.push(tokio::spawn(stream.run(stopped.clone())));
        }
        Ok(Self {
            stop,
            answered,
            servers,
        })
    }

    /// Answers so far, from all servers.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more answers have come.
    ///
    /// # Errors
    /// When they do not come in time.
    pub async fn more(&self, answers: u64, deadline: Duration) -> Result<()> {
        let goal = self.answered() + answers;
        let what = format!("{answers} more answers under load");
        crate::wait::until(&what, deadline, async || Ok(self.answered() >= goal)).await
    }

    /// Stops asking, waits for what is still under way, and reports.
    ///
    /// # Errors
    /// When the load itself failed.
    pub async fn stop(self) -> Result<Report> {
        self.stop.send_replace(true);
        let mut report = Report::default();
        for server in self.servers {
            report.add(server.await.context("the load ended early")??);
        }
        Ok(report)
    }
}

/// One server's share.
struct Stream {
    server: SocketAddr,
    socket: UdpSocket,
    options: LoadOptions,
    answered: Arc<AtomicU64>,
    /// By message id.
    pending: HashMap<u16, (usize, Instant)>,
    report: Report,
}

impl Stream {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<Report> {
        let mut ticks = interval(Duration::from_secs(1) / self.options.rate);
        // A late tick makes no burst: the load is steady or less.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = vec![0; 8192];
        let mut sent: usize = 0;
        let mut sending = true;
        while sending || !self.pending.is_empty() {
            tokio::select! {
                biased;
                received = self.socket.recv(&mut buffer) => match received {
                    Ok(size) => self.receive(&buffer[..size]),
                    // An earlier message found no server; it will count as lost.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error).context("receiving"),
                },
                // Also when the load is dropped: the sender is gone then.
                _ = stopped.changed(), if sending => sending = false,
                _ = ticks.tick() => {
                    self.drain(&mut buffer);
                    self.give_up();
                    if sending {
                        self.send(sent);
                        sent += 1;
                    }
                }
            }
        }
        Ok(self.report)
    }

    fn send(&mut self, number: usize) {
        let index = number % self.options.questions.len();
        let question = &self.options.questions[index];
        // As many ids as there are, in turn; an id is free again long before.
        let id = u16::try_from(number % (usize::from(u16::MAX) + 1)).unwrap_or_default();
        self.report.sent += 1;
        let sent = Instant::now();
        let outcome = question
            .message(id)
            .and_then(|message| Ok(self.socket.try_send(&message)?));
        match outcome {
            Ok(_) => {
                self.pending.insert(id, (index, sent));
            }
            Err(error) => self.fault(index, sent, format!("lost: not sent: {error:#}")),
        }
    }

    /// Reads all that is there, so that nothing counts as lost only because this
    /// task came late.
    fn drain(&mut self, buffer: &mut [u8]) {
        loop {
            match self.socket.try_recv(buffer) {
                Ok(size) => self.receive(&buffer[..size]),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        let message = match Message::from_vec(octets) {
            Ok(message) => message,
            Err(error) => {
                return self.fault(0, Instant::now(), format!("not a DNS message: {error}"));
            }
        };
        let Some((index, sent)) = self.pending.remove(&message.metadata.id) else {
            return self.fault(0, Instant::now(), "an answer too late, or twice".to_owned());
        };
        let question = &self.options.questions[index];
        if !question.is_of(&message) {
            return self.fault(index, sent, "an answer to another question".to_owned());
        }
        let reply = Reply::new(message, sent.elapsed());
        let asked = Asked {
            server: self.server,
            question,
            sent,
        };
        let judged = (self.options.accept)(&asked, &reply);
        self.report.note(&asked, &reply);
        self.answered.fetch_add(1, Ordering::Relaxed);
        if let Err(wrong) = judged {
            self.fault(index, sent, format!("{wrong}: {}", reply.summary()));
        }
    }

    /// What has had its time is lost.
    fn give_up(&mut self) {
        let timeout = self.options.timeout;
        let late: Vec<_> = self
            .pending
            .extract_if(|_, (_, sent)| sent.elapsed() > timeout)
            .collect();
        for (_, (index, sent)) in late {
            self.fault(index, sent, format!("lost: no answer in {timeout:?}"));
        }
    }

    fn fault(&mut self, question: usize, sent: Instant, what: String) {
        self.report.fault(Fault {
            server: self.server,
            question: self.options.questions[question].to_string(),
            sent,
            what,
        });
    }
}
