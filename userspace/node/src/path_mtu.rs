//! Reports of packets that were too big for their path: the ICMP packets that this host receives. The XDP program leaves them to
//! the kernel, and raw sockets read copies of them.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use causeway_gateway::{TokenBucket, TooBig};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;

use crate::sas::Sas;

/// More octets than an ICMP error has: RFC 1812 section 4.3.2.3 limits it to 576, RFC 4443 section 2.4 to 1280. A longer packet is
/// truncated and is no report.
const LONGEST: usize = 2048;

/// Raw sockets for ICMP. They have the type of UDP sockets, because the runtime has no type for raw ones.
pub struct Listener {
    ipv4: UdpSocket,
    /// `None` if the kernel has no IPv6.
    ipv6: Option<UdpSocket>,
}

impl Listener {
    /// Opens the sockets.
    ///
    /// # Errors
    /// The process does not have CAP_NET_RAW.
    pub fn open() -> anyhow::Result<Self> {
        let ipv6 = match raw(AddressFamily::INET6, ipproto::ICMPV6) {
            Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {
                Ok(None)
            }
            opened => opened.map(Some),
        };
        let context = "cannot open the raw sockets that receive ICMP reports of the path MTU; the process needs CAP_NET_RAW";
        Ok(Self {
            ipv4: raw(AddressFamily::INET, ipproto::ICMP).context(context)?,
            ipv6: ipv6.context(context)?,
        })
    }

    /// The next report that quotes an ESP packet. The packet may be another process's.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn next(&self) -> io::Result<TooBig> {
        let (mut packet, mut message) = ([0; LONGEST], [0; LONGEST]);
        loop {
            let report = tokio::select! {
                length = self.ipv4.recv(&mut packet) => TooBig::ipv4(&packet[..length?]),
                length = receive(&self.ipv6, &mut message) => TooBig::icmpv6(&message[..length?]),
            };
            if let Some(report) = report {
                tracing::debug!(
                    ?report,
                    "received a report of a packet that was too big for its path"
                );
                return Ok(report);
            }
        }
    }
}

/// Passes reports on to the worker that sent the quoted packet, at a bounded rate.
pub struct Dispatcher {
    /// One for each worker.
    buckets: Vec<TokenBucket>,
}

impl Dispatcher {
    /// A genuine report is followed by more of them, so none of these limits loses a path MTU.
    const INTERVAL: Duration = Duration::from_millis(100);
    const BURST: u32 = 10;

    pub fn new(workers: usize, now: Instant) -> Self {
        let bucket = || TokenBucket::new(Self::INTERVAL, Self::BURST, now);
        Self {
            buckets: std::iter::repeat_with(bucket).take(workers).collect(),
        }
    }

    /// The index of the worker that gets the report. `None`: no SA of this host sends to that peer with that SPI, or the
    /// worker got too many reports already.
    pub fn worker_for(&mut self, report: &TooBig, sas: &Sas, now: Instant) -> Option<usize> {
        let worker = sas.sender(report.destination, report.spi)?;
        self.buckets.get_mut(worker)?.take(now).then_some(worker)
    }
}

fn raw(family: AddressFamily, protocol: Protocol) -> io::Result<UdpSocket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::RAW, flags, Some(protocol))?;
    UdpSocket::from_std(socket.into())
}

async fn receive(socket: &Option<UdpSocket>, into: &mut [u8]) -> io::Result<usize> {
    match socket {
        Some(socket) => socket.recv(into).await,
        None => std::future::pending().await,
    }
}
