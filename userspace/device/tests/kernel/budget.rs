//! How many packets one call sends: more where the kernel can be asked for it (Linux 6.17), and what
//! it always did where it cannot.
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

/// What the device asks for, and what kernels send unasked (`TX_BATCH_SIZE`).
const ASKED: u32 = 256;
const UNASKED: u32 = 32;
/// `XDP_MAX_TX_SKB_BUDGET`.
const TRANSMIT_BUDGET: u32 = 9;

/// Packets that leave by one system call of a device that has more than enough in its ring.
fn sent_by_one_call() -> u32 {
    let wire = Wire::open();
    let mut device = AfXdp::open(OpenOptions::new(NIC)).unwrap().pop().unwrap();
    // A NIC that is down sends nothing, so that all of it stands in the ring.
    ip(&["link", "set", NIC, "down"]);
    let mut burst = Vec::new();
    for number in 0..2 * ASKED {
        let mut frame = device.allocate().unwrap();
        wire::write(&mut device.room(&mut frame)[..SHORTEST], 0, number);
        device.set_len(&mut frame, SHORTEST);
        burst.push(frame);
    }
    assert_eq!(device.transmit(&mut burst), 2 * ASKED as usize);
    ip(&["link", "set", NIC, "up"]);

    let mut buffer = [0; 2048];
    let mut arrived = |patience| {
        let packet = wire.receive(&mut buffer, patience)?;
        Some(wire::read(packet).1)
    };
    send_once();
    let mut count = 0;
    while let Some(number) = arrived(Duration::from_millis(100)) {
        assert_eq!(number, count);
        count += 1;
    }
    // The device itself goes on until all of it has left.
    device.maintain();
    for expected in count..2 * ASKED {
        assert_eq!(arrived(Duration::from_secs(5)), Some(expected));
    }
    assert!(device.drain(Duration::from_secs(5)));
    count
}

/// Has the kernel send what stands in the transmit rings of this network namespace, as often as one call does.
fn send_once() {
    // The device shows no socket that only transmits. This test's are those of its namespace.
    let here = option(Wire::open().as_raw_fd(), libc::SO_NETNS_COOKIE);
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let sockets = open.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    for socket in sockets {
        if option(socket, libc::SO_DOMAIN) == Some(libc::AF_XDP as u64)
            && option(socket, libc::SO_NETNS_COOKIE) == here
        {
            // SAFETY: without data and address there is nothing for the kernel to read.
            unsafe { libc::sendto(socket, ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) };
        }
    }
}

/// What a socket says of itself, if it is one.
fn option(socket: RawFd, name: i32) -> Option<u64> {
    let mut value = 0_u64;
    let mut length = size_of_val(&value) as u32;
    // SAFETY: the kernel writes at most `length` octets to `value`.
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

/// Has this thread find a kernel before Linux 6.17: setsockopt(2) does not know the option.
fn without_the_option() {
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset);
    let unless = |value, skipped| {
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        statement(equal, skipped, value)
    };
    let say = |what| statement(libc::BPF_RET | libc::BPF_K, 0, what);
    // seccomp_data: the call's number, and from octet 16 on its arguments, of which the lower half comes
    // first on the machines that this runs on.
    let mut filter = [
        load(0),
        unless(libc::SYS_setsockopt as u32, 5),
        load(16 + 8),
        unless(libc::SOL_XDP as u32, 3),
        load(16 + 16),
        unless(TRANSMIT_BUDGET, 1),
        say(libc::SECCOMP_RET_ERRNO | libc::ENOPROTOOPT as u32),
        say(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which lives until the call returns. It holds for this thread
    // and what it starts.
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
fn one_call_sends_as_many_as_the_kernel_can_be_asked_for() {
    let release = uname();
    let release = release.release().to_str().unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    let expected = if version >= (6, 17) { ASKED } else { UNASKED };
    with_veth(1, || {
        assert_eq!(sent_by_one_call(), expected, "Linux {release}")
    });
}

#[test]
fn a_kernel_that_does_not_know_the_option_sends_in_more_calls() {
    with_veth(1, || {
        without_the_option();
        assert_eq!(sent_by_one_call(), UNASKED);
    });
}
