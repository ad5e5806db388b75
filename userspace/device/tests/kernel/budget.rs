//! The number of packets that one call sends: the raised budget from Linux 6.17 on, else the kernel's default.
#![allow(unsafe_code)]

use std::{
    fs, io,
    os::fd::{AsRawFd, RawFd},
    ptr,
    time::Duration,
};

use causeway_device::{AfXdp, Device, OpenOptions};
use rustix::system::uname;

use crate::{
    namespace::{NIC, ip, with_veth},
    wire::{self, SHORTEST, Wire},
};

/// The budget that the device sets, and the default of the kernel (`TX_BATCH_SIZE`).
const BUDGET: u32 = 256;
const DEFAULT_BUDGET: u32 = 32;
/// `XDP_MAX_TX_SKB_BUDGET`.
const TRANSMIT_BUDGET: u32 = 9;

/// The number of packets that one system call sends from a ring with more packets than the budget.
fn sent_by_one_call() -> u32 {
    let wire = Wire::open();
    let mut device = AfXdp::open(OpenOptions::new(NIC)).unwrap().pop().unwrap();
    // A NIC that is down sends nothing, so all packets remain in the ring.
    ip(&["link", "set", NIC, "down"]);
    let mut burst = Vec::new();
    for number in 0..2 * BUDGET {
        let mut frame = device.allocate().unwrap();
        wire::write(&mut device.room(&mut frame)[..SHORTEST], 0, number);
        device.set_len(&mut frame, SHORTEST);
        burst.push(frame);
    }
    assert_eq!(device.transmit(&mut burst), 2 * BUDGET as usize);
    ip(&["link", "set", NIC, "up"]);

    let mut buffer = [0; 2048];
    let mut arrived = |timeout| {
        let packet = wire.receive(&mut buffer, timeout)?;
        Some(wire::read(packet).1)
    };
    send_once();
    let mut count = 0;
    while let Some(number) = arrived(Duration::from_millis(100)) {
        assert_eq!(number, count);
        count += 1;
    }
    // The device repeats the call until all packets are sent.
    device.maintain();
    for expected in count..2 * BUDGET {
        assert_eq!(arrived(Duration::from_secs(60)), Some(expected));
    }
    assert!(device.drain(Duration::from_secs(60)));
    count
}

/// Makes one transmit call for each AF_XDP socket of this network namespace.
fn send_once() {
    // The device does not expose a socket that only transmits. This test's sockets are those in its namespace.
    let here = option(Wire::open().as_raw_fd(), libc::SO_NETNS_COOKIE);
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let sockets = open.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    for socket in sockets {
        if option(socket, libc::SO_DOMAIN) == Some(libc::AF_XDP as u64)
            && option(socket, libc::SO_NETNS_COOKIE) == here
        {
            // SAFETY: without data and address the kernel reads no memory.
            unsafe { libc::sendto(socket, ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) };
        }
    }
}

/// The value of a socket option; `None` if the descriptor is no socket.
fn option(socket: RawFd, name: i32) -> Option<u64> {
    let mut value = 0_u64;
    let mut length = size_of_val(&value) as u32;
    // SAFETY: the kernel writes at most `length` bytes to `value`.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(value)
}

/// Simulates a kernel before Linux 6.17 for this thread: setsockopt(2) rejects the option.
fn without_the_option() {
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset);
    let unless = |value, skipped| {
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        statement(equal, skipped, value)
    };
    let answer = |action| statement(libc::BPF_RET | libc::BPF_K, 0, action);
    // seccomp_data holds the call's number, and its arguments from byte 16 on. On the supported machines, which are
    // little-endian, the lower half of an argument comes first.
    let mut filter = [
        load(0),
        unless(libc::SYS_setsockopt as u32, 5),
        load(16 + 8),
        unless(libc::SOL_XDP as u32, 3),
        load(16 + 16),
        unless(TRANSMIT_BUDGET, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOPROTOOPT as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which lives until the call returns. The program applies to this thread and
    // the threads that it starts.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

fn statement(code: u32, unless: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: unless,
        k,
    }
}

#[test]
fn one_call_sends_as_many_packets_as_the_kernel_allows() {
    let release = uname();
    let release = release.release().to_str().unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    let expected = if version >= (6, 17) {
        BUDGET
    } else {
        DEFAULT_BUDGET
    };
    with_veth(1, || {
        assert_eq!(sent_by_one_call(), expected, "Linux {release}")
    });
}

#[test]
fn a_kernel_without_the_option_sends_its_default_number() {
    with_veth(1, || {
        without_the_option();
        assert_eq!(sent_by_one_call(), DEFAULT_BUDGET);
    });
}
