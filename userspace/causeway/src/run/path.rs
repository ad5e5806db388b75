//! What the path says of our packets' sizes: ICMP for this host, read beside the kernel, which
//! gets it from the XDP program like all that is no ESP.

use std::io;

use anyhow::Context;
use causeway_gateway::TooBig;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;

/// Longer than any ICMP error: RFC 1812 section 4.3.2.3 limits them to 576 octets, RFC 4443
/// section 2.4 to 1280. What is longer is cut, and no report.
const LONGEST: usize = 2048;

/// Raw sockets. They receive as one for UDP does, and the runtime has a type for those.
pub struct Listener {
    ipv4: UdpSocket,
    /// Absent in a kernel without IPv6.
    ipv6: Option<UdpSocket>,
}

impl Listener {
    /// Listens to what the host is told from now on.
    ///
    /// # Errors
    /// Without CAP_NET_RAW.
    pub fn open() -> anyhow::Result<Self> {
        let ipv6 = match raw(AddressFamily::INET6, ipproto::ICMPV6) {
            Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {
                Ok(None)
            }
            opened => opened.map(Some),
        };
        let context = "cannot listen to ICMP, which tells the MTU of the path; give CAP_NET_RAW";
        Ok(Self {
            ipv4: raw(AddressFamily::INET, ipproto::ICMP).context(context)?,
            ipv6: ipv6.context(context)?,
        })
    }

    /// The next report that quotes an ESP packet, whoever sent that.
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
                tracing::debug!(?report, "a packet was too big for its path");
                return Ok(report);
            }
        }
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
