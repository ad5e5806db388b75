//! A UDP echo inside the lab.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Family, Lab, Site};

/// How long a blocked read waits before it looks at the stop flag.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Where a server of the lab listens: at every address of the inner families.
pub(super) fn anywhere(lab: &Lab, port: u16) -> SocketAddr {
    let address = if lab.options().inner.families().contains(&Family::Ipv6) {
        // Linux gives such a socket IPv4 packets too (RFC 3493 section 3.7).
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    SocketAddr::new(address, port)
}

/// A server's socket on a machine of the lab.
pub(super) fn server(lab: &Lab, site: Site, port: u16) -> Result<UdpSocket> {
    socket(lab, site, anywhere(lab, port))
}

fn socket(lab: &Lab, site: Site, address: SocketAddr) -> Result<UdpSocket> {
    lab.inside(site, || {
        let socket =
            UdpSocket::bind(address).with_context(|| format!("cannot bind {address} on {site}"))?;
        // The default buffer holds few packets of a burst; root may exceed rmem_max.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 16 << 20)?;
        Ok(socket)
    })
}

/// The socket of flow `number` from one machine to a server on another. The flows take turns
/// between the inner families, and each has a source port of its own, from `first_port` on.
pub(super) fn flow(
    lab: &Lab,
    (from, to): (Site, Site),
    number: u16,
    first_port: u16,
    port: u16,
) -> Result<UdpSocket> {
    let family = lab.options().inner.family(number);
    let near = SocketAddr::new(from.address(family), first_port + number);
    let socket = socket(lab, from, near)?;
    socket.connect((to.address(family), port))?;
    Ok(socket)
}

/// Whether a read came back empty-handed.
pub(super) fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Answers every datagram with itself until `stop`, and shows each to `look`.
pub(super) fn serve(
    socket: &UdpSocket,
    stop: &AtomicBool,
    mut look: impl FnMut(&[u8]),
) -> Result<()> {
    socket.set_read_timeout(Some(TICK))?;
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                look(&buffer[..length]);
                socket.send_to(&buffer[..length], from)?;
            }
            Err(error) if timed_out(&error) => {}
            Err(error) => return Err(error).context("the echo cannot receive"),
        }
    }
    Ok(())
}

/// Sends one request and waits for its answer; `false` if none came in time.
pub(super) fn ask(socket: &UdpSocket, request: &[u8], limit: Duration) -> Result<bool> {
    socket.set_read_timeout(Some(limit))?;
    socket.send(request)?;
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) if buffer[..length] == *request => return Ok(true),
            // A late answer to an earlier request.
            Ok(_) => {}
            Err(error) if timed_out(&error) => return Ok(false),
            Err(error) => return Err(error).context("no answer to a request"),
        }
    }
}
