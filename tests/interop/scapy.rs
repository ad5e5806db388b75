//! Interoperability with scapy in both directions: every cipher, both inner and outer families, with and
//! without ESN, directly over IP and in UDP.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::tunnel::{Family, Tunnel, hex};
use causeway_esp::{Cipher, Opened};

const ROUND: u64 = 1 << 32;
/// Sequence numbers over three rounds of the low 32 bits, out of order where they wrap. The steps are well below
/// 2^32, because scapy's IV is not the number and the receiver has only the low half.
const EXTENDED: [u64; 10] = [
    1,
    2,
    ROUND / 2,
    ROUND - 2,
    ROUND + 1,
    ROUND - 1,
    ROUND,
    ROUND + ROUND / 2,
    2 * ROUND + 5,
    2 * ROUND,
];
/// Sequence numbers without ESN, up to the last one.
const PLAIN: [u64; 8] = [
    1,
    3,
    2,
    ROUND / 2,
    ROUND / 2 - 1,
    ROUND - 3,
    ROUND - 1,
    ROUND - 2,
];

/// A scapy process. It ends when its stdin is closed.
struct Scapy {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Scapy {
    fn start() -> Scapy {
        let python = python();
        let mut child = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scapy_esp.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                let python = python.display();
                panic!("expected a Python with scapy at {python}: {error}; run `cargo xtask setup`")
            });
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Scapy {
            child,
            requests,
            answers,
        }
    }

    /// Sends a request. Returns the inner packet that scapy decrypted, and the answer that it sealed.
    fn request(&mut self, request: &str) -> (Vec<u8>, Vec<u8>) {
        // If the process has ended, the missing answer below reports it.
        let _ = writeln!(self.requests, "{request}");
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let (inner, answer) = line.trim().split_once(' ').unwrap_or_else(|| {
            panic!(
                "scapy_esp.py gave no answer to {request}; see its error above. If scapy is missing, \
                 run `cargo xtask setup`"
            )
        });
        (unhex(inner), unhex(answer))
    }

    fn finish(self) {
        let Scapy {
            mut child,
            requests,
            answers,
        } = self;
        drop((requests, answers));
        assert!(child.wait().unwrap().success());
    }
}

fn python() -> PathBuf {
    std::env::var_os("CAUSEWAY_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/interop-venv/bin/python"),
        PathBuf::from,
    )
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// The outer header's TOS or traffic class, and the offset of the ESP header.
fn outer(packet: &[u8], tunnel: &Tunnel) -> (u8, usize) {
    let tos = match tunnel.outer {
        Family::V4 => packet[1],
        Family::V6 => packet[0] << 4 | packet[1] >> 4,
    };
    let udp_len = if tunnel.udp { 8 } else { 0 };
    (tos, tunnel.outer.header_len() + udp_len)
}

fn both_ways(scapy: &mut Scapy, tunnel: Tunnel) {
    let Tunnel { cipher, .. } = tunnel;
    let encapsulation = if tunnel.udp { "udp" } else { "esp" };
    let numbering = if tunnel.esn { "esn" } else { "plain" };
    let numbers = if tunnel.esn { &EXTENDED[..] } else { &PLAIN };
    let mut receiver = tunnel.receiver();
    for (at, &number) in numbers.iter().enumerate() {
        // Four consecutive lengths cover every padding.
        let inner = tunnel.inner_packet(at * 150 + at);
        let sealed = tunnel.seal(&inner, number);
        let (decrypted, answer) = scapy.request(&format!(
            "{cipher} {encapsulation} {numbering} {} {} {:x} {number:x} {}",
            tunnel.inner.next_header(),
            hex(&tunnel.material()),
            tunnel.spi().get(),
            hex(&sealed)
        ));
        assert_eq!(
            decrypted, inner,
            "decrypted by scapy: {tunnel:?} {number:#x}"
        );

        let mut out = vec![0; 2048];
        let (tos, esp) = outer(&answer, &tunnel);
        let opened = receiver.open(&answer[esp..], tos, &mut out);
        let len = inner.len();
        assert_eq!(
            opened,
            Ok(Opened::Packet { len }),
            "sealed by scapy: {tunnel:?} {number:#x}"
        );
        assert_eq!(out[..len], inner);
    }
}

fn every_tunnel(cipher: Cipher) {
    let mut scapy = Scapy::start();
    for tunnel in Tunnel::every(cipher) {
        both_ways(&mut scapy, tunnel);
    }
    scapy.finish();
}

/// Standard: must-gcm, gcm-key, gcm-aad, gcm-aad-esn, inner-ipv4, inner-ipv6, mixed-families
/// Standard: udp-no-checksum, udp-ipv6-checksum
#[test]
fn aes_128_gcm() {
    every_tunnel(Cipher::Aes128Gcm);
}

/// Standard: must-gcm, gcm-sizes
#[test]
fn aes_256_gcm() {
    every_tunnel(Cipher::Aes256Gcm);
}

/// Standard: should-chacha
#[test]
fn chacha20_poly1305() {
    every_tunnel(Cipher::ChaCha20Poly1305);
}
