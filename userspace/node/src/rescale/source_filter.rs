//! Lets only datagrams of known senders into a socket's queue. The kernel drops others before they take room in it, so no other
//! host of the VPC can crowd out the roles.

use std::io;
use std::net::IpAddr;

use causeway_rescale::message::PORT;
use socket2::{SockFilter, SockRef};

// Instructions of classic BPF, linux/bpf_common.h. The packet begins with the UDP header.
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// The offset of the IP header, linux/filter.h.
const NETWORK: u32 = -0x10_0000_i32 as u32;
/// The source address in an IPv4 and in an IPv6 header.
const SOURCE_IPV4: u32 = NETWORK + 12;
const SOURCE_IPV6: u32 = NETWORK + 8;

/// Replaces the socket's filter: it accepts datagrams from [`PORT`] of these addresses, which are of the socket's family.
///
/// # Errors
/// Those of the kernel.
pub fn accept_only(
    socket: &impl std::os::fd::AsFd,
    sources: impl IntoIterator<Item = IpAddr>,
) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&program(sources))
}

fn program(sources: impl IntoIterator<Item = IpAddr>) -> Vec<SockFilter> {
    let mut program = vec![
        SockFilter::new(LOAD_HALF, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, PORT.into()),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    for source in sources {
        let (first, octets) = match source {
            IpAddr::V4(address) => (SOURCE_IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (SOURCE_IPV6, address.octets().to_vec()),
        };
        let words = octets.chunks_exact(4);
        let count = words.len() as u32;
        for (word, index) in words.zip(0..) {
            let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
            // Past the remaining words, and past the return.
            let rest = 2 * (count - 1 - index) + 1;
            program.push(SockFilter::new(LOAD_WORD, 0, 0, first + 4 * index));
            program.push(SockFilter::new(JUMP_IF_EQUAL, 0, rest as u8, value));
        }
        program.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    }
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program
}
