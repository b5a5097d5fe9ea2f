//! What queries travel on: a UDP socket with batches, or a TCP connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use watershed_bench::load::{Batch, SLOTS, Wait, socket};

/// A way to the server that never waits.
pub(crate) trait Link {
    /// Hands over all replies that are there.
    fn receive(&mut self, each: impl FnMut(&[u8])) -> io::Result<()>;

    /// How many queries can be queued before the next flush.
    fn room(&self) -> usize;

    /// Queues a query under an id.
    fn queue(&mut self, id: u16, message: &[u8]);

    /// Sends what is queued.
    fn flush(&mut self) -> io::Result<()>;
}

/// A connected socket.
pub(crate) struct Udp {
    socket: UdpSocket,
    incoming: Batch,
    outgoing: Batch,
    queued: usize,
}

impl Udp {
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let socket = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.connect(server)?;
        Ok(Self {
            socket,
            incoming: Batch::default(),
            outgoing: Batch::default(),
            queued: 0,
        })
    }
}

impl Link for Udp {
    fn receive(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let count = self.incoming.receive(&self.socket, Wait::No)?;
        (0..count).for_each(|slot| each(self.incoming.get(slot)));
        Ok(())
    }

    fn room(&self) -> usize {
        SLOTS - self.queued
    }

    fn queue(&mut self, id: u16, message: &[u8]) {
        let copy = self.outgoing.put(self.queued, message);
        copy[..2].copy_from_slice(&id.to_be_bytes());
        self.queued += 1;
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.queued > 0 {
            self.outgoing.send(&self.socket, self.queued)?;
            self.queued = 0;
        }
        Ok(())
    }
}

/// A connection on which messages follow each other (RFC 7766).
pub(crate) struct Tcp {
    stream: TcpStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Tcp {
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
        })
    }
}

impl Link for Tcp {
    fn receive(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        self.incoming.extend_from_slice(&buffer[..count]);
        let mut done = 0;
        while let Some((length, rest)) = self.incoming[done..].split_first_chunk::<2>() {
            let Some(message) = rest.get(..u16::from_be_bytes(*length).into()) else {
                break;
            };
            each(message);
            done += 2 + message.len();
        }
        self.incoming.drain(..done);
        Ok(())
    }

    fn room(&self) -> usize {
        SLOTS
    }

    fn queue(&mut self, id: u16, message: &[u8]) {
        // A query is far shorter than what two octets can count.
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        self.outgoing.extend_from_slice(&length.to_be_bytes());
        self.outgoing.extend_from_slice(&id.to_be_bytes());
        self.outgoing.extend_from_slice(&message[2..]);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.outgoing) {
            Ok(count) => {
                self.outgoing.drain(..count);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
