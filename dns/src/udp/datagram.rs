//! Datagrams, as far as they are read before any is answered.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use smallvec::SmallVec;

use super::batch::{BATCH, heap_array};
use super::query::{MAX_NAME, PlainQuery};
use crate::log;

/// A datagram that came.
pub(super) struct Datagram<'a> {
    pub(super) packet: &'a [u8],
    pub(super) source: SocketAddr,
    /// What it asks, if it is an ordinary query.
    pub(super) query: Option<PlainQuery<'a>>,
}

/// The datagrams of a batch.
pub(super) type Datagrams<'a> = SmallVec<[Datagram<'a>; BATCH]>;

/// Room for a name in lower case for each datagram of a batch.
pub(super) struct NameBuffers(Box<[[u8; MAX_NAME]; BATCH]>);

impl<'a> Datagram<'a> {
    fn read(packet: &'a [u8], source: SocketAddr, place: &'a mut [u8; MAX_NAME]) -> Self {
        let mut place = Some(place);
        // What one datagram breaks costs that datagram alone.
        let query = catch_unwind(AssertUnwindSafe(|| {
            // The log wants more than the fast path knows.
            let place = place.take().filter(|_| !log::is_enabled())?;
            PlainQuery::read(packet, source.ip(), place)
        }));
        Self {
            packet,
            source,
            query: query.ok().flatten(),
        }
    }
}

impl NameBuffers {
    pub(super) fn new() -> Self {
        Self(heap_array())
    }

    /// Reads a datagram and whence it comes.
    pub(super) fn read<'a>(&'a mut self, packet: &'a [u8], source: SocketAddr) -> Datagram<'a> {
        let [place, ..] = &mut *self.0;
        Datagram::read(packet, source, place)
    }

    /// Reads as many as a batch has at most. They are put where they stay: the
    /// list is some kilobytes.
    pub(super) fn read_all<'a>(
        &'a mut self,
        came: impl Iterator<Item = (&'a [u8], SocketAddr)>,
        datagrams: &mut Datagrams<'a>,
    ) {
        let places = self.0.iter_mut().zip(came);
        datagrams
            .extend(places.map(|(place, (packet, source))| Datagram::read(packet, source, place)));
    }
}
