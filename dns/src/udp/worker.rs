//! One thread that answers what comes to one socket.

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use super::ahead;
use super::batch::{Peer, Receiver, Sender, Wait};
use super::datagram::Datagrams;
use super::responder::{Now, Path, UdpResponder};
use crate::handler;

/// A socket and what answers for it.
pub(super) struct Worker {
    pub(super) socket: UdpSocket,
    /// Whether the socket receives for several addresses.
    pub(super) several: bool,
    pub(super) responder: UdpResponder,
    /// Set when the worker shall stop, before something comes to wake it.
    pub(super) stop: Arc<AtomicBool>,
}

impl Worker {
    /// Answers until told to stop, and then what had come before.
    ///
    /// # Errors
    /// When the socket cannot be used any more.
    pub(super) fn run<P: Peer>(mut self) -> Result<(), Errno> {
        let mut receiver = Receiver::<P>::new(self.several);
        let mut sender = Sender::new(self.responder.answering.handler.udp_payload.into());
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            let wait = if stopping { Wait::No } else { Wait::ForOne };
            match self.serve_batch(&mut receiver, &mut sender, wait) {
                Ok(()) => {}
                Err(Errno::EAGAIN) if stopping => return Ok(()),
                Err(error) if is_passing(error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers what has come.
    fn serve_batch<P: Peer>(
        &mut self,
        receiver: &mut Receiver<P>,
        sender: &mut Sender<P>,
        wait: Wait,
    ) -> Result<(), Errno> {
        let UdpResponder {
            state,
            names,
            answering,
            ..
        } = &mut self.responder;
        let batch = receiver.receive(&self.socket, wait)?;
        // Loaded when the datagrams are there, so that none is answered by what
        // was replaced before it came.
        let state = state.load();
        let now = Now {
            state: &state,
            time: answering.time(),
        };
        let mut datagrams = Datagrams::new();
        let came = batch.iter();
        names.read_all(
            came.map(|received| (received.octets, received.peer.standard())),
            &mut datagrams,
        );
        let ahead = catch_unwind(AssertUnwindSafe(|| ahead::read(&state, &datagrams)));
        // Answers do without it, so it breaks tests and nothing else.
        debug_assert!(ahead.is_ok(), "reading ahead panics");
        for (received, datagram) in batch.iter().zip(&datagrams) {
            sender.reply(received, |reply| {
                let mut draw = handler::draw;
                // What one datagram breaks costs that datagram alone.
                let answered = catch_unwind(AssertUnwindSafe(|| {
                    answering.answer(&now, datagram, &mut draw, reply)
                }));
                !matches!(answered, Ok(Path::Silent) | Err(_))
            });
        }
        sender.send(&self.socket);
        Ok(())
    }
}

/// Nothing has come, or the system is short of something, or a reply before
/// met an unreachable host: none says anything of the socket.
fn is_passing(error: Errno) -> bool {
    use Errno::{EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENETUNREACH, ENOBUFS, ENOMEM};
    matches!(
        error,
        EAGAIN | EINTR | ECONNREFUSED | EHOSTUNREACH | ENETUNREACH | ENOBUFS | ENOMEM
    )
}
