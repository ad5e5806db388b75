//! A UMEM uses huge pages if the host has free ones, else normal pages.

use std::{
    fs::{self, File},
    time::Duration,
};

use causeway_device::{AfXdp, Device, OpenOptions};

use crate::{
    namespace::{NIC, with_veth},
    wire::{self, SHORTEST, Wire},
};

const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";
/// The frames that fill one huge page. No other test has so small a UMEM, so no other test can use that page.
const FRAMES: u32 = 1024;

/// One additional huge page of the host, until dropped. Holds the earlier number of huge pages.
struct Reserved(u32);

impl Reserved {
    /// `None` if the host has no memory for a huge page.
    fn one() -> Option<Self> {
        let before = pages("nr_hugepages")?;
        reserve(before + 1);
        let now = pages("nr_hugepages")?;
        (now > before).then_some(Self(before))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        reserve(self.0);
    }
}

/// Sets the number of huge pages. The caller reads the number back, so an error is ignored here.
fn reserve(pages: u32) {
    let _ = fs::write(format!("{HUGE_PAGES}/nr_hugepages"), pages.to_string());
}

fn pages(which: &str) -> Option<u32> {
    let text = fs::read_to_string(format!("{HUGE_PAGES}/{which}")).ok()?;
    text.trim().parse().ok()
}

/// The size in kB of the page that contains `address`, as the kernel reports it.
fn page_size(address: *const u8) -> u32 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some((from, to)) = words[0].split_once('-') {
            let end = |hex| usize::from_str_radix(hex, 16).unwrap();
            inside = (end(from)..end(to)).contains(&address.addr());
        } else if inside && words[0] == "KernelPageSize:" {
            return words[1].parse().unwrap();
        }
    }
    panic!("{address:?} is not mapped");
}

/// Sends a packet with a device of `frames_per_queue` frames. Returns whether its UMEM is on huge pages, and checks that
/// device and kernel agree on that.
fn uses_huge_pages(wire: &Wire, frames_per_queue: u32) -> bool {
    let options = OpenOptions {
        frames_per_queue,
        ..OpenOptions::new(NIC)
    };
    let mut device = AfXdp::open(options).unwrap().pop().unwrap();
    let mut frame = device.allocate().unwrap();
    wire::write(&mut device.room(&mut frame)[..SHORTEST], 0, 7);
    device.set_len(&mut frame, SHORTEST);
    let huge = page_size(device.bytes(&frame).as_ptr()) == 2048;
    assert_eq!(device.monitor().huge_pages(), huge);

    device.transmit(&mut vec![frame]);
    let mut buffer = [0; 2048];
    let packet = wire.receive(&mut buffer, Duration::from_secs(60));
    assert_eq!(wire::read(packet.expect("the packet")), (0, 7));
    assert!(device.drain(Duration::from_secs(60)));
    huge
}

#[test]
fn frames_use_huge_pages_if_the_host_has_free_ones() {
    with_veth(1, || {
        // All test processes on the host share the number of huge pages.
        let lock = File::open(format!("{HUGE_PAGES}/nr_hugepages"));
        let _lock = lock.inspect(|file| file.lock().unwrap());
        let wire = Wire::open();
        // First a size that is no multiple of a huge page, then more huge pages than are free.
        assert!(!uses_huge_pages(&wire, FRAMES + 64));
        let free = pages("free_hugepages").unwrap_or(0);
        assert!(!uses_huge_pages(&wire, (free + 1) * FRAMES));
        let Some(_page) = Reserved::one() else {
            println!(
                "The host has no memory for a huge page: only the case without one was tested."
            );
            return;
        };
        assert!(uses_huge_pages(&wire, FRAMES));
    });
}
