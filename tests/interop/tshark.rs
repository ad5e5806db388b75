//! tshark decrypts Causeway's packets from a capture with the keys.
//!
//! Limitations of tshark 4.0 (Debian 12):
//! - It does not support ChaCha20-Poly1305 for ESP. Only scapy checks that cipher.
//! - It does not support ESN: it verifies the ICV over SPI and 32-bit number. With ESN decryption works, because it
//!   does not need the number, but the ICV result is meaningless. Without ESN the ICV must be "good".

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;

use crate::tunnel::{Family, Tunnel, hex};
use causeway_esp::Cipher;

/// Link type of packets that start with an IP header of either family.
const LINKTYPE_RAW: u32 = 101;

/// Writes a temporary capture file.
fn capture(packets: &[Vec<u8>]) -> NamedTempFile {
    let mut octets = Vec::new();
    // Magic, version 2.4, time zone and time accuracy, longest packet, link type.
    octets.extend(0xa1b2_c3d4u32.to_le_bytes());
    octets.extend([2, 0, 4, 0].into_iter().chain([0; 8]));
    octets.extend(0x0004_0000u32.to_le_bytes());
    octets.extend(LINKTYPE_RAW.to_le_bytes());
    for (second, packet) in packets.iter().enumerate() {
        let len = packet.len() as u32;
        for field in [second as u32, 0, len, len] {
            octets.extend(field.to_le_bytes());
        }
        octets.extend(packet);
    }
    let file = NamedTempFile::with_suffix(".pcap").unwrap();
    std::fs::write(file.path(), octets).unwrap();
    file
}

/// The fields of one packet in tshark's output.
#[derive(Debug, PartialEq, Eq)]
struct Decrypted {
    spi: u32,
    number: u32,
    icv_good: bool,
    /// The plaintext with padding, pad length and next header, in hex.
    plaintext: String,
    /// The destination address of the inner packet.
    destination: String,
}

fn tshark(capture: &Path, tunnels: &[Tunnel]) -> Vec<Decrypted> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture);
    for option in [
        "esp.enable_encryption_decode:TRUE",
        "esp.enable_authentication_check:TRUE",
    ] {
        command.args(["-o", option]);
    }
    for tunnel in tunnels {
        let family = match tunnel.outer {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let (spi, key) = (tunnel.spi().get(), hex(&tunnel.material()));
        command.arg("-o").arg(format!(
            "uat:esp_sa:\"{family}\",\"*\",\"*\",\"{spi:#010x}\",\
             \"AES-GCM with 16 octet ICV [RFC4106]\",\"0x{key}\",\"NULL\",\"\""
        ));
    }
    // Of a field in both headers, the last occurrence is in the inner header.
    command.args(["-T", "fields", "-E", "occurrence=l"]);
    for field in [
        "esp.spi",
        "esp.sequence",
        "esp.icv_good",
        "esp.decrypted_data",
        "ip.dst",
        "ipv6.dst",
    ] {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap_or_else(|error| {
        panic!("expected tshark in PATH: {error}; run `cargo xtask setup`")
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark failed: {stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    lines
        .map(|fields| {
            let &[spi, number, icv, plaintext, ipv4, ipv6] = &fields[..] else {
                panic!("expected six fields, got {fields:?}; tshark's stderr: {stderr}");
            };
            let hexadecimal = spi.strip_prefix("0x").unwrap_or(spi);
            Decrypted {
                spi: u32::from_str_radix(hexadecimal, 16).unwrap(),
                number: number.parse().unwrap(),
                icv_good: icv == "1",
                plaintext: plaintext.replace(':', ""),
                destination: if plaintext.starts_with('4') {
                    ipv4
                } else {
                    ipv6
                }
                .to_owned(),
            }
        })
        .collect()
}

fn every_tunnel(cipher: Cipher) {
    let tunnels: Vec<Tunnel> = Tunnel::every(cipher).collect();
    let mut packets = Vec::new();
    let mut expected = BTreeMap::new();
    for tunnel in &tunnels {
        for (at, number) in [1, 2, u64::from(u32::MAX)].into_iter().enumerate() {
            let inner = tunnel.inner_packet(at * 151);
            packets.push(tunnel.seal(&inner, number));
            let padding = (inner.len() + 2).wrapping_neg() & 3;
            let trailer = [1, 2, 3][..padding].iter().copied();
            let trailer = trailer.chain([padding as u8, tunnel.inner.next_header()]);
            let plaintext: Vec<u8> = inner.into_iter().chain(trailer).collect();
            expected.insert(
                (tunnel.spi().get(), number as u32),
                (tunnel, hex(&plaintext)),
            );
        }
    }
    // The ICV of a changed packet must not be "good".
    let mut forged = packets[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    packets.push(forged);

    let capture = capture(&packets);
    let mut decrypted = tshark(capture.path(), &tunnels);
    assert_eq!(decrypted.len(), packets.len());
    assert!(
        !decrypted.pop().unwrap().icv_good,
        "tshark accepts a wrong ICV"
    );
    for packet in decrypted {
        let key = (packet.spi, packet.number);
        let (tunnel, plaintext) = expected
            .remove(&key)
            .expect("each sent packet appears once");
        assert_eq!(&packet.plaintext, plaintext.as_str(), "{tunnel:?}");
        assert!(packet.icv_good || tunnel.esn, "{tunnel:?}");
        let destination = match tunnel.inner {
            Family::V4 => "10.2.0.20",
            Family::V6 => "fd00:2::20",
        };
        assert_eq!(packet.destination, destination, "{tunnel:?}");
    }
    assert!(expected.is_empty());
}

/// Standard: must-gcm, gcm-key, gcm-aad, gcm-icv, inner-ipv6, mixed-families
#[test]
fn aes_128_gcm() {
    every_tunnel(Cipher::Aes128Gcm);
}

/// Standard: must-gcm, gcm-sizes, gcm-icv
#[test]
fn aes_256_gcm() {
    every_tunnel(Cipher::Aes256Gcm);
}
