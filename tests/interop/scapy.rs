//! Causeway's ESP against scapy's, both ways: every cipher, both encapsulations, ESN on.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use causeway_esp::{
    Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key, Opened, OutboundConfig, OutboundSa,
    Outer, Sequence, Spi, TAIL_ROOM,
};

const ROUND: u64 = 1 << 32;
/// A way through three rounds of the low 32 bits, out of order where they wrap. The steps are well
/// below 2^32: scapy's IV says nothing of the number, so the receiver has only the low half to go by.
const NUMBERS: [u64; 10] = [
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

/// scapy in a process of its own, which ends when its stdin does.
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

    /// The inner packet and the answer, as scapy sees them.
    fn ask(&mut self, request: &str) -> (Vec<u8>, Vec<u8>) {
        // A process that died shows in the answer that does not come.
        let _ = writeln!(self.requests, "{request}");
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let (inner, answer) = line.trim().split_once(' ').unwrap_or_else(|| {
            panic!(
                "scapy_esp.py gave no answer; its error stands above. If it says that scapy is missing, \
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// A UDP packet, from its IP header on, with right checksums, so that scapy has nothing to change when
/// it takes it apart and puts it together.
fn inner_packet(body: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0xb8, 0, 0, 0x12, 0x34, 0x40, 0, 63, 17, 0, 0];
    packet.extend([10, 1, 0, 10, 10, 2, 0, 20]);
    packet.extend([0x30, 0x39, 0x27, 0x0f]);
    packet.extend((8 + body as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend((0..body).map(|i| (i * 31) as u8));
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    let mut sum: u32 = packet[..20]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet
}

fn both_ways(cipher: Cipher, encapsulation: Encapsulation) {
    let (name, esp_at) = match encapsulation {
        Encapsulation::Esp => ("esp", 20),
        Encapsulation::Udp { .. } => ("udp", 28),
    };
    let spi = Spi::new(0x0001_0001).unwrap();
    let material: Vec<u8> = (0..cipher.key_len()).map(|i| (i * 13 + 7) as u8).collect();
    let key = || Key::new(cipher, &material).unwrap();
    let ends = Ends::V4 {
        source: Ipv4Addr::new(10, 1, 0, 101),
        destination: Ipv4Addr::new(10, 2, 0, 102),
    };
    let outer = Outer::new(ends, encapsulation, 64);
    let mut scapy = Scapy::start();
    let mut receiver = InboundSa::new(InboundConfig::new(spi, key(), 4096)).unwrap();

    for (at, number) in NUMBERS.into_iter().enumerate() {
        // Four lengths in a row meet every padding.
        let inner = inner_packet(at * 150 + at);
        let mut sequence = Sequence::new(number);
        sequence.reserve_until(number + 1);
        let mut sender = OutboundSa::new(OutboundConfig::new(spi, key(), outer, sequence));
        let mut frame = inner.clone();
        frame.resize(inner.len() + TAIL_ROOM, 0);
        let mut sealed = vec![0; 2048];
        let len = sender.seal(&mut frame, inner.len(), &mut sealed).unwrap();

        let (theirs, answer) = scapy.ask(&format!(
            "{cipher} {name} {} {:x} {number:x} {}",
            hex(&material),
            spi.get(),
            hex(&sealed[..len])
        ));
        assert_eq!(theirs, inner, "scapy decrypts number {number:#x}");

        let mut out = vec![0; 2048];
        let opened = receiver.open(&answer[esp_at..], answer[1], &mut out);
        let len = inner.len();
        assert_eq!(opened, Ok(Opened::Packet { len }), "scapy's {number:#x}");
        assert_eq!(out[..len], inner);
    }
    scapy.finish();
}

const UDP: Encapsulation = Encapsulation::Udp { source_port: 4511 };

/// Standard: must-gcm, gcm-key
#[test]
fn aes_128_gcm_raw() {
    both_ways(Cipher::Aes128Gcm, Encapsulation::Esp);
}

#[test]
fn aes_128_gcm_udp() {
    both_ways(Cipher::Aes128Gcm, UDP);
}

#[test]
fn aes_256_gcm_raw() {
    both_ways(Cipher::Aes256Gcm, Encapsulation::Esp);
}

/// Standard: must-gcm, gcm-sizes
#[test]
fn aes_256_gcm_udp() {
    both_ways(Cipher::Aes256Gcm, UDP);
}

#[test]
fn chacha20_poly1305_raw() {
    both_ways(Cipher::ChaCha20Poly1305, Encapsulation::Esp);
}

/// Standard: should-chacha
#[test]
fn chacha20_poly1305_udp() {
    both_ways(Cipher::ChaCha20Poly1305, UDP);
}
