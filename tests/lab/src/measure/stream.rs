//! A slow stream by UDP and TCP with a marker in every segment. The far host echoes it.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::STREAM_PORT;
use super::echo::{self, TICK};
use super::marker::Marker;
use crate::{Lab, Site};

const UDP_FLOWS: u16 = 16;
const FIRST_SOURCE_PORT: u16 = 21_000;
const UDP_ROUNDS: usize = 50;
const UDP_PAYLOAD: usize = 512;
const TCP_CONNECTIONS: u16 = 4;
const TCP_ROUNDS: usize = 50;
const TCP_PAYLOAD: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The stream of a random pattern at both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stream {
    /// Datagrams sent.
    pub udp_sent: u64,
    /// Intact datagrams that the far host received.
    pub udp_arrived: u64,
    /// Intact datagrams that returned.
    pub udp_returned: u64,
    /// TCP bytes sent.
    pub tcp_sent: u64,
    /// Intact TCP bytes that the far host received.
    pub tcp_arrived: u64,
    /// Intact TCP bytes that returned.
    pub tcp_returned: u64,
    /// Reads at either end with other bytes than the pattern.
    pub corrupted: u64,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} datagrams sent, {} received, {} returned; {} TCP bytes sent, {} received, {} returned; {} corrupted",
            self.udp_sent,
            self.udp_arrived,
            self.udp_returned,
            self.tcp_sent,
            self.tcp_arrived,
            self.tcp_returned,
            self.corrupted
        )
    }
}

impl Stream {
    /// Whether TCP was complete, UDP lost at most 1 %, and no byte was changed.
    pub fn intact(&self) -> bool {
        self.corrupted == 0
            && self.udp_sent > 0
            && self.udp_arrived * 100 >= self.udp_sent * 99
            && self.udp_returned * 100 >= self.udp_sent * 99
            && self.tcp_sent > 0
            && self.tcp_arrived == self.tcp_sent
            && self.tcp_returned == self.tcp_sent
    }
}

/// The counters of the far host, shared by its threads.
#[derive(Default)]
struct Far {
    stop: AtomicBool,
    udp: AtomicU64,
    tcp: AtomicU64,
    corrupted: AtomicU64,
}

/// Sends the stream. A stream that breaks off gives figures, not an error.
pub fn run(lab: &Lab, from: Site, to: Site, marker: &Marker) -> Result<Stream> {
    let udp_echo = echo::server(lab, to, STREAM_PORT)?;
    let tcp_echo = lab.inside(to, || {
        Ok(TcpListener::bind(echo::any_address(lab, STREAM_PORT))?)
    })?;
    tcp_echo.set_nonblocking(true)?;
    let far = Far::default();
    thread::scope(|scope| {
        let udp = scope.spawn(|| {
            echo::serve(&udp_echo, &far.stop, |datagram| {
                let good = marker.fills(datagram, 0);
                let counter = if good { &far.udp } else { &far.corrupted };
                counter.fetch_add(1, Ordering::Relaxed);
            })
        });
        let tcp = scope.spawn(|| serve_tcp(&tcp_echo, &far, marker));
        let mut stream = Stream::default();
        let sent = send_udp(lab, from, to, marker, &mut stream)
            .and_then(|()| send_tcp(lab, from, to, marker, &mut stream));
        far.stop.store(true, Ordering::Relaxed);
        for thread in [udp, tcp] {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        sent?;
        stream.udp_arrived = far.udp.load(Ordering::Relaxed);
        stream.tcp_arrived = far.tcp.load(Ordering::Relaxed);
        stream.corrupted += far.corrupted.load(Ordering::Relaxed);
        Ok(stream)
    })
}

fn send_udp(lab: &Lab, from: Site, to: Site, marker: &Marker, stream: &mut Stream) -> Result<()> {
    let payload = marker.payload(UDP_PAYLOAD);
    let sockets = (0..UDP_FLOWS)
        .map(|flow| echo::flow(lab, (from, to), flow, FIRST_SOURCE_PORT, STREAM_PORT))
        .collect::<Result<Vec<_>>>()?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    for _ in 0..UDP_ROUNDS {
        for socket in &sockets {
            socket.send(&payload)?;
            stream.udp_sent += 1;
        }
        thread::sleep(Duration::from_millis(10));
        collect_udp(&sockets, marker, stream);
    }
    let mut quiet = 0;
    while quiet < 10 && stream.udp_returned < stream.udp_sent {
        thread::sleep(TICK);
        let before = stream.udp_returned;
        collect_udp(&sockets, marker, stream);
        quiet = if stream.udp_returned == before {
            quiet + 1
        } else {
            0
        };
    }
    Ok(())
}

fn collect_udp(sockets: &[UdpSocket], marker: &Marker, stream: &mut Stream) {
    let mut buffer = [0; 2048];
    for socket in sockets {
        // An error, usually "would block", ends this round for the socket.
        while let Ok(length) = socket.recv(&mut buffer) {
            if length == UDP_PAYLOAD && marker.fills(&buffer[..length], 0) {
                stream.udp_returned += 1;
            } else {
                stream.corrupted += 1;
            }
        }
    }
}

fn send_tcp(lab: &Lab, from: Site, to: Site, marker: &Marker, stream: &mut Stream) -> Result<()> {
    let payload = marker.payload(TCP_PAYLOAD);
    for number in 0..TCP_CONNECTIONS {
        let family = lab.options().inner.family(number);
        let address = (to.address(family), STREAM_PORT).into();
        // A path that loses everything shows in the figures.
        let Ok(mut connection) =
            lab.inside(from, || Ok(TcpStream::connect_timeout(&address, TIMEOUT)?))
        else {
            stream.tcp_sent += 1;
            return Ok(());
        };
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        let mut answer = [0; TCP_PAYLOAD];
        for _ in 0..TCP_ROUNDS {
            stream.tcp_sent += TCP_PAYLOAD as u64;
            if connection.write_all(&payload).is_err()
                || connection.read_exact(&mut answer).is_err()
            {
                return Ok(());
            }
            if marker.fills(&answer, 0) {
                stream.tcp_returned += TCP_PAYLOAD as u64;
            } else {
                stream.corrupted += 1;
            }
        }
    }
    Ok(())
}

fn serve_tcp(listener: &TcpListener, far: &Far, marker: &Marker) -> Result<()> {
    while !far.stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((connection, _)) => echo_tcp(connection, far, marker)?,
            Err(error) if echo::timed_out(&error) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error).context("the TCP echo cannot accept"),
        }
    }
    Ok(())
}

fn echo_tcp(mut connection: TcpStream, far: &Far, marker: &Marker) -> Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(TICK))?;
    let mut buffer = [0; 4096];
    let mut offset = 0;
    while !far.stop.load(Ordering::Relaxed) {
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let bytes = &buffer[..length];
                if marker.fills(bytes, offset) {
                    far.tcp.fetch_add(length as u64, Ordering::Relaxed);
                } else {
                    far.corrupted.fetch_add(1, Ordering::Relaxed);
                }
                offset += length;
                if connection.write_all(bytes).is_err() {
                    break;
                }
            }
            Err(error) if echo::timed_out(&error) => {}
            // The near host counts a broken connection.
            Err(_) => break,
        }
    }
    Ok(())
}
