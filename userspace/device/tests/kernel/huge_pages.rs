//! A UMEM on huge pages where the host has them, and without them where it has not.

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
/// As many as fill one huge page. No other test has a UMEM as small that could take it.
const FRAMES: u32 = 1024;

/// One more huge page of the host than before, until dropped.
struct Reserved(u32);

impl Reserved {
    /// None where the host has none to give.
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

/// A refusal shows in that there are no more pages than before.
fn reserve(pages: u32) {
    let _ = fs::write(format!("{HUGE_PAGES}/nr_hugepages"), pages.to_string());
}

fn pages(which: &str) -> Option<u32> {
    let text = fs::read_to_string(format!("{HUGE_PAGES}/{which}")).ok()?;
    text.trim().parse().ok()
}

/// The size in kB of the pages that an address stands on, by the kernel's account.
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

/// Has a device with so many frames send a packet. Tells whether its UMEM stands on huge pages, of which
/// the device's word and the kernel's are held against each other.
fn stands_on_huge_pages(wire: &Wire, frames_per_queue: u32) -> bool {
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
    let packet = wire.receive(&mut buffer, Duration::from_secs(5));
    assert_eq!(wire::read(packet.expect("the packet")), (0, 7));
    assert!(device.drain(Duration::from_secs(5)));
    huge
}

#[test]
fn frames_stand_on_huge_pages_where_there_are_some_and_on_common_ones_else() {
    with_veth(1, || {
        // The host has one number for all who run this test.
        let turn = File::open(format!("{HUGE_PAGES}/nr_hugepages"));
        let _turn = turn.inspect(|file| file.lock().unwrap());
        let wire = Wire::open();
        // No whole number of huge pages, and more than there are.
        assert!(!stands_on_huge_pages(&wire, FRAMES + 64));
        let free = pages("free_hugepages").unwrap_or(0);
        assert!(!stands_on_huge_pages(&wire, (free + 1) * FRAMES));
        let Some(_page) = Reserved::one() else {
            println!("This host gives no huge page: seen is only what happens without one.");
            return;
        };
        assert!(stands_on_huge_pages(&wire, FRAMES));
    });
}
