//! One direction between the endpoints, and the model of its expected deliveries.

use std::collections::{BTreeMap, BTreeSet};

use causeway_esp::{
    Cipher, InboundConfig, InboundSa, Key, OpenError, OutboundConfig, OutboundSa, Outer, SaTable,
    SealError, Sequence, Spi, Tfc, peek,
};
use proptest::sample::Index;

use crate::common::*;
use crate::scenario::{ROUND, Setting, Step};

#[derive(Clone)]
struct InFlight {
    generation: u32,
    number: u64,
    inner: Vec<u8>,
    esp: Vec<u8>,
}

/// The result of a packet that reaches its receiver.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Delivered(Vec<u8>),
    UnknownSpi,
    Refused(OpenError),
}

/// One direction: a sender with one SA in use, the network, a receiver with several SAs.
pub(crate) struct Path {
    setting: Setting,
    salt: u8,
    /// True if the network loses nothing, so that no packet may be lost.
    lossless: bool,
    sender: OutboundSa,
    generation: u32,
    receiver: SaTable<InboundSa>,
    /// The model: the numbers that each SA of the receiver has accepted.
    seen: BTreeMap<u32, BTreeSet<u64>>,
    in_flight: Vec<InFlight>,
    sent: BTreeSet<(u32, u64)>,
    /// Lost by the network, or refused because 32 bits did not determine the number.
    excused: BTreeSet<(u32, u64)>,
    delivered: BTreeSet<(u32, u64)>,
    overtaken: usize,
}

impl Path {
    pub(crate) fn new(setting: &Setting, salt: u8, lossless: bool) -> Path {
        let mut path = Path {
            setting: setting.clone(),
            salt,
            lossless,
            sender: outbound(Cipher::Aes128Gcm, RAW, 1),
            generation: 0,
            receiver: SaTable::new(),
            seen: BTreeMap::new(),
            in_flight: Vec::new(),
            sent: BTreeSet::new(),
            excused: BTreeSet::new(),
            delivered: BTreeSet::new(),
            overtaken: 0,
        };
        path.install(0);
        path.count_from(path.start());
        path
    }

    fn spi(&self, generation: u32) -> Spi {
        Spi::new(0x1000 + generation).unwrap()
    }

    /// A different key for each SA, as after a key exchange.
    fn key(&self, generation: u32) -> Key {
        let cipher = self.setting.cipher;
        let octet = |i: usize| (i as u8) ^ self.salt ^ (generation as u8).wrapping_mul(29);
        let material: Vec<u8> = (0..cipher.key_len()).map(octet).collect();
        Key::new(cipher, &material).unwrap()
    }

    fn last_number(&self) -> u64 {
        if self.setting.esn {
            u64::MAX - 1
        } else {
            ROUND - 1
        }
    }

    fn start(&self) -> u64 {
        let starts = &self.setting.starts;
        starts[self.generation as usize % starts.len()].min(self.last_number() - 20)
    }

    /// The sender's SA of the generation in use, with `next` as its next number.
    fn count_from(&mut self, next: u64) {
        let Setting { esn, pad_to, .. } = self.setting;
        let ends = if self.setting.over_ipv6 {
            ENDS_V6
        } else {
            ENDS_V4
        };
        let outer = Outer::new(ends, if self.setting.udp { UDP } else { RAW }, 64);
        let mut sequence = Sequence::new(next);
        sequence.reserve_until(u64::MAX);
        let (spi, key) = (self.spi(self.generation), self.key(self.generation));
        self.sender = OutboundSa::new(OutboundConfig {
            esn,
            tfc: if pad_to == 0 {
                Tfc::Off
            } else {
                Tfc::PadTo(pad_to)
            },
            ..OutboundConfig::new(spi, key, outer, sequence)
        });
    }

    fn install(&mut self, generation: u32) {
        let (spi, key) = (self.spi(generation), self.key(generation));
        let sa = InboundSa::new(InboundConfig {
            esn: self.setting.esn,
            ..InboundConfig::new(spi, key, self.setting.window)
        });
        assert!(self.receiver.insert(spi, sa.unwrap()).is_none());
        self.seen.insert(generation, BTreeSet::from([0]));
    }

    pub(crate) fn apply(&mut self, step: Step) {
        let oldest = *self.seen.first_key_value().unwrap().0;
        let newest = *self.seen.last_key_value().unwrap().0;
        match step {
            Step::Send { ipv6, body } => self.send(ipv6, body),
            Step::Jump(by) if !self.lossless || self.in_flight.is_empty() => {
                self.count_from(self.sender.sequence().next().saturating_add(by));
            }
            Step::Deliver(at) => {
                if let Some(packet) = self.pick(at) {
                    self.deliver(&packet);
                }
            }
            Step::Repeat(at) if !self.in_flight.is_empty() => {
                let packet = self.in_flight[self.position(at)].clone();
                self.deliver(&packet);
                self.in_flight.push(packet);
            }
            Step::Corrupt(at, octet, bit) if !self.in_flight.is_empty() => {
                let mut esp = self.in_flight[self.position(at)].esp.clone();
                let octet = octet.index(esp.len());
                esp[octet] ^= 1 << bit;
                let outcome = self.receive(&esp);
                assert!(
                    !matches!(outcome, Outcome::Delivered(_)),
                    "a changed packet was opened"
                );
            }
            Step::Lose(at) => {
                if let Some(packet) = self.pick(at) {
                    self.excused.insert((packet.generation, packet.number));
                }
            }
            Step::Install if newest - oldest < 3 => self.install(newest + 1),
            Step::Switch if self.generation < newest => {
                self.generation += 1;
                self.count_from(self.start());
            }
            Step::Retire if oldest < self.generation => {
                let awaited = self
                    .in_flight
                    .iter()
                    .any(|packet| packet.generation == oldest);
                if !(self.lossless && awaited) {
                    self.receiver.remove(self.spi(oldest)).unwrap();
                    self.seen.remove(&oldest);
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, ipv6: bool, body: usize) {
        let number = self.sender.sequence().next();
        // A counter makes each packet unique.
        let (mut inner, header) = if ipv6 {
            (packet6(48 + body, 0), 40)
        } else {
            (packet(28 + body), 20)
        };
        inner[header..header + 8].copy_from_slice(&(self.sent.len() as u64).to_be_bytes());
        let mut frame = inner.clone();
        frame.resize(300, 0xee);
        let mut out = [0xdd; 400];
        let answer = self.sender.seal(&mut frame, inner.len(), &mut out);
        if number > self.last_number() {
            assert_eq!(answer, Err(SealError::Exhausted));
            return;
        }
        let esp = esp(&out[..answer.unwrap()]).to_vec();
        let generation = self.generation;
        assert!(
            self.sent.insert((generation, number)),
            "a number was used twice"
        );
        self.in_flight.push(InFlight {
            generation,
            number,
            inner,
            esp,
        });
    }

    /// The index of the next packet. A lossless network reorders packets only within the narrowest window.
    fn position(&self, at: Index) -> usize {
        match self.lossless {
            true if self.overtaken >= 16 => 0,
            true => at.index(self.in_flight.len().min(16)),
            false => at.index(self.in_flight.len()),
        }
    }

    fn pick(&mut self, at: Index) -> Option<InFlight> {
        if self.in_flight.is_empty() {
            return None;
        }
        let position = self.position(at);
        self.overtaken = if position == 0 { 0 } else { self.overtaken + 1 };
        Some(self.in_flight.remove(position))
    }

    fn deliver(&mut self, packet: &InFlight) {
        let id = (packet.generation, packet.number);
        let mut expected = Outcome::Delivered(packet.inner.clone());
        let mut ambiguous = false;
        match self.seen.get(&packet.generation) {
            None => expected = Outcome::UnknownSpi,
            Some(seen) => {
                let (top, window) = (*seen.last().unwrap(), u64::from(self.setting.window));
                if seen.contains(&packet.number) {
                    expected = Outcome::Refused(OpenError::Replayed);
                }
                if packet.number.saturating_add(window) <= top {
                    expected = Outcome::Refused(OpenError::TooOld);
                }
                ambiguous = packet.number.saturating_sub(top) > ROUND - window;
            }
        }
        let outcome = self.receive(&packet.esp);
        // The receiver inferred a number within reach that has the same low half. This happens only if a
        // sender skips nearly 2^32 numbers, or after a restart of the receiver.
        let mistaken = [OpenError::Replayed, OpenError::TooOld].map(Outcome::Refused);
        if ambiguous && mistaken.contains(&outcome) {
            self.excused.insert(id);
            return;
        }
        assert_eq!(
            outcome, expected,
            "number {:#x} of SA {}",
            packet.number, packet.generation
        );
        if let Outcome::Delivered(_) = outcome {
            assert!(self.delivered.insert(id), "delivered twice");
            self.seen
                .get_mut(&packet.generation)
                .unwrap()
                .insert(packet.number);
        }
    }

    fn receive(&mut self, esp: &[u8]) -> Outcome {
        let sa = peek(esp).and_then(|(spi, _)| self.receiver.get_mut(spi));
        let Some(sa) = sa else {
            return Outcome::UnknownSpi;
        };
        match open(sa, esp, 0) {
            Ok(inner) => Outcome::Delivered(inner),
            Err(error) => Outcome::Refused(error),
        }
    }

    /// Delivers the packets in flight and checks the totals.
    pub(crate) fn finish(mut self) {
        for packet in std::mem::take(&mut self.in_flight) {
            self.deliver(&packet);
        }
        assert!(self.delivered.is_subset(&self.sent));
        if self.lossless {
            let arrived = self.delivered.union(&self.excused).copied().collect();
            assert_eq!(self.sent, arrived, "a packet was lost");
        }
    }
}
