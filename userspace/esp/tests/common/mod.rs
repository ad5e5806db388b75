//! SAs and inner packets for the tests of the public interface.
#![allow(dead_code)] // each test binary uses a part of it

use std::net::{Ipv4Addr, Ipv6Addr};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use causeway_esp::{
    Backend, BackendChoice, Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key, OpenError,
    Opened, OutboundConfig, OutboundSa, Outer, SealError, Sequence, Spi, TAIL_ROOM,
};

pub const RAW: Encapsulation = Encapsulation::Esp;
pub const UDP: Encapsulation = Encapsulation::Udp { source_port: 4501 };

pub const ENDS_V4: Ends = Ends::V4 {
    source: Ipv4Addr::new(10, 1, 0, 101),
    destination: Ipv4Addr::new(10, 2, 0, 101),
};
pub const ENDS_V6: Ends = Ends::V6 {
    source: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x101),
    destination: Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x101),
};

pub fn spi() -> Spi {
    Spi::new(0x1001).unwrap()
}

pub fn key(cipher: Cipher) -> Key {
    let material: Vec<u8> = (0..cipher.key_len() as u8).map(|i| i ^ 0x5a).collect();
    Key::new(cipher, &material).unwrap()
}

/// Every available backend, and the automatic choice.
pub fn choices() -> Vec<BackendChoice> {
    let present = Backend::present().map(BackendChoice::Only);
    present.chain([BackendChoice::Auto]).collect()
}

pub fn outbound(cipher: Cipher, encapsulation: Encapsulation, next: u64) -> OutboundSa {
    outbound_by(BackendChoice::Auto, cipher, encapsulation, next)
}

pub fn outbound_by(
    choice: BackendChoice,
    cipher: Cipher,
    encapsulation: Encapsulation,
    next: u64,
) -> OutboundSa {
    OutboundSa::new(OutboundConfig {
        backend: choice,
        ..sending(cipher, Outer::new(ENDS_V4, encapsulation, 64), next)
    })
}

/// An outbound SA's configuration, with all numbers reserved.
pub fn sending(cipher: Cipher, outer: Outer, next: u64) -> OutboundConfig {
    let mut sequence = Sequence::new(next);
    sequence.reserve_until(u64::MAX);
    OutboundConfig::new(spi(), key(cipher), outer, sequence)
}

pub fn inbound(cipher: Cipher, window_bits: u32) -> InboundSa {
    inbound_by(BackendChoice::Auto, cipher, window_bits)
}

pub fn inbound_by(choice: BackendChoice, cipher: Cipher, window_bits: u32) -> InboundSa {
    InboundSa::new(InboundConfig {
        backend: choice,
        ..InboundConfig::new(spi(), key(cipher), window_bits)
    })
    .unwrap()
}

/// A pair of AES-128-GCM over raw ESP, window 64.
pub fn pair() -> (OutboundSa, InboundSa) {
    (
        outbound(Cipher::Aes128Gcm, RAW, 1),
        inbound(Cipher::Aes128Gcm, 64),
    )
}

/// An IPv4 packet of `len` bytes (20 or more) with a valid header checksum.
pub fn packet(len: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
    packet[..20].copy_from_slice(&[
        0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 63, 17, 0, 0, 10, 1, 0, 10, 10, 2, 0, 20,
    ]);
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    checksum(&mut packet);
    packet
}

/// An IPv6 packet of `len` bytes (40 or more) with this traffic class.
pub fn packet6(len: usize, tos: u8) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
    packet[..8].copy_from_slice(&[0x60 | tos >> 4, tos << 4 | 0xa, 0xbc, 0xde, 0, 0, 17, 63]);
    packet[4..6].copy_from_slice(&(len as u16 - 40).to_be_bytes());
    packet
}

/// The same packet with another TOS byte.
pub fn packet_with_tos(len: usize, tos: u8) -> Vec<u8> {
    let mut packet = packet(len);
    packet[1] = tos;
    checksum(&mut packet);
    packet
}

fn checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = ones_complement_sum(&packet[..20]);
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

/// The one's complement sum: 0xffff for a header with a valid checksum.
pub fn ones_complement_sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0u16, |sum, pair| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], pair[1]]));
        sum + u16::from(carry)
    })
}

/// Seals a packet into a new frame.
pub fn seal(sa: &mut OutboundSa, inner: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut frame = inner.to_vec();
    frame.resize(inner.len() + TAIL_ROOM, 0xee);
    let mut out = vec![0xdd; inner.len() + 100];
    let len = sa.seal(&mut frame, inner.len(), &mut out)?;
    assert!(out[len..].iter().all(|&byte| byte == 0xdd), "wrote too far");
    out.truncate(len);
    Ok(out)
}

/// The ESP packet in an outer packet: behind the IP header, and behind the UDP header if there is one.
pub fn esp(sealed: &[u8]) -> &[u8] {
    let (protocol, len) = match sealed[0] >> 4 {
        4 => (sealed[9], 20),
        _ => (sealed[6], 40),
    };
    &sealed[len + if protocol == 17 { 8 } else { 0 }..]
}

/// True if an output of 0xcc bytes is unchanged except for leading zeros: no plaintext was written.
pub fn holds_nothing(out: &[u8]) -> bool {
    let zeroed = out.iter().take_while(|&&byte| byte == 0).count();
    out[zeroed..].iter().all(|&byte| byte == 0xcc)
}

/// Opens an ESP packet and returns the inner packet; empty for a dummy.
pub fn open(sa: &mut InboundSa, esp: &[u8], outer_tos: u8) -> Result<Vec<u8>, OpenError> {
    let mut out = vec![0xcc; esp.len()];
    Ok(match sa.open(esp, outer_tos, &mut out)? {
        Opened::Packet { len } => out[..len].to_vec(),
        Opened::Dummy => Vec::new(),
    })
}

/// An authentic ESP packet with any plaintext, trailer included. The cipher's crate encrypts it, because `seal`
/// cannot create it.
pub fn forge(number: u64, plaintext: &[u8]) -> Vec<u8> {
    forge_with_iv(number, number, plaintext)
}

/// The same with an IV that is not the sequence number.
pub fn forge_with_iv(number: u64, iv: u64, plaintext: &[u8]) -> Vec<u8> {
    forge_over(&number.to_be_bytes(), number, iv, plaintext)
}

/// The same without ESN.
pub fn forge_without_esn(number: u32, iv: u64, plaintext: &[u8]) -> Vec<u8> {
    forge_over(&number.to_be_bytes(), number.into(), iv, plaintext)
}

/// The same with an ICV over the SPI and `authenticated`, the authenticated part of the number.
fn forge_over(authenticated: &[u8], number: u64, iv: u64, plaintext: &[u8]) -> Vec<u8> {
    let (number, iv) = (number.to_be_bytes(), iv.to_be_bytes());
    let spi = spi().get().to_be_bytes();
    let aad = &[&spi[..], authenticated].concat();
    let msg = plaintext;
    let (cipher, salt) = aes_128_gcm();
    let nonce: [u8; 12] = [salt, iv.to_vec()].concat().try_into().unwrap();
    let sealed = cipher.encrypt((&nonce).into(), Payload { msg, aad });
    [&spi[..], &number[4..], &iv, &sealed.unwrap()].concat()
}

/// The whole plaintext of an ESP packet, trailer included. The IV must be the sequence number.
pub fn plaintext(esp: &[u8]) -> Vec<u8> {
    let (iv, msg) = esp[8..].split_at(8);
    let aad = &[&esp[..4], iv].concat();
    let (cipher, salt) = aes_128_gcm();
    let nonce: [u8; 12] = [&salt, iv].concat().try_into().unwrap();
    cipher
        .decrypt((&nonce).into(), Payload { msg, aad })
        .unwrap()
}

/// The salt and cipher of [`key`], from the cipher's crate.
fn aes_128_gcm() -> (aes_gcm::Aes128Gcm, Vec<u8>) {
    let material: Vec<u8> = (0..20u8).map(|i| i ^ 0x5a).collect();
    let cipher = aes_gcm::Aes128Gcm::new_from_slice(&material[..16]).unwrap();
    (cipher, material[16..].to_vec())
}
