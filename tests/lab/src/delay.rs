//! A trunk with a delay, as between distant sites.
//!
//! Each end of the trunk is a VXLAN device. The device sends its frames in UDP to a socket of this process, inside the
//! device's namespace. A thread forwards each frame to the device at the other end when its delay has passed. The kernel
//! needs VXLAN only; many kernels lack netem.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::netns;
use crate::topology::TRUNK;

/// Address of the sockets: the loopback's broadcast address. For any other local address a VXLAN device skips UDP
/// and looks for a local device that takes its frames.
const SOCKET_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
const DEVICE_PORT: u16 = 4789;
const SOCKET_PORT: u16 = 4790;
/// Timeout of a blocked read, after which the stop flag is checked.
const TICK: Duration = Duration::from_millis(20);
/// Receive buffer of a socket. It holds a burst.
const BUFFER: usize = 16 << 20;

/// The frames in flight. Dropping it closes the sockets.
#[derive(Debug)]
pub struct DelayLine {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The line of an `ip` batch that makes an end of the trunk.
pub fn device_line(mtu: u32) -> String {
    // Without learning, answers also go to the socket and not straight to the other device.
    format!("link add {TRUNK} mtu {mtu} type vxlan id 1 dstport {DEVICE_PORT} nolearning")
}

/// The line of a `bridge` batch that sends the frames of an end to its socket.
pub fn forward_line() -> String {
    format!("fdb append 00:00:00:00:00:00 dev {TRUNK} dst {SOCKET_ADDRESS} port {SOCKET_PORT}")
}

impl DelayLine {
    /// Forwards frames between the ends of the trunk in two namespaces, each after `delay`.
    pub fn start(namespaces: &[String; 2], delay: Duration) -> Result<Self> {
        let mut line = Self {
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        let [one, two] = [socket(&namespaces[0])?, socket(&namespaces[1])?];
        for (from, to) in [(&one, &two), (&two, &one)] {
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            let (frames, due) = channel();
            let stop = Arc::clone(&line.stop);
            let receiver = thread::spawn(move || receive(&from, delay, &frames, &stop));
            let sender = thread::spawn(move || send(&to, &due));
            line.threads.extend([receiver, sender]);
        }
        Ok(line)
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed its message, and the trunk is going away.
            let _ = thread.join();
        }
    }
}

fn socket(namespace: &str) -> Result<UdpSocket> {
    netns::enter(namespace, || {
        let socket = UdpSocket::bind((SOCKET_ADDRESS, SOCKET_PORT))
            .context("cannot bind the socket of the delayed trunk")?;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER)?;
        socket.set_read_timeout(Some(TICK))?;
        Ok(socket)
    })
}

fn receive(
    socket: &UdpSocket,
    delay: Duration,
    frames: &Sender<(Instant, Box<[u8]>)>,
    stop: &AtomicBool,
) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let frame = (Instant::now() + delay, buffer[..length].into());
                if frames.send(frame).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => {
                eprintln!("the delayed trunk stops: {error}");
                return;
            }
        }
    }
}

fn send(socket: &UdpSocket, frames: &Receiver<(Instant, Box<[u8]>)>) {
    while let Ok((due, frame)) = frames.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A frame that cannot be sent is lost, as on any network.
        let _ = socket.send_to(&frame, (Ipv4Addr::LOCALHOST, DEVICE_PORT));
    }
}
