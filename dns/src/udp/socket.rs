//! Sockets that share one address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

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
/// peer only, so it is connected to one that sends a single empty datagram, to
/// wake, and is closed. Clients learn at once that nobody listens.
///
/// # Errors
/// When it cannot be connected, as on a machine without loopback. It may
/// receive more until it is closed, but nobody waits for it.
pub(super) fn close_to_newcomers(socket: &UdpSocket) -> io::Result<()> {
    let closed = connect_to_waker(socket);
    if closed.is_err() {
        // Says that it is not connected, but wakes.
        let _ = SockRef::from(socket).shutdown(Shutdown::Read);
    }
    closed
}

fn connect_to_waker(socket: &UdpSocket) -> io::Result<()> {
    let mut peer = socket.local_addr()?;
    match peer.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => peer.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => peer.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    peer.set_port(0);
    let waker = UdpSocket::bind(peer)?;
    socket.connect(waker.local_addr()?)?;
    // Where it listens is one address now.
    waker.send_to(&[], socket.local_addr()?)?;
    Ok(())
}
