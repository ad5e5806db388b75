//! One direction between the endpoints, and the model of what must come out of it.

use std::collections::{BTreeMap, BTreeSet};

use causeway_esp::{
    Cipher, InboundConfig, InboundSa, Key, OpenError, OutboundConfig, OutboundSa, Outer, SaTable,
    SealError, Sequence, Spi, Tfc, peek,
};
use proptest::sample::Index;

use crate::common::*;
use crate::{ROUND, Setting, Step};

#[derive(Clone)]
struct Flying {
    generation: u32,
    number: u64,
    inner: Vec<u8>,
    esp: Vec<u8>,
}

/// What becomes of a packet that reaches its receiver.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Delivered(Vec<u8>),
    UnknownSpi,
    Refused(OpenError),
}

/// One direction: a sender with its newest SA in use, the network, a receiver with several SAs.
pub(crate) struct Way {
    setting: Setting,
    salt: u8,
    /// Whether the network is a kind one, on which nothing may be missed.
    kind: bool,
    sender: OutboundSa,
    generation: u32,
    receiver: SaTable<InboundSa>,
    /// What each SA of the receiver has let through: the model.
    seen: BTreeMap<u32, BTreeSet<u64>>,
    flying: Vec<Flying>,
    sent: BTreeSet<(u32, u64)>,
    /// Lost by the network, or in the one way in which 32 bits cannot tell two numbers apart.
    excused: BTreeSet<(u32, u64)>,
    delivered: BTreeSet<(u32, u64)>,
    overtaken: usize,
}

impl Way {
    pub(crate) fn new(setting: &Setting, salt: u8, kind: bool) -> Way {
        let mut way = Way {
            setting: setting.clone(),
            salt,
            kind,
            sender: outbound(Cipher::Aes128Gcm, RAW, 1),
            generation: 0,
            receiver: SaTable::new(),
            seen: BTreeMap::new(),
            flying: Vec::new(),
            sent: BTreeSet::new(),
            excused: BTreeSet::new(),
            delivered: BTreeSet::new(),
            overtaken: 0,
        };
        way.install(0);
        way.count_from(way.start());
        way
    }

    fn spi(&self, generation: u32) -> Spi {
        Spi::new(0x1000 + generation).unwrap()
    }

    /// A key of its own for each SA, as after a key exchange.
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
            Step::Jump(by) if !self.kind || self.flying.is_empty() => {
                self.count_from(self.sender.sequence().next().saturating_add(by));
            }
            Step::Deliver(at) => {
                if let Some(packet) = self.pick(at) {
                    self.deliver(&packet);
                }
            }
            Step::Repeat(at) if !self.flying.is_empty() => {
                let packet = self.flying[self.place(at)].clone();
                self.deliver(&packet);
                self.flying.push(packet);
            }
            Step::Corrupt(at, octet, bit) if !self.flying.is_empty() => {
                let mut esp = self.flying[self.place(at)].esp.clone();
                let octet = octet.index(esp.len());
                esp[octet] ^= 1 << bit;
                let fate = self.receive(&esp);
                assert!(
                    !matches!(fate, Fate::Delivered(_)),
                    "opened what was changed"
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
                let grace = self.flying.iter().any(|packet| packet.generation == oldest);
                if !(self.kind && grace) {
                    self.receiver.remove(self.spi(oldest)).unwrap();
                    self.seen.remove(&oldest);
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, ipv6: bool, body: usize) {
        let number = self.sender.sequence().next();
        // Marked, so that no two packets are alike.
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
        self.flying.push(Flying {
            generation,
            number,
            inner,
            esp,
        });
    }

    /// A kind network lets packets overtake each other, but within the narrowest window.
    fn place(&self, at: Index) -> usize {
        match self.kind {
            true if self.overtaken >= 16 => 0,
            true => at.index(self.flying.len().min(16)),
            false => at.index(self.flying.len()),
        }
    }

    fn pick(&mut self, at: Index) -> Option<Flying> {
        if self.flying.is_empty() {
            return None;
        }
        let place = self.place(at);
        self.overtaken = if place == 0 { 0 } else { self.overtaken + 1 };
        Some(self.flying.remove(place))
    }

    fn deliver(&mut self, packet: &Flying) {
        let id = (packet.generation, packet.number);
        let mut expected = Fate::Delivered(packet.inner.clone());
        let mut ambiguous = false;
        match self.seen.get(&packet.generation) {
            None => expected = Fate::UnknownSpi,
            Some(seen) => {
                let (top, window) = (*seen.last().unwrap(), u64::from(self.setting.window));
                if seen.contains(&packet.number) {
                    expected = Fate::Refused(OpenError::Replayed);
                }
                if packet.number.saturating_add(window) <= top {
                    expected = Fate::Refused(OpenError::Old);
                }
                ambiguous = packet.number.saturating_sub(top) > ROUND - window;
            }
        }
        let fate = self.receive(&packet.esp);
        // Taken for a number within reach that has the same low half. Only a sender that leaves out
        // nearly 2^32 numbers, or a receiver that starts anew, comes to that.
        let mistaken = [OpenError::Replayed, OpenError::Old].map(Fate::Refused);
        if ambiguous && mistaken.contains(&fate) {
            self.excused.insert(id);
            return;
        }
        assert_eq!(
            fate, expected,
            "number {:#x} of SA {}",
            packet.number, packet.generation
        );
        if let Fate::Delivered(_) = fate {
            assert!(self.delivered.insert(id), "delivered twice");
            self.seen
                .get_mut(&packet.generation)
                .unwrap()
                .insert(packet.number);
        }
    }

    fn receive(&mut self, esp: &[u8]) -> Fate {
        let sa = peek(esp).and_then(|(spi, _)| self.receiver.get_mut(spi));
        let Some(sa) = sa else {
            return Fate::UnknownSpi;
        };
        match open(sa, esp, 0) {
            Ok(inner) => Fate::Delivered(inner),
            Err(error) => Fate::Refused(error),
        }
    }

    /// What is still on its way arrives.
    pub(crate) fn finish(mut self) {
        for packet in std::mem::take(&mut self.flying) {
            self.deliver(&packet);
        }
        assert!(self.delivered.is_subset(&self.sent));
        if self.kind {
            let arrived = self.delivered.union(&self.excused).copied().collect();
            assert_eq!(self.sent, arrived, "a packet was missed");
        }
    }
}
