//! Sockets that share one address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Where a socket goes that shall receive nothing any more.
const DISCARD: u16 = 9;

/// Binds `count` sockets to one address; the system divides the clients among
/// them. Port 0 takes a free one.
///
/// # Errors
/// When somebody has the address already, or it is none of this machine.
pub(super) fn bind(
    address: SocketAddr,
    count: usize,
    receive_buffer: usize,
) -> io::Result<Vec<UdpSocket>> {
    // The first does not ask to share: an address that others listen at, even
    // another process of ours, is taken. It shares with those that follow.
    let first = open(address, receive_buffer)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let address = UdpSocket::from(first.try_clone()?).local_addr()?;
    let mut sockets = vec![first.into()];
    for _ in 1..count {
        let socket = open(address, receive_buffer)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

fn open(address: SocketAddr, receive_buffer: usize) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // A smaller buffer than wished for is no reason not to serve.
    if let Err(error) = socket.set_recv_buffer_size(receive_buffer) {
        tracing::debug!(%error, receive_buffer, "cannot set the receive buffer");
    }
    if is_wildcard(&address) {
        // Each datagram tells which address it was sent to, for the reply.
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    Ok(socket)
}

/// Whether a socket at this address receives for several addresses.
pub(super) fn is_wildcard(address: &SocketAddr) -> bool {
    address.ip().is_unspecified()
}

/// Makes a socket receive nothing more, and wakes who waits for something; what
/// came before can still be read. A connected socket takes datagrams of its
/// peer only, so it is connected to where nobody sends from. Clients learn at
/// once that nobody listens. Linux wakes those who wait at a socket that is
/// shut down, and lets them read what there is.
pub(super) fn close_to_newcomers(socket: &UdpSocket) -> io::Result<()> {
    let own = socket.local_addr()?;
    let peer = match own.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::from(Ipv6Addr::LOCALHOST),
        bound => bound,
    };
    let mut peer = SocketAddr::new(peer, DISCARD);
    if let (SocketAddr::V6(peer), SocketAddr::V6(own)) = (&mut peer, own) {
        peer.set_scope_id(own.scope_id());
    }
    let closed = socket.connect(peer);
    // Even then, who waits must wake.
    let woken = SockRef::from(socket).shutdown(Shutdown::Read);
    closed.and(woken)
}
