//! The plain forwarder: the gateway's device and sockets, with a swap of the MAC addresses as the only work.
//! It runs as a process, as the gateway does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use causeway_device::{AfXdp, Device, OpenOptions};
use causeway_lab::output::print_line;

use super::kernel::Kernel;
use crate::machine;

/// The burst length of a gateway's worker.
const BURST: usize = 64;
/// The longest sleep of a gateway's worker.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// Options of `gateway-forwarder`, which `gateway` starts.
#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    nic: String,
    #[arg(long)]
    core: usize,
    /// Object file of the load programs
    #[arg(long)]
    load: PathBuf,
}

/// Forwards until killed. Prints "ready" when it can forward.
pub fn run(args: &Args) -> Result<()> {
    machine::pin(Some(args.core))?;
    let mut kernel = Kernel::load(&args.load, 1)?;
    let mut devices = AfXdp::open(OpenOptions::new(&args.nic))?;
    let mut device = devices.pop().context("AF_XDP opened no device")?;
    kernel.feed(&args.nic, &device)?;
    print_line("ready")?;
    let mut received = Vec::with_capacity(BURST);
    // Holds packets for which the transmit ring has no room, as a worker's backlog does.
    let mut leaving = Vec::with_capacity(2 * BURST);
    loop {
        let count = match leaving.len() {
            0..=BURST => device.receive(&mut received, BURST),
            _ => 0,
        };
        for frame in received.drain(..) {
            if let Some(mut out) = device.allocate() {
                let packet = device.bytes(&frame);
                let length = packet.len();
                let room = &mut device.room(&mut out)[..length];
                room.copy_from_slice(packet);
                let (to, from) = room[..12].split_at_mut(6);
                to.swap_with_slice(from);
                device.set_len(&mut out, length);
                leaving.push(out);
            }
            device.release(frame);
        }
        let sent = if leaving.is_empty() {
            0
        } else {
            device.transmit(&mut leaving)
        };
        device.maintain();
        if count + sent == 0 {
            device.wait(LONGEST_SLEEP);
        }
    }
}
