//! Freshness of the messages between a demux and a gateway: no recorded message is obeyed again.
//!
//! A request carries the incarnation of the demux, a sequence number within it, and the incarnation of the gateway for which
//! it is meant. A gateway obeys each number once, and no request of an earlier demux process or for an earlier gateway
//! process. To a request with another incarnation it replies with the ones that it knows. The demux then corrects its own
//! numbers, and its coordinator resends the request.

use causeway_rescale::message::{FromGateway, ToGateway};
use serde::{Deserialize, Serialize};

/// A request on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDatagram {
    /// Grows with each process of the demux, and no two processes have the same.
    pub incarnation: u64,
    /// Grows with each datagram to this gateway, also with a resent one.
    pub sequence: u64,
    /// The gateway's process for which the request is meant; 0 if none is known.
    pub recipient: u64,
    pub request: ToGateway,
}

/// A reply on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyDatagram {
    /// A number that differs for each process of the gateway, and is not 0.
    pub boot: u64,
    /// The newest incarnation of the demux that the gateway knows.
    pub newest: u64,
    /// The incarnation of the demux whose request this answers.
    pub recipient: u64,
    /// The sequence number of that request.
    pub answers: u64,
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was obeyed.
    Reply(FromGateway),
    /// It was not obeyed: it is of an earlier process of the demux, or for another one of the gateway.
    OtherProcess,
    /// It was not obeyed: its number is so old that it may have been used.
    Old,
}

/// The demux's side of a session with one gateway.
#[derive(Clone, Debug)]
pub struct DemuxSession {
    incarnation: u64,
    salt: u16,
    sequence: u64,
    gateway: u64,
    /// The sequence number of the latest request whose answer told `gateway`. An older answer is not believed.
    told: u64,
}

impl DemuxSession {
    /// A session of a process that started at this time, in milliseconds of Unix time. `salt` differs between processes that
    /// may have the same time, since the clock was set back.
    pub fn new(start: u64, salt: u16) -> Self {
        Self {
            incarnation: start << 16 | u64::from(salt),
            salt,
            sequence: 0,
            gateway: 0,
            told: 0,
        }
    }

    /// The datagram for a request.
    pub fn send(&mut self, request: ToGateway) -> RequestDatagram {
        self.sequence += 1;
        RequestDatagram {
            incarnation: self.incarnation,
            sequence: self.sequence,
            recipient: self.gateway,
            request,
        }
    }

    /// Learns from an authentic reply. Returns the reply if it is for this process.
    pub fn receive(&mut self, datagram: ReplyDatagram) -> Option<FromGateway> {
        if datagram.recipient != self.incarnation {
            return None;
        }
        if datagram.answers > self.told && datagram.answers <= self.sequence {
            (self.told, self.gateway) = (datagram.answers, datagram.boot);
            if datagram.newest > self.incarnation || datagram.outcome == Outcome::Old {
                // The clock was set back since the demux before this one started.
                let newer = (datagram.newest >> 16) + 1;
                self.incarnation = newer << 16 | u64::from(self.salt);
                (self.sequence, self.told) = (0, 0);
            }
        }
        match datagram.outcome {
            Outcome::Reply(reply) => Some(reply),
            Outcome::OtherProcess | Outcome::Old => None,
        }
    }
}

/// The numbers below the newest one that a gateway still tells apart: datagrams overtake each other by much less.
const WINDOW: u64 = u128::BITS as u64;

/// The gateway's side of a session with its demux.
#[derive(Clone, Debug)]
pub struct GatewaySession {
    boot: u64,
    newest: u64,
    highest: u64,
    /// Bit `n`: the number `highest - n` was obeyed.
    obeyed: u128,
}

/// What a gateway does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Obey it.
    Obey(ToGateway),
    /// Reply that it was not obeyed.
    Correct(ReplyDatagram),
    /// It was obeyed before.
    Repeated,
}

impl GatewaySession {
    /// A session of a process with the number `boot`, which is not 0.
    pub fn new(boot: u64) -> Self {
        Self {
            boot,
            newest: 0,
            highest: 0,
            obeyed: 0,
        }
    }

    /// Judges an authentic request.
    pub fn receive(&mut self, datagram: RequestDatagram) -> Verdict {
        let RequestDatagram {
            incarnation,
            sequence,
            recipient,
            request,
        } = datagram;
        // Also from a request that is not obeyed: the one that is obeyed first would else decide which others are older.
        if incarnation > self.newest {
            (self.newest, self.highest, self.obeyed) = (incarnation, 0, 0);
        }
        if recipient != self.boot || incarnation < self.newest {
            let numbers = (incarnation, sequence);
            return Verdict::Correct(self.answer(numbers, Outcome::OtherProcess));
        }
        if sequence > self.highest {
            let step = sequence - self.highest;
            let moved = u32::try_from(step).ok();
            let moved = moved.and_then(|step| self.obeyed.checked_shl(step));
            self.obeyed = moved.unwrap_or(0) | 1;
            self.highest = sequence;
            return Verdict::Obey(request);
        }
        let back = self.highest - sequence;
        if back >= WINDOW {
            return Verdict::Correct(self.answer((incarnation, sequence), Outcome::Old));
        }
        if self.obeyed & (1 << back) != 0 {
            return Verdict::Repeated;
        }
        self.obeyed |= 1 << back;
        Verdict::Obey(request)
    }

    /// The datagram that answers the request with this incarnation and sequence number.
    pub fn answer(&self, (recipient, answers): (u64, u64), outcome: Outcome) -> ReplyDatagram {
        ReplyDatagram {
            boot: self.boot,
            newest: self.newest,
            recipient,
            answers,
            outcome,
        }
    }
}
