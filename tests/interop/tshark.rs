//! tshark decrypts Causeway's packets from a capture, given the keys.
//!
//! What tshark 4.0 (Debian 12) cannot do:
//! - ChaCha20-Poly1305 is not among its ciphers for ESP. scapy alone checks that one.
//! - It knows no ESN: it takes the ICV as made over SPI and 32-bit number. With ESN it decrypts, for which the
//!   number is not needed, but its word on the ICV says nothing. Without ESN it is held to "good".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tunnel::{Family, Tunnel, hex};
use causeway_esp::Cipher;

/// Packets that begin with their IP header, of either family.
const LINKTYPE_RAW: u32 = 101;

/// A capture file's path. It is gone when dropped.
struct Capture(PathBuf);

impl Capture {
    fn write(name: &str, packets: &[Vec<u8>]) -> Capture {
        let mut octets = Vec::new();
        // Magic, version 2.4, zone and accuracy of times, longest packet, link type.
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
        let file = format!("causeway-interop-{name}-{}.pcap", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, octets).unwrap();
        Capture(path)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What tshark says of one packet.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    spi: u32,
    number: u32,
    icv_good: bool,
    /// With padding, pad length and next header, in hex.
    plaintext: String,
    /// Where it says that the inner packet goes.
    destination: String,
}

fn tshark(capture: &Path, tunnels: &[Tunnel]) -> Vec<Seen> {
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
    // Of a field that stands in both headers the last one is the inner one's.
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
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark failed: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    lines
        .map(|fields| {
            let &[spi, number, icv, plaintext, ipv4, ipv6] = &fields[..] else {
                panic!("expected six fields, got {fields:?}; tshark said: {said}");
            };
            let hexadecimal = spi.strip_prefix("0x").unwrap_or(spi);
            Seen {
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
    // What was changed on its way must not be called good.
    let mut forged = packets[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    packets.push(forged);

    let capture = Capture::write(cipher.name(), &packets);
    let mut seen = tshark(&capture.0, &tunnels);
    assert_eq!(seen.len(), packets.len());
    assert!(!seen.pop().unwrap().icv_good, "tshark checks no ICV");
    for packet in seen {
        let key = (packet.spi, packet.number);
        let (tunnel, plaintext) = expected.remove(&key).expect("a packet that was sent, once");
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
