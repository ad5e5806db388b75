//! Reads properties of a NIC from the kernel.
#![allow(unsafe_code)]

use std::{ffi::c_char, io, mem, os::fd::AsRawFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// The MTU of a NIC in bytes, in the network namespace of the calling thread. /sys may show another namespace.
pub(super) fn mtu(interface: &str) -> io::Result<u32> {
    // SAFETY: ifreq consists of integers and pointers, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The last byte stays zero. The kernel would truncate a longer name, so no NIC has one.
    if interface.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as c_char;
    }
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: SIOCGIFMTU reads the name and writes ifru_mtu of the ifreq, which lives until the
    // call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU as _, &mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the successful call wrote this field of the union.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_an_mtu_and_an_unknown_name_has_none() {
        assert!(mtu("lo").unwrap() >= 1500);
        for name in ["", "no-such-nic", "a-name-much-too-long-for-linux"] {
            assert_eq!(mtu(name).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        }
    }
}
