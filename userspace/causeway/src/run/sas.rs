//! SAs that come and go while a role runs.
//!
//! The order of things is the promise that nothing is lost: an inbound SA is in its worker first,
//! then the XDP program steers to it, then whoever asked is told. On its way out the program
//! forgets it first, then its worker drops it behind its last packet. `terms` makes SAs, `book`
//! knows which there are, `place` finds what is named, `list` shows them, and this file changes them.

mod book;
mod error;
mod list;
mod place;
mod terms;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use causeway_esp::Spi;
use causeway_gateway::{Command, Control, Direction, Refused, Reply};
use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};

pub use book::{Book, Entry};
pub use error::SaError;
pub use terms::{Allotment, RESERVATION, Terms};

use self::book::Leave;
use self::list::direction;
use super::IN_FLIGHT;
use crate::control::NewSa;
use crate::key::{SaKey, read_sa};
use crate::sequence::Reservation;

/// How long a worker may take to obey: it does so between two batches.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The table that leads the packets of an SPI to a worker.
pub trait Steer {
    /// Packets of this SPI go to this worker from now on.
    ///
    /// # Errors
    /// The kernel's.
    fn steer(&self, spi: Spi, worker: u32) -> anyhow::Result<()>;
    /// Packets of this SPI go to no worker any more.
    ///
    /// # Errors
    /// The kernel's.
    fn forget(&self, spi: Spi) -> anyhow::Result<()>;
}

/// A worker, as far as its SAs are concerned.
pub struct Post {
    /// Its gateway's name.
    pub gateway: String,
    /// Its number on this host.
    pub worker: u32,
    /// Control's end of its channels.
    pub control: Control,
    /// Its tunnels.
    pub terms: Vec<Terms>,
    /// For each tunnel the numbers of the outbound SA in use. The thread that answers the worker's
    /// events takes more of them.
    pub allotments: Arc<Mutex<Vec<Allotment>>>,
}

/// All SAs of this host.
pub struct Sas {
    posts: Vec<Post>,
    book: Mutex<Book>,
    /// One change at a time; held while disk and worker are waited for, where `book` is not.
    turn: Mutex<()>,
}

impl Sas {
    /// The SAs with which the workers start.
    pub fn new(posts: Vec<Post>, book: Book) -> Self {
        Self {
            posts,
            book: Mutex::new(book),
            turn: Mutex::new(()),
        }
    }

    /// The workers, in the order of their numbers.
    pub fn posts(&self) -> &[Post] {
        &self.posts
    }

    /// Adds an inbound SA: when this returns, packets on it are opened.
    ///
    /// # Errors
    /// [`SaError`]; nothing has changed then, but for [`SaError::NoAnswer`].
    pub fn install(&self, wanted: &NewSa, steer: &dyn Steer) -> Result<String, SaError> {
        let _turn = lock(&self.turn);
        let place @ (post, tunnel) = self.place(wanted)?;
        let spi = spi(wanted.spi)?;
        let (at, terms) = (&self.posts[post], &self.posts[post].terms[tunnel]);
        {
            let book = self.book();
            book.room()?;
            if let Some(entry) = book.inbound(spi) {
                return Err(self.in_use(entry));
            }
        }
        let key = read_sa(&wanted.key_file)?;
        self.book().take_key(&key, spi, &wanted.key_file)?;
        self.or_give_back(&key, || {
            let sa = terms.inbound(spi, &key)?;
            let lifetime = sa.lifetime();
            let sa = causeway_gateway::Metered::from(sa);
            let entry = Entry::new((spi, Direction::Inbound), place, sa.meter(), lifetime);
            at.tell(|reply| Command::Install { tunnel, sa, reply })?;
            if let Err(error) = steer.steer(spi, at.worker) {
                // Nothing was ever steered to it. It goes by itself; nobody waits for that.
                let reply = Reply::channel().0;
                at.control.send(Command::Retire { spi, reply })?;
                return Err(SaError::Steering { spi, error });
            }
            self.book().add(entry);
            Ok(())
        })?;
        tracing::info!(gateway = at.gateway, worker = at.worker, peering = terms.peering, %spi, "inbound SA installed");
        Ok(format!(
            "worker {} of {} receives {} on SPI {spi}",
            at.worker, at.gateway, terms.peering
        ))
    }

    /// Sends on another SA: when this returns, the next packet goes out on it, and the key of the
    /// one before is wiped.
    ///
    /// # Errors
    /// [`SaError`]; nothing has changed then, but for [`SaError::NoAnswer`].
    pub fn switch(&self, wanted: &NewSa) -> Result<String, SaError> {
        let _turn = lock(&self.turn);
        let place @ (post, tunnel) = self.place(wanted)?;
        let spi = spi(wanted.spi)?;
        let (at, terms) = (&self.posts[post], &self.posts[post].terms[tunnel]);
        self.is_free_towards(terms, spi)?;
        let key = read_sa(&wanted.key_file)?;
        let reservation = Reservation::open(&wanted.key_file)?;
        self.book().take_key(&key, spi, &wanted.key_file)?;
        self.or_give_back(&key, || {
            let (sa, allotment) = terms.outbound(spi, &key, reservation)?;
            let lifetime = sa.lifetime();
            let sa = causeway_gateway::Metered::from(sa);
            let entry = Entry::new((spi, Direction::Outbound), place, sa.meter(), lifetime);
            // In place before the worker can ask for more of them.
            let before = std::mem::replace(&mut lock(&at.allotments)[tunnel], allotment);
            let told = at.tell(|reply| Command::Switch { tunnel, sa, reply });
            if let Err(error @ (SaError::Refused(_) | SaError::Gone(_))) = told {
                lock(&at.allotments)[tunnel] = before;
                return Err(error);
            }
            told?;
            self.book().replace_outbound(entry);
            Ok(())
        })?;
        tracing::info!(gateway = at.gateway, worker = at.worker, peering = terms.peering, %spi, "outbound SA switched");
        Ok(format!(
            "worker {} of {} sends {} on SPI {spi}",
            at.worker, at.gateway, terms.peering
        ))
    }

    /// Lets an inbound SA go `after` a while, in which packets under it are still opened.
    ///
    /// # Errors
    /// [`SaError::NoSuchSpi`], [`SaError::LastInbound`]; nothing has changed then.
    pub fn retire(&self, number: u32, after: Duration) -> Result<String, SaError> {
        let spi = spi(number)?;
        let mut book = self.book();
        let entry = book.inbound(spi).ok_or(SaError::NoSuchSpi(spi))?;
        let at = &self.posts[entry.post];
        if matches!(entry.leave, Leave::No) && !book.has_successor(entry) {
            return Err(SaError::LastInbound {
                spi,
                peering: at.terms[entry.tunnel].peering.clone(),
                worker: at.worker,
            });
        }
        if let Some(entry) = book.inbound_mut(spi)
            && matches!(entry.leave, Leave::No | Leave::At(_))
        {
            entry.leave = Leave::At(Instant::now() + after);
        }
        tracing::info!(gateway = at.gateway, worker = at.worker, %spi, ?after, "inbound SA retires");
        Ok(format!("SPI {spi} goes after {} s", after.as_secs()))
    }

    /// Takes those that retire a step further. Called now and then.
    pub fn tick(&self, now: Instant, steer: &dyn Steer) {
        let mut gone = Vec::new();
        let mut book = self.book();
        for entry in book.entries_mut() {
            let (spi, at) = (entry.spi, &self.posts[entry.post]);
            match &entry.leave {
                Leave::At(time) if now >= *time => match steer.forget(spi) {
                    Ok(()) => entry.leave = Leave::Unsteered(now),
                    Err(error) => tracing::error!(%spi, %error, "the SPI is still steered"),
                },
                Leave::Unsteered(since) if now.saturating_duration_since(*since) >= IN_FLIGHT => {
                    let (reply, answer) = Reply::channel();
                    match at.control.send(Command::Retire { spi, reply }) {
                        Ok(()) => entry.leave = Leave::Told(answer),
                        Err(_) => gone.push(spi),
                    }
                }
                Leave::Told(answer) => match answer.try_recv() {
                    Err(TryRecvError::Empty) => {}
                    Ok(_) | Err(TryRecvError::Disconnected) => gone.push(spi),
                },
                Leave::No | Leave::At(_) | Leave::Unsteered(_) => {}
            }
        }
        for spi in gone {
            tracing::info!(%spi, "inbound SA retired");
            book.remove_inbound(spi);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Does what puts a key to use, and gives the key back if no worker can have got it.
    fn or_give_back(
        &self,
        key: &SaKey,
        work: impl FnOnce() -> Result<(), SaError>,
    ) -> Result<(), SaError> {
        let done = work();
        if let Err(error) = &done
            && !matches!(error, SaError::NoAnswer { .. })
        {
            self.book().give_key_back(key);
        }
        done
    }

    /// The peer chose each of its inbound SPIs for one SA.
    fn is_free_towards(&self, terms: &Terms, spi: Spi) -> Result<(), SaError> {
        let book = self.book();
        let taken = book.entries().iter().find(|entry| {
            let other = &self.posts[entry.post].terms[entry.tunnel];
            entry.direction == Direction::Outbound
                && entry.spi == spi
                && other.peer() == terms.peer()
        });
        match taken {
            Some(entry) => Err(self.in_use(entry)),
            None => Ok(()),
        }
    }

    fn in_use(&self, entry: &Entry) -> SaError {
        SaError::SpiInUse {
            spi: entry.spi,
            direction: direction(entry.direction).name(),
            gateway: self.posts[entry.post].gateway.clone(),
        }
    }
}

impl Post {
    /// Gives the worker a command and waits until it has obeyed.
    fn tell(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), SaError> {
        let (reply, answer): (_, Receiver<Result<(), Refused>>) = Reply::channel();
        self.control.send(command(reply))?;
        match answer.recv_timeout(ANSWER_WITHIN) {
            Ok(answer) => Ok(answer?),
            Err(RecvTimeoutError::Disconnected) => Err(causeway_gateway::Gone.into()),
            Err(RecvTimeoutError::Timeout) => Err(SaError::NoAnswer {
                gateway: self.gateway.clone(),
                worker: self.worker,
                seconds: ANSWER_WITHIN.as_secs(),
            }),
        }
    }
}

fn spi(number: u32) -> Result<Spi, SaError> {
    Spi::new(number).ok_or(SaError::ReservedSpi(number))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
