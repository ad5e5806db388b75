//! What a gateway does when a demux asks: it tells its workers, and answers when all have obeyed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_gateway::{Command, Control, Hold, Refused, Released, Reply as Answering};
use causeway_rescale::message::{FromGateway, Marker, PeerWord, Reply, Request, ToGateway};
use causeway_steering::SteerHash;
use crossbeam::channel::{Receiver, Select, TryRecvError};

use crate::wire::{Seals, to_peer};

/// How long workers may take to obey. They do so between two batches; a demux has asked again
/// several times by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Requests under way. Fewer than a worker's channel has places, so that none is ever waited for.
const UNDER_WAY: usize = 32;
/// Answers that are remembered, so that a request that comes again changes nothing: those of
/// a rescale's length. Markers are not among them, since one that comes again is to be sent again.
const REMEMBERED: usize = 256;
/// Octets of a refusal's sentence that an answer carries.
const SENTENCE: usize = 256;

/// Where an answer goes.
pub type Answer = Box<dyn FnOnce(FromGateway) + Send>;

/// A worker of the gateway.
pub struct Seat {
    /// Control's end of its channels.
    pub control: Control,
    /// The names of its tunnels' peerings.
    pub peerings: Vec<String>,
}

/// One gateway's.
pub struct Agent {
    boot: u64,
    seals: Arc<Seals>,
    hash: SteerHash,
    seats: Vec<Seat>,
    answered: VecDeque<FromGateway>,
    under_way: Vec<UnderWay>,
}

/// A request that its workers have not all obeyed yet.
struct UnderWay {
    id: u64,
    waits: Vec<Wait>,
    /// What is answered if all goes well.
    reply: Reply,
    remember: bool,
    until: Instant,
    answer: Answer,
}

/// One worker's answer.
enum Wait {
    Plain(Receiver<Result<(), Refused>>),
    Released(Receiver<Result<Released, Refused>>),
}

impl Agent {
    /// The agent of a gateway with these workers, in the order of their numbers. `boot` is another
    /// number for each start.
    pub fn new(boot: u64, seals: Arc<Seals>, hash: SteerHash, seats: Vec<Seat>) -> Self {
        Self {
            boot,
            seals,
            hash,
            seats,
            answered: VecDeque::with_capacity(REMEMBERED),
            under_way: Vec::with_capacity(UNDER_WAY),
        }
    }

    /// Begins what is asked, unless that has been done. When there is no place for it, or no worker
    /// obeys in time, nobody answers, and the demux asks again.
    pub fn ask(&mut self, now: Instant, asked: ToGateway, answer: Answer) {
        let id = asked.id;
        if let Some(known) = self.answered.iter().find(|known| known.id == id) {
            return answer(known.clone());
        }
        if self.under_way.len() >= UNDER_WAY || self.under_way.iter().any(|one| one.id == id) {
            return;
        }
        match self.begin(now, &asked) {
            Ok((reply, waits)) => self.under_way.push(UnderWay {
                id,
                waits,
                reply,
                remember: !matches!(asked.request, Request::Mark { .. } | Request::Carry { .. }),
                until: now + ANSWER_WITHIN,
                answer,
            }),
            Err(why) => answer(self.refusal(id, why)),
        }
    }

    /// Answers what all workers have answered, and forgets what they do not.
    pub fn settle(&mut self, now: Instant) {
        let mut at = 0;
        while let Some(one) = self.under_way.get_mut(at) {
            let settled = one.settle();
            if settled.is_ok_and(|whole| !whole) && now < one.until {
                at += 1;
                continue;
            }
            let one = self.under_way.swap_remove(at);
            match settled {
                Ok(true) => {
                    let (id, boot, reply) = (one.id, self.boot, one.reply);
                    let said = FromGateway { id, boot, reply };
                    if one.remember {
                        if self.answered.len() == REMEMBERED {
                            self.answered.pop_front();
                        }
                        self.answered.push_back(said.clone());
                    }
                    (one.answer)(said);
                }
                Ok(false) => {}
                Err(refused) => (one.answer)(self.refusal(one.id, refused.to_string())),
            }
        }
    }

    /// Waits for a worker's answer too.
    pub fn register<'a>(&'a self, select: &mut Select<'a>) {
        for wait in self.under_way.iter().flat_map(|one| &one.waits) {
            match wait {
                Wait::Plain(answer) => select.recv(answer),
                Wait::Released(answer) => select.recv(answer),
            };
        }
    }

    /// When to settle at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.iter().map(|one| one.until).min()
    }

    fn refusal(&self, id: u64, mut why: String) -> FromGateway {
        why.truncate(why.floor_char_boundary(SENTENCE));
        let (boot, reply) = (self.boot, Reply::Refused { why });
        FromGateway { id, boot, reply }
    }

    fn begin(&self, now: Instant, asked: &ToGateway) -> Result<(Reply, Vec<Wait>), String> {
        let tunnels = self.tunnels(&asked.peering)?;
        let workers = tunnels.len() as u16;
        let mut waits = Vec::with_capacity(tunnels.len());
        let reply = match &asked.request {
            Request::Mark { from, to, marker } => {
                for ((control, tunnel), worker) in tunnels.into_iter().zip(0..) {
                    let marker = Marker {
                        worker,
                        workers,
                        ..*marker
                    };
                    let packet = self.packet((*from, *to), &PeerWord::Marker(marker))?;
                    waits.push(tell(control, |reply| Command::Mark {
                        tunnel,
                        packet,
                        behind: true,
                        reply,
                    })?);
                }
                Reply::Sealed
            }
            Request::Carry { from, to, word } => {
                let packet = self.packet((*from, *to), word)?;
                let (control, tunnel) = tunnels[0];
                waits.push(tell(control, |reply| Command::Mark {
                    tunnel,
                    packet,
                    behind: false,
                    reply,
                })?);
                Reply::Sealed
            }
            Request::Hold {
                buckets,
                limit_ms,
                at_limit,
            } => {
                for (control, tunnel) in tunnels {
                    let hold = Hold {
                        tunnel,
                        id: asked.id,
                        buckets: buckets.clone(),
                        hash: self.hash,
                        until: now + Duration::from_millis((*limit_ms).into()),
                        at_limit: *at_limit,
                    };
                    waits.push(tell(control, |reply| Command::Hold { hold, reply })?);
                }
                Reply::Held
            }
            Request::Release { hold } => {
                for (control, _) in tunnels {
                    let (reply, answer) = Answering::channel();
                    send(control, Command::Release { id: *hold, reply })?;
                    waits.push(Wait::Released(answer));
                }
                Reply::Released {
                    packets: 0,
                    dropped: 0,
                }
            }
            Request::Fence | Request::Lift => {
                let fenced = asked.request == Request::Fence;
                for (control, tunnel) in tunnels {
                    waits.push(tell(control, |reply| Command::Fence {
                        tunnel,
                        fenced,
                        reply,
                    })?);
                }
                if fenced { Reply::Fenced } else { Reply::Lifted }
            }
            Request::Reset => {
                for (control, tunnel) in tunnels {
                    waits.push(tell(control, |reply| Command::Reset { tunnel, reply })?);
                }
                Reply::ResetDone
            }
        };
        Ok((reply, waits))
    }

    /// Its workers that have a tunnel of the peering, at least one, and the tunnel's place there.
    fn tunnels(&self, peering: &str) -> Result<Vec<(&Control, usize)>, String> {
        let place = |seat: &Seat| seat.peerings.iter().position(|name| name == peering);
        let seats = self.seats.iter();
        let found: Vec<_> = seats
            .filter_map(|seat| place(seat).map(|tunnel| (&seat.control, tunnel)))
            .collect();
        if found.is_empty() {
            return Err(format!("the gateway has no tunnel of peering {peering:?}"));
        }
        Ok(found)
    }

    fn packet(
        &self,
        (from, to): (std::net::IpAddr, std::net::IpAddr),
        word: &PeerWord,
    ) -> Result<Vec<u8>, String> {
        let sealed = self.seals.seal(word).ok_or("the word is too long")?;
        to_peer(from, to, &sealed).map_err(|error| error.to_string())
    }
}

impl UnderWay {
    /// Whether all workers have obeyed.
    fn settle(&mut self) -> Result<bool, Refusal> {
        while let Some(wait) = self.waits.last() {
            match wait {
                Wait::Plain(answer) => match answer.try_recv() {
                    Ok(answer) => answer?,
                    Err(TryRecvError::Empty) => return Ok(false),
                    Err(TryRecvError::Disconnected) => return Err(Refusal::Gone),
                },
                Wait::Released(answer) => match answer.try_recv() {
                    Ok(Ok(released)) => self.count(released),
                    // A worker that was started anew since keeps nothing.
                    Ok(Err(Refused::NoSuchHold { .. })) => {}
                    Ok(Err(refused)) => return Err(refused.into()),
                    Err(TryRecvError::Empty) => return Ok(false),
                    Err(TryRecvError::Disconnected) => return Err(Refusal::Gone),
                },
            }
            self.waits.pop();
        }
        Ok(true)
    }

    fn count(&mut self, released: Released) {
        if let Reply::Released { packets, dropped } = &mut self.reply {
            *packets += released.packets;
            *dropped += released.dropped;
        }
    }
}

/// Why a worker does not obey.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Ended(#[from] causeway_gateway::Gone),
    #[error("the worker has ended")]
    Gone,
}

fn tell(control: &Control, command: impl FnOnce(Answering) -> Command) -> Result<Wait, String> {
    let (reply, answer) = Answering::channel();
    send(control, command(reply))?;
    Ok(Wait::Plain(answer))
}

fn send(control: &Control, command: Command) -> Result<(), String> {
    control.send(command).map_err(|gone| gone.to_string())
}

#[cfg(test)]
mod tests;
