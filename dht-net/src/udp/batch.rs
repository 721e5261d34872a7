//! Many datagrams in one call of the system, where it has such calls: `recvmmsg` on Linux, Android, FreeBSD and NetBSD,
//! `sendmmsg` on Linux. Elsewhere, and for a single datagram, one call each. Nothing here waits, and nothing is allocated
//! after the start.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::UdpSocket;

/// Datagrams in one call.
pub(super) const BATCH: usize = 32;

/// One datagram of the batch that was received last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Got {
    pub(super) from: SocketAddr,
    pub(super) len: usize,
    at: usize,
}

/// The datagrams of one call, and the memory for the next.
pub(super) struct Inbox {
    buffers: Box<[u8]>,
    stride: usize,
    got: [Got; BATCH],
    filled: usize,
    next: usize,
}

impl Inbox {
    /// For datagrams of at most so many bytes; longer ones show by being one byte longer.
    pub(super) fn new(max_datagram: usize) -> Self {
        let stride = max_datagram + 1;
        let nobody = Got { from: (Ipv4Addr::UNSPECIFIED, 0).into(), len: 0, at: 0 };
        Self {
            buffers: vec![0; stride * BATCH].into_boxed_slice(),
            stride,
            got: [nobody; BATCH],
            filled: 0,
            next: 0,
        }
    }

    /// The next datagram of the batch.
    pub(super) fn pop(&mut self) -> Option<Got> {
        let got = *self.got[..self.filled].get(self.next)?;
        self.next += 1;
        Some(got)
    }

    /// Its bytes, until the next batch is received.
    pub(super) fn bytes(&self, got: Got) -> &[u8] {
        let first = got.at * self.stride;
        &self.buffers[first..first + got.len]
    }

    /// Receives what is there in place of the last batch.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        (self.filled, self.next) = (0, 0);
        let (buffers, got) = (&mut self.buffers[..], &mut self.got);
        self.filled = system::receive(socket, buffers, self.stride, got)?;
        Ok(())
    }
}

/// One datagram to be sent.
pub(super) trait Outgoing {
    fn to(&self) -> SocketAddr;
    fn bytes(&self) -> &[u8];
}

/// Sends the first datagrams; how many. An error means that the very first failed.
pub(super) fn send<P: Outgoing>(socket: &UdpSocket, packets: &[P]) -> io::Result<usize> {
    match packets {
        [] => Ok(0),
        [one] => socket.try_send_to(one.bytes(), one.to()).map(|_| 1),
        many => system::send(socket, many),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
mod many_in {
    use std::{
        cell::RefCell,
        io::{self, IoSliceMut},
        net::SocketAddr,
        os::fd::AsRawFd,
    };

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
    use tokio::{io::Interest, net::UdpSocket};

    use super::{BATCH, Got};

    thread_local! {
        // Headers are full of pointers and cannot move between threads with the transport. They say nothing between calls,
        // so each thread has its own; each family too, because the room for an address is as long as the last one was.
        static HEADERS: [RefCell<MultiHeaders<SockaddrStorage>>; 2] =
            std::array::from_fn(|_| RefCell::new(MultiHeaders::preallocate(BATCH, None)));
    }

    pub(in super::super) fn receive(
        socket: &UdpSocket,
        buffers: &mut [u8],
        stride: usize,
        got: &mut [Got; BATCH],
    ) -> io::Result<usize> {
        let family = usize::from(socket.local_addr()?.is_ipv6());
        socket.try_io(Interest::READABLE, || {
            HEADERS.with(|headers| {
                let headers = &mut *headers[family].borrow_mut();
                let mut chunks = buffers.chunks_exact_mut(stride);
                let mut slices: [_; BATCH] =
                    std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
                let messages =
                    recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
                let mut filled = 0;
                for (at, message) in messages.enumerate() {
                    if let Some(from) = message.address.as_ref().and_then(socket_addr) {
                        got[filled] = Got { from, len: message.bytes.min(stride), at };
                        filled += 1;
                    }
                }
                Ok(filled)
            })
        })
    }

    fn socket_addr(addr: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = addr.as_sockaddr_in().map(|addr| SocketAddr::from(*addr));
        v4.or_else(|| addr.as_sockaddr_in6().map(|addr| SocketAddr::from(*addr)))
    }
}

#[cfg(target_os = "linux")]
mod many_out {
    use std::io::{self, IoSlice};

    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
    use tokio::{io::Interest, net::UdpSocket};

    use super::{BATCH, Outgoing};

    pub(in super::super) fn send<P: Outgoing>(socket: &UdpSocket, packets: &[P]) -> io::Result<usize> {
        let count = packets.len().min(BATCH);
        // Where there are fewer, the last ones stand for the rest, and are not handed over.
        let packet = |at: usize| &packets[at.min(count - 1)];
        let addrs: [SocketAddrAny; BATCH] = std::array::from_fn(|at| packet(at).to().into());
        let slices: [_; BATCH] = std::array::from_fn(|at| [IoSlice::new(packet(at).bytes())]);
        let mut controls: [_; BATCH] = std::array::from_fn(|_| SendAncillaryBuffer::default());
        let mut rest = addrs.iter().zip(&slices);
        let mut headers = controls.each_mut().map(|control| {
            let (addr, slice) = rest.next().unwrap_or((&addrs[0], &slices[0]));
            MMsgHdr::new_with_addr(addr, slice, control)
        });
        socket.try_io(Interest::WRITABLE, || {
            Ok(sendmmsg(socket, &mut headers[..count], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
        })
    }
}

/// One call for each datagram.
#[cfg(any(
    test,
    not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))
))]
mod one_in {
    use std::io;

    use tokio::net::UdpSocket;

    use super::{BATCH, Got};

    pub(in super::super) fn receive(
        socket: &UdpSocket,
        buffers: &mut [u8],
        stride: usize,
        got: &mut [Got; BATCH],
    ) -> io::Result<usize> {
        let mut filled = 0;
        for (at, buffer) in buffers.chunks_exact_mut(stride).enumerate() {
            match socket.try_recv_from(buffer) {
                Ok((len, from)) => got[at] = Got { from, len, at },
                Err(error) if at == 0 => return Err(error),
                // It comes again, or was about one datagram.
                Err(_) => break,
            }
            filled = at + 1;
        }
        Ok(filled)
    }
}

/// The same in the other direction.
#[cfg(any(test, not(target_os = "linux")))]
mod one_out {
    use std::io;

    use tokio::net::UdpSocket;

    use super::{BATCH, Outgoing};

    pub(in super::super) fn send<P: Outgoing>(socket: &UdpSocket, packets: &[P]) -> io::Result<usize> {
        for (at, packet) in packets.iter().take(BATCH).enumerate() {
            match socket.try_send_to(packet.bytes(), packet.to()) {
                Ok(_) => {}
                Err(error) if at == 0 => return Err(error),
                Err(_) => return Ok(at),
            }
        }
        Ok(packets.len().min(BATCH))
    }
}

mod system {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
    pub(super) use super::many_in::receive;
    #[cfg(target_os = "linux")]
    pub(super) use super::many_out::send;
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd"
    )))]
    pub(super) use super::one_in::receive;
    #[cfg(not(target_os = "linux"))]
    pub(super) use super::one_out::send;
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Packet(SocketAddr, Vec<u8>);

    impl Outgoing for Packet {
        fn to(&self) -> SocketAddr {
            self.0
        }
        fn bytes(&self) -> &[u8] {
            &self.1
        }
    }

    type Receive = fn(&UdpSocket, &mut [u8], usize, &mut [Got; BATCH]) -> io::Result<usize>;
    type Send = fn(&UdpSocket, &[Packet]) -> io::Result<usize>;

    async fn exchange(host: &str, receive: Receive, send: Send) {
        let (one, other) =
            (UdpSocket::bind((host, 0)).await.unwrap(), UdpSocket::bind((host, 0)).await.unwrap());
        let to = other.local_addr().unwrap();
        let packets: Vec<_> = (0..70u8).map(|n| Packet(to, vec![n; usize::from(n) + 1])).collect();
        let mut sent = 0;
        while sent < packets.len() {
            one.writable().await.unwrap();
            sent += send(&one, &packets[sent..]).unwrap();
        }
        let (mut inbox, mut seen) = (Inbox::new(64), Vec::new());
        while seen.len() < packets.len() {
            other.readable().await.unwrap();
            let Ok(filled) = receive(&other, &mut inbox.buffers, inbox.stride, &mut inbox.got) else {
                continue;
            };
            (inbox.filled, inbox.next) = (filled, 0);
            while let Some(got) = inbox.pop() {
                assert_eq!(got.from, one.local_addr().unwrap());
                seen.push((got.len, inbox.bytes(got).to_vec()));
            }
        }
        for (packet, (len, bytes)) in packets.iter().zip(&seen) {
            // One byte over the limit is the mark of a datagram that was longer.
            assert_eq!((*len, &bytes[..]), (packet.1.len().min(65), &packet.1[..packet.1.len().min(65)]));
        }
    }

    #[tokio::test]
    async fn batches_arrive_whole_and_in_order_and_families_do_not_mix() {
        for host in ["127.0.0.1", "::1", "127.0.0.1"] {
            exchange(host, system::receive, super::send).await;
        }
    }

    #[tokio::test]
    async fn single_calls_do_the_same() {
        exchange("127.0.0.1", one_in::receive, one_out::send).await;
    }
}
