//! A trunk as long as the Internet: what enters at one end leaves at the other after a while.
//!
//! Each end is then a VXLAN device. It sends its frames in UDP to a socket of this process, inside
//! its own namespace, which hands them on to the device at the other end when they are due.
//! A kernel needs nothing for it but VXLAN; netem is missing in many.

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

/// Where the sockets listen: the loopback's broadcast address. For any other local one a device would
/// leave the UDP out and look for a device to hand its frames to.
const SOCKETS: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// Where the devices listen.
const DEVICE_PORT: u16 = 4789;
/// Where the sockets do.
const SOCKET_PORT: u16 = 4790;
/// How long a blocked read waits before it looks at the stop flag.
const TICK: Duration = Duration::from_millis(20);
/// What a burst may leave in a socket.
const BUFFER: usize = 16 << 20;

/// The frames that are on their way. Dropping it takes the sockets away.
#[derive(Debug)]
pub struct Distance {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What makes an end of the trunk, in a batch of `ip`.
pub fn device_line(mtu: u32) -> String {
    // It must not learn: an answer goes to the socket too, not to where the question came from.
    format!("link add {TRUNK} mtu {mtu} type vxlan id 1 dstport {DEVICE_PORT} nolearning")
}

/// What leads an end's frames to its socket, in a batch of `bridge`.
pub fn way_line() -> String {
    format!("fdb append 00:00:00:00:00:00 dev {TRUNK} dst {SOCKETS} port {SOCKET_PORT}")
}

impl Distance {
    /// Hands frames on between the trunk's ends in two namespaces, each after `delay`.
    pub fn start(namespaces: &[String; 2], delay: Duration) -> Result<Self> {
        let mut distance = Self {
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        let [one, two] = [socket(&namespaces[0])?, socket(&namespaces[1])?];
        for (from, to) in [(&one, &two), (&two, &one)] {
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            let (frames, due) = channel();
            let stop = Arc::clone(&distance.stop);
            let taking = thread::spawn(move || take(&from, delay, &frames, &stop));
            let giving = thread::spawn(move || give(&to, &due));
            distance.threads.extend([taking, giving]);
        }
        Ok(distance)
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of one has been printed; the trunk is gone either way.
            let _ = thread.join();
        }
    }
}

fn socket(namespace: &str) -> Result<UdpSocket> {
    netns::enter(namespace, || {
        let socket =
            UdpSocket::bind((SOCKETS, SOCKET_PORT)).context("cannot take the trunk's frames")?;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER)?;
        socket.set_read_timeout(Some(TICK))?;
        Ok(socket)
    })
}

fn take(
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
                eprintln!("the trunk stops: {error}");
                return;
            }
        }
    }
}

fn give(socket: &UdpSocket, frames: &Receiver<(Instant, Box<[u8]>)>) {
    while let Ok((due, frame)) = frames.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A frame that is not taken is lost, as on any network.
        let _ = socket.send_to(&frame, (Ipv4Addr::LOCALHOST, DEVICE_PORT));
    }
}
