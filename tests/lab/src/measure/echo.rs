//! A UDP echo inside the lab.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Family, Lab, Site};

/// Timeout of a blocked read, after which the stop flag is checked.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// The wildcard address of a server, which accepts every inner family.
pub(super) fn any_address(lab: &Lab, port: u16) -> SocketAddr {
    let address = if lab.options().inner.families().contains(&Family::Ipv6) {
        // On Linux such a socket receives IPv4 packets too (RFC 3493 section 3.7).
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    SocketAddr::new(address, port)
}

/// A server's socket on a machine of the lab.
pub(super) fn server(lab: &Lab, site: Site, port: u16) -> Result<UdpSocket> {
    socket(lab, site, any_address(lab, port))
}

fn socket(lab: &Lab, site: Site, address: SocketAddr) -> Result<UdpSocket> {
    lab.inside(site, || {
        let socket =
            UdpSocket::bind(address).with_context(|| format!("cannot bind {address} on {site}"))?;
        // The default buffer is too small for a burst. Root may exceed rmem_max.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 16 << 20)?;
        Ok(socket)
    })
}

/// The socket of flow `number` to a server on another machine. Successive flows alternate between the inner families. Each
/// has its own source port, from `first_port` on.
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

/// Whether a read timed out.
pub(super) fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Echoes every datagram until `stop`, and passes each to `on_datagram`.
pub(super) fn serve(
    socket: &UdpSocket,
    stop: &AtomicBool,
    mut on_datagram: impl FnMut(&[u8]),
) -> Result<()> {
    socket.set_read_timeout(Some(TICK))?;
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                on_datagram(&buffer[..length]);
                socket.send_to(&buffer[..length], from)?;
            }
            Err(error) if timed_out(&error) => {}
            Err(error) => return Err(error).context("the echo cannot receive"),
        }
    }
    Ok(())
}

/// Sends one request and waits for its echo. Returns `false` at the time limit.
pub(super) fn request(socket: &UdpSocket, request: &[u8], limit: Duration) -> Result<bool> {
    socket.set_read_timeout(Some(limit))?;
    socket.send(request)?;
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) if buffer[..length] == *request => return Ok(true),
            // A late echo of an earlier request.
            Ok(_) => {}
            Err(error) if timed_out(&error) => return Ok(false),
            Err(error) => return Err(error).context("cannot receive the echo of a request"),
        }
    }
}
