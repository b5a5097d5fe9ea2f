//! Datagrams by the batch: many with one system call.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6,
    SockaddrLike, recvmmsg, sendmmsg,
};
use smallvec::SmallVec;

/// Datagrams in a batch at most. More gain nothing: 32 divide what a system
/// call costs by itself to some nanoseconds.
pub(super) const BATCH: usize = 32;
/// Longest datagram that is read whole, as in hickory-server. Queries are far
/// shorter.
const LONGEST: usize = 4096;
/// How far apart buffers begin: three lines of the processor's cache more, lest
/// the beginnings of all, which is where queries are, contend for a few places
/// in it.
const APART: usize = LONGEST + 3 * 64;

/// An address family: how the system writes down where a datagram is from.
pub(super) trait Peer: SockaddrLike + Copy {
    fn standard(self) -> SocketAddr;

    /// Space for the control message with the address that was asked.
    fn control_space() -> Vec<u8>;
}

impl Peer for SockaddrIn {
    fn standard(self) -> SocketAddr {
        SocketAddr::V4(self.into())
    }

    fn control_space() -> Vec<u8> {
        cmsg_space!(libc::in_pktinfo)
    }
}

impl Peer for SockaddrIn6 {
    fn standard(self) -> SocketAddr {
        SocketAddr::V6(self.into())
    }

    fn control_space() -> Vec<u8> {
        cmsg_space!(libc::in6_pktinfo)
    }
}

/// Whether to wait when nothing has come.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// Until something comes, if only what wakes.
    ForOne,
}

/// A datagram that came.
pub(super) struct Received<'b, P> {
    pub(super) octets: &'b [u8],
    pub(super) peer: P,
    /// The address it was sent to, on sockets that have several.
    pub(super) local: Option<IpAddr>,
}

/// What came at once.
pub(super) type Batch<'b, P> = SmallVec<[Received<'b, P>; BATCH]>;

/// Receives batches.
pub(super) struct Receiver<P> {
    headers: MultiHeaders<P>,
    buffers: Box<[[u8; APART]; BATCH]>,
}

impl<P: Peer> Receiver<P> {
    /// `several` says that the socket receives for several addresses.
    pub(super) fn new(several: bool) -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, several.then(P::control_space)),
            buffers: heap_array(),
        }
    }

    /// Takes what has come.
    ///
    /// # Errors
    /// `EAGAIN` when there is nothing and it shall not wait, and others of
    /// `recvmmsg`.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        wait: Wait,
    ) -> Result<Batch<'_, P>, Errno> {
        let flags = match wait {
            Wait::No => MsgFlags::MSG_DONTWAIT,
            Wait::ForOne => MsgFlags::MSG_WAITFORONE,
        };
        let fd = socket.as_raw_fd();
        let buffers = self.buffers.each_mut();
        let mut slices = buffers.map(|buffer| [IoSliceMut::new(&mut buffer[..LONGEST])]);
        let messages = recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None)?;
        let came: SmallVec<[_; BATCH]> = messages
            .map(|message| (message.address, message.bytes, local_address(&message)))
            .collect();
        let read = self.buffers.iter().zip(came);
        Ok(read
            .filter_map(|(buffer, (peer, len, local))| {
                Some(Received {
                    octets: buffer.get(..len)?,
                    peer: peer?,
                    local,
                })
            })
            .collect())
    }
}

/// A buffer for each datagram of a batch. They are made where they stay: they may
/// be too large for a stack.
#[expect(clippy::unnecessary_box_returns, reason = "the box is what it is for")]
pub(super) fn heap_array<const N: usize>() -> Box<[[u8; N]; BATCH]> {
    let buffers = vec![[0; N]; BATCH].into_boxed_slice();
    buffers
        .try_into()
        .unwrap_or_else(|_| unreachable!("made with that length"))
}

fn local_address<P>(message: &RecvMsg<'_, '_, P>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    })
}

/// Collects replies and sends them.
pub(super) struct Sender<P> {
    /// Without and with room for the address that replies leave from. What has
    /// room must be given one.
    headers: MultiHeaders<P>,
    headers_from: MultiHeaders<P>,
    replies: Box<[Vec<u8>; BATCH]>,
    peers: [Option<P>; BATCH],
    locals: [Option<IpAddr>; BATCH],
    len: usize,
}

impl<P: Peer> Sender<P> {
    /// `payload` is the size of a reply at most.
    pub(super) fn new(payload: usize) -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            headers_from: MultiHeaders::preallocate(BATCH, Some(P::control_space())),
            replies: Box::new(std::array::from_fn(|_| Vec::with_capacity(payload))),
            peers: [None; BATCH],
            locals: [None; BATCH],
            len: 0,
        }
    }

    /// Takes the reply that `write` makes for a datagram, unless that is false.
    pub(super) fn reply(&mut self, to: &Received<'_, P>, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let at = self.len;
        // As many replies as datagrams at most: there is room.
        if let Some(octets) = self.replies.get_mut(at)
            && write(octets)
        {
            self.peers[at] = Some(to.peer);
            self.locals[at] = to.local;
            self.len += 1;
        }
    }

    /// Sends all replies. One that cannot be sent does not keep the others
    /// from it.
    pub(super) fn send(&mut self, socket: &UdpSocket) {
        let all = std::mem::take(&mut self.len);
        let mut next = 0;
        while next < all {
            match self.send_run(socket, next, all) {
                Ok(sent) => next += sent.max(1),
                Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot send a reply");
                    next += 1;
                }
            }
        }
    }

    /// Sends replies from `first` on that leave from one address, and so by
    /// one call; nearly always these are all.
    fn send_run(&mut self, socket: &UdpSocket, first: usize, all: usize) -> Result<usize, Errno> {
        let local = self.locals[first];
        let rest = self.locals[first..all].iter();
        let last = first + rest.take_while(|other| **other == local).count();
        let slices = self.replies.each_ref().map(|octets| [IoSlice::new(octets)]);
        let (slices, peers) = (&slices[first..last], &self.peers[first..last]);
        let (fd, none) = (socket.as_raw_fd(), MsgFlags::empty());
        match local {
            None => sendmmsg(fd, &mut self.headers, slices, peers, [], none).map(Iterator::count),
            Some(IpAddr::V4(local)) => {
                let info = from_ipv4(local);
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmmsg(fd, &mut self.headers_from, slices, peers, control, none)
                    .map(Iterator::count)
            }
            Some(IpAddr::V6(local)) => {
                let info = from_ipv6(local);
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmmsg(fd, &mut self.headers_from, slices, peers, control, none)
                    .map(Iterator::count)
            }
        }
    }
}

/// No interface is named: the routes say it.
fn from_ipv4(local: Ipv4Addr) -> libc::in_pktinfo {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from_ne_bytes(local.octets()),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

fn from_ipv6(local: Ipv6Addr) -> libc::in6_pktinfo {
    libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: local.octets(),
        },
        ipi6_ifindex: 0,
    }
}
