//! A raw socket on the other end of the veth pair, and the test packets.
#![allow(unsafe_code)]

use std::{
    io, mem,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, netdevice::name_to_index, recv,
    send, socket, sockopt,
};

use crate::namespace::PEER;

/// IEEE 802 local experimental EtherType 1, so that the tests count their own packets only.
const ETHERTYPE: u16 = 0x88b5;
/// The length of a packet with Ethernet header, worker and number only.
pub const SHORTEST: usize = 14 + 1 + 4;

/// Fills `packet` with packet `number` of `worker`. All bytes depend on both, so that [`read`] detects a mixture of
/// packets.
pub fn write(packet: &mut [u8], worker: u8, number: u32) {
    let (header, body) = packet.split_at_mut(SHORTEST);
    header[..6].copy_from_slice(&[2, 0, 0, 0, 0, worker]);
    header[6..12].copy_from_slice(&[2, 0, 0, 0, 1, worker]);
    header[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    header[14] = worker;
    header[15..19].copy_from_slice(&number.to_be_bytes());
    body.fill(number as u8 ^ worker);
}

/// Returns worker and number of a packet, and checks that the packet is as [`write`] made it.
pub fn read(packet: &[u8]) -> (u8, u32) {
    let (header, body) = packet.split_at(SHORTEST);
    let worker = header[14];
    let number = number(packet);
    assert_eq!(header[5], worker);
    assert!(body.iter().all(|byte| *byte == number as u8 ^ worker));
    (worker, number)
}

/// The number of a packet.
pub fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[15..19].try_into().unwrap())
}

/// A raw socket on [`PEER`].
pub struct Wire(OwnedFd);

impl Wire {
    pub fn open() -> Self {
        let protocol = Protocol::from_raw(u32::from(ETHERTYPE.to_be()).try_into().unwrap());
        let raw = socket(AddressFamily::PACKET, SocketType::RAW, Some(protocol)).unwrap();
        sockopt::set_socket_recv_buffer_size_force(&raw, 256 << 20).unwrap();
        // SAFETY: the structure consists of integers, for which zeroes are valid.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETHERTYPE.to_be();
        address.sll_ifindex = name_to_index(&raw, PEER).unwrap() as i32;
        // SAFETY: `length` is the length of the address.
        let result = unsafe {
            let length = size_of_val(&address) as u32;
            libc::bind(raw.as_raw_fd(), (&raw const address).cast(), length)
        };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        Self(raw)
    }

    pub fn send(&self, packet: &[u8]) {
        assert_eq!(
            send(&self.0, packet, SendFlags::empty()).unwrap(),
            packet.len()
        );
    }

    /// Returns the next packet, or `None` if none arrives within `timeout`.
    pub fn receive<'a>(&self, buffer: &'a mut [u8], timeout: Duration) -> Option<&'a [u8]> {
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Recv, Some(timeout)).unwrap();
        let (_, length) = recv(&self.0, &mut *buffer, RecvFlags::empty()).ok()?;
        Some(&buffer[..length])
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
