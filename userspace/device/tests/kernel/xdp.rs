//! A small XDP program for the tests, written as instructions: the last byte of the destination MAC address selects the
//! worker.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

use crate::namespace::NIC;

/// The most workers on each queue.
pub const MAX_WORKERS: u32 = 4;

const MAP_CREATE: i64 = 0;
const MAP_UPDATE_ELEM: i64 = 2;
const PROG_LOAD: i64 = 5;
const LINK_CREATE: i64 = 28;

/// The program, attached to [`NIC`] in driver mode until dropped.
pub struct Redirect {
    map: OwnedFd,
    _link: OwnedFd,
}

/// Encodes one instruction.
fn instruction(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> [u8; 8] {
    let mut bytes = [code, dst | src << 4, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..8].copy_from_slice(&immediate.to_ne_bytes());
    bytes
}

fn program(map: i32) -> Vec<u8> {
    [
        instruction(0x61, 2, 1, 0, 0),   // r2 = ctx->data
        instruction(0x61, 3, 1, 4, 0),   // r3 = ctx->data_end
        instruction(0xbf, 4, 2, 0, 0),   // r4 = r2
        instruction(0x07, 4, 0, 0, 14),  // r4 += 14
        instruction(0x2d, 4, 3, 9, 0),   // if r4 > r3 goto pass
        instruction(0x71, 2, 2, 5, 0),   // r2 = last byte of the destination
        instruction(0x61, 3, 1, 16, 0),  // r3 = ctx->rx_queue_index
        instruction(0x67, 3, 0, 0, 2),   // r3 <<= 2, that is * MAX_WORKERS
        instruction(0x0f, 2, 3, 0, 0),   // r2 += r3
        instruction(0x18, 1, 1, 0, map), // r1 = map
        instruction(0, 0, 0, 0, 0),      // (its upper half)
        instruction(0xb7, 3, 0, 0, 2),   // r3 = XDP_PASS, for an empty slot
        instruction(0x85, 0, 0, 0, 51),  // r0 = bpf_redirect_map(r1, r2, r3)
        instruction(0x95, 0, 0, 0, 0),   // return r0
        instruction(0xb7, 0, 0, 0, 2),   // pass: r0 = XDP_PASS
        instruction(0x95, 0, 0, 0, 0),   // return r0
    ]
    .concat()
}

/// Calls bpf(2) with an attribute of 32-bit words.
fn bpf(command: i64, attribute: &[u32]) -> RawFd {
    let size = size_of_val(attribute);
    // SAFETY: `size` is the length of the attribute, and the callers keep everything alive that its
    // pointers point to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attribute.as_ptr(), size) };
    assert!(
        result >= 0,
        "bpf({command}): {}",
        io::Error::last_os_error()
    );
    result as RawFd
}

/// Calls bpf(2) with a command that returns a new descriptor.
fn bpf_fd(command: i64, attribute: &[u32]) -> OwnedFd {
    // SAFETY: the descriptor is new, so it has no other owner.
    unsafe { OwnedFd::from_raw_fd(bpf(command, attribute)) }
}

/// A pointer as two words of an attribute.
fn words<T: ?Sized>(pointer: *const T) -> [u32; 2] {
    let address = pointer.cast::<u8>() as u64;
    [address as u32, (address >> 32) as u32]
}

impl Redirect {
    pub fn attach() -> Self {
        let xskmap = 17;
        let map = bpf_fd(MAP_CREATE, &[xskmap, 4, 4, 64]);

        let code = program(map.as_raw_fd());
        let [code_low, code_high] = words(code.as_slice());
        let [licence_low, licence_high] = words(c"Dual MIT/GPL".as_ptr());
        let xdp = 6;
        let count = code.len() as u32 / 8;
        let load = [xdp, count, code_low, code_high, licence_low, licence_high];
        let program = bpf_fd(PROG_LOAD, &load);

        let any = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        let nic = name_to_index(&any, NIC).unwrap();
        let (attach_xdp, driver_mode) = (37, 4);
        let link = [program.as_raw_fd() as u32, nic, attach_xdp, driver_mode];
        let link = bpf_fd(LINK_CREATE, &link);
        Self { map, _link: link }
    }

    /// Redirects packets on `queue` for `worker` to this socket.
    pub fn steer(&self, queue: u32, worker: u32, socket: BorrowedFd<'_>) {
        let key = queue * MAX_WORKERS + worker;
        let value = socket.as_raw_fd();
        let [key_low, key_high] = words(&key);
        let [value_low, value_high] = words(&value);
        let map = self.map.as_raw_fd() as u32;
        bpf(
            MAP_UPDATE_ELEM,
            &[map, 0, key_low, key_high, value_low, value_high, 0, 0],
        );
    }
}
