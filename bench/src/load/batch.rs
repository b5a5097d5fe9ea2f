//! Many datagrams with one system call.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, SndBuf};
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt,
};

/// Datagrams in a batch, at most.
pub const SLOTS: usize = 64;

/// Longer than any message of the comparison.
const SIZE: usize = 1500;

/// Room for more than ever is outstanding, so that the socket drops nothing.
const SOCKET_BUFFER: usize = 4 << 20;

/// What to do when no datagram is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Sleep until the first one comes.
    ForOne,
    /// Return at once, with none.
    No,
}

/// Buffers for a batch, used again for each.
pub struct Batch {
    buffers: Box<[[u8; SIZE]; SLOTS]>,
    lengths: [usize; SLOTS],
    /// Where each came from and goes to; none on a connected socket.
    peers: [Option<SockaddrIn>; SLOTS],
    incoming: MultiHeaders<SockaddrIn>,
    outgoing: MultiHeaders<SockaddrIn>,
}

impl Default for Batch {
    #[expect(clippy::large_stack_arrays, reason = "96 KB, twice at the start")]
    fn default() -> Self {
        Self {
            buffers: Box::new([[0; SIZE]; SLOTS]),
            lengths: [0; SLOTS],
            peers: [None; SLOTS],
            incoming: MultiHeaders::preallocate(SLOTS, None),
            outgoing: MultiHeaders::preallocate(SLOTS, None),
        }
    }
}

impl Batch {
    /// Receives into the first slots and says how many are filled. Their
    /// senders are who [`send`](Self::send) then answers.
    ///
    /// # Errors
    /// When the socket has another error than that nothing is there.
    pub fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        let flags = match wait {
            Wait::ForOne => MsgFlags::MSG_WAITFORONE,
            Wait::No => MsgFlags::MSG_DONTWAIT,
        };
        let mut slices = self
            .buffers
            .each_mut()
            .map(|buffer| [IoSliceMut::new(buffer)]);
        let headers = &mut self.incoming;
        let received = match recvmmsg(socket.as_raw_fd(), headers, &mut slices, flags, None) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let slots = self.lengths.iter_mut().zip(&mut self.peers);
        let mut count = 0;
        for ((length, peer), message) in slots.zip(received) {
            *length = message.bytes;
            *peer = message.address;
            count += 1;
        }
        Ok(count)
    }

    /// The datagram in a slot.
    pub fn get(&self, slot: usize) -> &[u8] {
        &self.buffers[slot][..self.lengths[slot]]
    }

    /// The whole buffer of a slot, and the length of what is in it.
    pub fn slot(&mut self, slot: usize) -> (&mut [u8], &mut usize) {
        (&mut self.buffers[slot], &mut self.lengths[slot])
    }

    /// Puts a message into a slot, for the peer of a connected socket.
    pub fn put(&mut self, slot: usize, message: &[u8]) -> &mut [u8] {
        self.lengths[slot] = message.len();
        self.peers[slot] = None;
        let buffer = &mut self.buffers[slot][..message.len()];
        buffer.copy_from_slice(message);
        buffer
    }

    /// Sends the first `count` slots. What the kernel does not take is lost,
    /// as on a network.
    ///
    /// # Errors
    /// When the socket has an error other than a full buffer.
    pub fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<()> {
        let slices: [_; SLOTS] = std::array::from_fn(|slot| {
            let length = self.lengths[slot];
            [IoSlice::new(&self.buffers[slot][..length])]
        });
        let none: [ControlMessage<'_>; 0] = [];
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.outgoing,
            &slices,
            &self.peers[..count],
            none,
            MsgFlags::empty(),
        );
        match sent {
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A blocking UDP socket with large buffers.
///
/// # Errors
/// When the address cannot be had.
pub fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, RcvBuf, &SOCKET_BUFFER)?;
    setsockopt(&socket, SndBuf, &SOCKET_BUFFER)?;
    Ok(socket)
}
