//! The way from the hub to one node.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watershed_proto::OperatorMessage;

/// How many batches may wait for a node. One offer is one batch, and a node
/// has one offer at a time, so that a node that reads never comes near.
const QUEUE: usize = 32;

/// The hub's end.
pub(crate) struct Line {
    queue: mpsc::Sender<Outgoing>,
    closed: CancellationToken,
}

/// The end of the node's stream.
pub(crate) struct LineEnd {
    /// What is to be sent. Ends when the hub has dropped its end.
    pub(crate) queue: mpsc::Receiver<Outgoing>,
    /// Cancelled when the hub no longer listens.
    pub(crate) closed: CancellationToken,
}

/// What goes to a node.
pub(crate) enum Outgoing {
    /// These, in order.
    Messages(Vec<OperatorMessage>),
    /// Nothing more, for this reason.
    End(String),
}

impl Line {
    pub(crate) fn new() -> (Self, LineEnd) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let closed = CancellationToken::new();
        let end = LineEnd {
            queue,
            closed: closed.clone(),
        };
        let line = Self {
            queue: sender,
            closed,
        };
        (line, end)
    }

    /// Queues messages; false when the queue is full, or nobody is there.
    pub(crate) fn send(&self, messages: Vec<OperatorMessage>) -> bool {
        self.queue.try_send(Outgoing::Messages(messages)).is_ok()
    }

    /// Ends the stream, and says why if there is room for it.
    pub(crate) fn close(self, why: &str) {
        // With a full queue the stream ends without a word.
        let _ = self.queue.try_send(Outgoing::End(why.to_owned()));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}
