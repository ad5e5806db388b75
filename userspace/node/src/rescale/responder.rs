//! Handles the requests of demuxes to a gateway: sends commands to its workers, and replies when all workers have
//! answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_gateway::{Command, Control, Hold, Refused, Released, Reply as CommandReply};
use causeway_rescale::message::{FromGateway, Marker, PeerMessage, Reply, Request, ToGateway};
use causeway_steering::SteerHash;
use crossbeam::channel::{Receiver, Select, TryRecvError};

use crate::wire::{Ends, MessageAuth, build_packet};
use crate::worker_handle::WorkerHandle;

/// The time limit for the workers' answers. A worker handles commands between two bursts. A demux has resent its request
/// several times by then.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Requests in progress. Fewer than the capacity of a worker's queue, so that no send blocks.
const MAX_PENDING: usize = 32;
/// Replies that are stored, so that a resent request is not handled twice: about as many as one cluster change has.
/// Replies to markers and peer messages are not stored, because these are sent again when their request is resent.
const MAX_REPLIES: usize = 256;
/// Octets of the longest error text in a reply.
const MAX_ERROR: usize = 256;

/// Sends the reply to a request.
pub type Respond = Box<dyn FnOnce(FromGateway) + Send>;

/// Handles the requests to one gateway.
pub struct Responder {
    /// A random number of this start. Demuxes detect a restart by it.
    boot: u64,
    auth: Arc<MessageAuth>,
    hash: SteerHash,
    workers: Vec<Arc<WorkerHandle>>,
    /// The last replies.
    replies: VecDeque<FromGateway>,
    pending: Vec<PendingRequest>,
}

/// A request that not all workers have answered yet.
struct PendingRequest {
    id: u64,
    answers: Vec<PendingAnswer>,
    /// The reply if no worker refuses.
    reply: Reply,
    store_reply: bool,
    deadline: Instant,
    respond: Respond,
}

/// The answer of one worker.
enum PendingAnswer {
    Plain(Receiver<Result<(), Refused>>),
    Released(Receiver<Result<Released, Refused>>),
}

impl Responder {
    /// The responder of a gateway with these workers, in the order of their numbers. `boot` must differ between starts.
    pub fn new(
        boot: u64,
        auth: Arc<MessageAuth>,
        hash: SteerHash,
        workers: Vec<Arc<WorkerHandle>>,
    ) -> Self {
        Self {
            boot,
            auth,
            hash,
            workers,
            replies: VecDeque::with_capacity(MAX_REPLIES),
            pending: Vec::with_capacity(MAX_PENDING),
        }
    }

    /// Begins to handle a request. A request that was handled before gets the same reply again. If too many requests are
    /// pending, or a worker does not answer in time, there is no reply, and the demux resends the request.
    pub fn handle(&mut self, now: Instant, request: ToGateway, respond: Respond) {
        let id = request.id;
        if let Some(reply) = self.replies.iter().find(|reply| reply.id == id) {
            return respond(reply.clone());
        }
        if self.pending.len() >= MAX_PENDING || self.pending.iter().any(|other| other.id == id) {
            return;
        }
        match self.begin(now, &request) {
            Ok((reply, answers)) => self.pending.push(PendingRequest {
                id,
                answers,
                reply,
                store_reply: !matches!(
                    request.request,
                    Request::Mark { .. } | Request::SendToPeer { .. }
                ),
                deadline: now + ANSWER_TIMEOUT,
                respond,
            }),
            Err(why) => respond(self.refusal(id, why)),
        }
    }

    /// Replies to the requests that all workers have answered, and drops those whose time is over.
    pub fn poll(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(pending) = self.pending.get_mut(index) {
            let complete = pending.poll();
            if complete.is_ok_and(|complete| !complete) && now < pending.deadline {
                index += 1;
                continue;
            }
            let pending = self.pending.swap_remove(index);
            match complete {
                Ok(true) => {
                    let (id, boot, reply) = (pending.id, self.boot, pending.reply);
                    let reply = FromGateway { id, boot, reply };
                    if pending.store_reply {
                        if self.replies.len() == MAX_REPLIES {
                            self.replies.pop_front();
                        }
                        self.replies.push_back(reply.clone());
                    }
                    (pending.respond)(reply);
                }
                Ok(false) => {}
                Err(error) => (pending.respond)(self.refusal(pending.id, error.to_string())),
            }
        }
    }

    /// Adds the workers' pending answers to `select`.
    pub fn register<'a>(&'a self, select: &mut Select<'a>) {
        for answer in self.pending.iter().flat_map(|pending| &pending.answers) {
            match answer {
                PendingAnswer::Plain(answer) => select.recv(answer),
                PendingAnswer::Released(answer) => select.recv(answer),
            };
        }
    }

    /// The time of the next [`Self::poll`] if no worker answers before.
    pub fn deadline(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.deadline).min()
    }

    fn refusal(&self, id: u64, mut why: String) -> FromGateway {
        why.truncate(why.floor_char_boundary(MAX_ERROR));
        let (boot, reply) = (self.boot, Reply::Refused { why });
        FromGateway { id, boot, reply }
    }

    fn begin(
        &self,
        now: Instant,
        request: &ToGateway,
    ) -> Result<(Reply, Vec<PendingAnswer>), String> {
        let tunnels = self.tunnels(&request.peering)?;
        let workers = tunnels.len() as u16;
        let mut answers = Vec::with_capacity(tunnels.len());
        let reply = match &request.request {
            Request::Mark { from, to, marker } => {
                for ((control, tunnel), worker) in tunnels.into_iter().zip(0..) {
                    let marker = Marker {
                        worker,
                        workers,
                        ..*marker
                    };
                    let packet = self.packet((*from, *to), &PeerMessage::Marker(marker))?;
                    answers.push(request_answer(control, |reply| Command::Mark {
                        tunnel,
                        packet,
                        behind: true,
                        reply,
                    })?);
                }
                Reply::Sealed
            }
            Request::SendToPeer { from, to, message } => {
                let packet = self.packet((*from, *to), message)?;
                let (control, tunnel) = tunnels[0];
                answers.push(request_answer(control, |reply| Command::Mark {
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
                hold_timeout_action,
            } => {
                for (control, tunnel) in tunnels {
                    let hold = Hold {
                        tunnel,
                        id: request.id,
                        buckets: buckets.clone(),
                        hash: self.hash,
                        until: now + Duration::from_millis((*limit_ms).into()),
                        hold_timeout_action: *hold_timeout_action,
                    };
                    answers.push(request_answer(control, |reply| Command::Hold {
                        hold,
                        reply,
                    })?);
                }
                Reply::Held
            }
            Request::Release { hold } => {
                for (control, _) in tunnels {
                    let (reply, answer) = CommandReply::channel();
                    send(control, Command::Release { id: *hold, reply })?;
                    answers.push(PendingAnswer::Released(answer));
                }
                Reply::Released {
                    packets: 0,
                    dropped: 0,
                }
            }
            Request::Fence | Request::Lift => {
                let fenced = request.request == Request::Fence;
                for (control, tunnel) in tunnels {
                    answers.push(request_answer(control, |reply| Command::Fence {
                        tunnel,
                        fenced,
                        reply,
                    })?);
                }
                if fenced { Reply::Fenced } else { Reply::Lifted }
            }
            Request::Reset => {
                for (control, tunnel) in tunnels {
                    answers.push(request_answer(control, |reply| Command::Reset {
                        tunnel,
                        reply,
                    })?);
                }
                Reply::ResetDone
            }
        };
        Ok((reply, answers))
    }

    /// The workers that have a tunnel of the peering, at least one, each with the index of that tunnel.
    fn tunnels(&self, peering: &str) -> Result<Vec<(&Control, usize)>, String> {
        let workers = self.workers.iter();
        let found: Vec<_> = workers
            .filter_map(|worker| Some((&worker.control, worker.tunnel(peering)?)))
            .collect();
        if found.is_empty() {
            return Err(format!("the gateway has no tunnel of peering {peering:?}"));
        }
        Ok(found)
    }

    fn packet(
        &self,
        (from, to): (std::net::IpAddr, std::net::IpAddr),
        message: &PeerMessage,
    ) -> Result<Vec<u8>, String> {
        let payload = self
            .auth
            .encode(Ends { from, to }, message)
            .ok_or("the peer message is too long")?;
        build_packet(from, to, &payload).map_err(|error| error.to_string())
    }
}

impl PendingRequest {
    /// Returns whether all workers have answered.
    fn poll(&mut self) -> Result<bool, CommandError> {
        while let Some(answer) = self.answers.last() {
            match answer {
                PendingAnswer::Plain(answer) => match answer.try_recv() {
                    Ok(answer) => answer?,
                    Err(TryRecvError::Empty) => return Ok(false),
                    Err(TryRecvError::Disconnected) => return Err(CommandError::NoAnswer),
                },
                PendingAnswer::Released(answer) => match answer.try_recv() {
                    Ok(Ok(released)) => self.add(released),
                    // A worker that was restarted after the hold has no held packets.
                    Ok(Err(Refused::NoSuchHold { .. })) => {}
                    Ok(Err(refused)) => return Err(refused.into()),
                    Err(TryRecvError::Empty) => return Ok(false),
                    Err(TryRecvError::Disconnected) => return Err(CommandError::NoAnswer),
                },
            }
            self.answers.pop();
        }
        Ok(true)
    }

    fn add(&mut self, released: Released) {
        if let Reply::Released { packets, dropped } = &mut self.reply {
            *packets += released.packets;
            *dropped += released.dropped;
        }
    }
}

/// Why a worker did not execute a command.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Ended(#[from] causeway_gateway::Gone),
    #[error("the worker has ended")]
    NoAnswer,
}

fn request_answer(
    control: &Control,
    command: impl FnOnce(CommandReply) -> Command,
) -> Result<PendingAnswer, String> {
    let (reply, answer) = CommandReply::channel();
    send(control, command(reply))?;
    Ok(PendingAnswer::Plain(answer))
}

fn send(control: &Control, command: Command) -> Result<(), String> {
    control.send(command).map_err(|gone| gone.to_string())
}

#[cfg(test)]
mod tests;
