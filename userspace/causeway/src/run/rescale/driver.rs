//! One peering's coordinator at work: what it is told, and what it wants done.
//!
//! Its wishes are carried out in their order, and one that waits for the disk or for the kernel is
//! waited for. What is heard meanwhile keeps the time at which it came, so that a slow disk makes no
//! pair slow.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use causeway_rescale::coordinator::{Coordinator, Input, Outcome, Output, Refusal, State};
use causeway_rescale::{BucketSet, Change, Ordinal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::Kept;
use super::directory::{Directory, NoPlace};
use super::say::say;
use super::socket::Ways;
use super::watch::Watch;

/// The program's table, as far as it changes. Any call may wait for the kernel.
pub trait Buckets: Send + Sync {
    /// Gives buckets to a gateway. When it returns, no packet goes by what was there before.
    ///
    /// # Errors
    /// The kernel's.
    fn assign(&self, peering: u32, buckets: &BucketSet, gateway: u32) -> anyhow::Result<()>;
    /// Gives each bucket to a gateway as soon as it is idle.
    ///
    /// # Errors
    /// The kernel's.
    fn assign_when_idle(
        &self,
        peering: u32,
        buckets: &BucketSet,
        gateway: u32,
    ) -> anyhow::Result<()>;
    /// Those of the buckets that have gone over.
    ///
    /// # Errors
    /// The kernel's.
    fn settle(&self, peering: u32, buckets: &BucketSet) -> anyhow::Result<BucketSet>;
    /// How long a peering's buckets must be idle to go over.
    ///
    /// # Errors
    /// The kernel's.
    fn set_skew(&self, peering: u32, skew: Duration) -> anyhow::Result<()>;
}

/// How long a disk has to recover until it is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// The longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What a driver is told.
pub enum Told {
    /// Something was heard, at a time.
    Heard(Instant, Input),
    /// Somebody wants a change, and waits.
    Wanted {
        /// The change.
        change: Change,
        /// Where the gateway is, if it joins.
        address: Option<IpAddr>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Outcome, NotDone>>,
    },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The gateway has no place.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// The coordinator says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A peering's driver.
pub struct Driver {
    /// The peering's place in the program's table.
    pub peering: u32,
    /// Its name.
    pub name: String,
    /// What it drives.
    pub coordinator: Coordinator,
    /// From when its times are counted.
    pub began: Instant,
    /// What it is told.
    pub told: mpsc::Receiver<Told>,
    /// All gateways.
    pub directory: Arc<Directory>,
    /// The ways to them.
    pub ways: Ways,
    /// The program's table.
    pub buckets: Arc<dyn Buckets>,
    /// The state file, if there is one.
    pub keep: Option<Kept>,
    /// What others see of it.
    pub watch: Arc<Mutex<Watch>>,
    /// Who waits for the change under way.
    pub waiting: Option<Waiting>,
    /// Buckets that have moved, of which the coordinator has not heard yet.
    pub idle: Vec<BucketSet>,
}

/// Somebody who waits for a change.
pub struct Waiting {
    change: Change,
    answer: oneshot::Sender<Result<Outcome, NotDone>>,
}

impl Driver {
    /// Drives until nobody tells it anything any more.
    ///
    /// # Errors
    /// The kernel does not take a table, or the disk no state: then what is true is not known any more.
    pub async fn run(mut self) -> anyhow::Result<()> {
        self.carry_out(None).await?;
        loop {
            let longest = self.began.elapsed() + LONGEST_SLEEP;
            let wake = self.began + self.coordinator.next_wake().min(longest);
            let told = tokio::select! {
                // What came before the time was over counts before it is.
                biased;
                told = self.told.recv() => match told {
                    Some(told) => told,
                    None => return Ok(()),
                },
                () = tokio::time::sleep_until(wake.into()) => {
                    Told::Heard(Instant::now(), Input::Tick)
                }
            };
            match told {
                Told::Heard(at, input) => {
                    self.handle(at, input);
                    self.carry_out(None).await?;
                }
                Told::Wanted {
                    change,
                    address,
                    answer,
                } => self.want(change, address, answer).await?,
            }
        }
    }

    async fn want(
        &mut self,
        change: Change,
        address: Option<IpAddr>,
        answer: oneshot::Sender<Result<Outcome, NotDone>>,
    ) -> anyhow::Result<()> {
        if let Change::Add { name, .. } = &change
            && let Err(refused) = self.directory.admit(self.peering, name, address)
        {
            let _ = answer.send(Err(refused.into()));
            return Ok(());
        }
        tracing::info!(peering = self.name, ?change, "a change is asked for");
        self.handle(
            Instant::now(),
            Input::Command {
                change: change.clone(),
                address,
            },
        );
        self.carry_out(Some(Waiting { change, answer })).await
    }

    fn handle(&mut self, at: Instant, input: Input) {
        self.look().hear(&input);
        let at = at.saturating_duration_since(self.began);
        self.coordinator.handle(at, input);
    }

    /// Does all that the coordinator wants. `fresh`: who has just asked for a change.
    async fn carry_out(&mut self, mut fresh: Option<Waiting>) -> anyhow::Result<()> {
        while let Some(output) = self.next() {
            match output {
                Output::ToGateway(ordinal, message) => {
                    if let Some(at) = self.gateway(ordinal) {
                        self.ways.send(at, ordinal, message);
                    }
                }
                Output::Assign {
                    buckets,
                    to,
                    when_idle,
                } => self.assign(buckets, to, when_idle).await?,
                Output::PollIdle(buckets) => {
                    let peering = self.peering;
                    let moved = self
                        .in_kernel(move |table| table.settle(peering, &buckets))
                        .await?;
                    self.idle.push(moved);
                }
                Output::Skew(skew) => {
                    let peering = self.peering;
                    self.in_kernel(move |table| table.set_skew(peering, skew))
                        .await?;
                }
                Output::Store(state) => self.store(state).await?,
                Output::Done(done) => {
                    let asked = match (&done, self.waiting.is_some()) {
                        // The one under way goes on.
                        (Err(Refusal::UnderWay { .. }), true) => fresh.take(),
                        _ => self.waiting.take().or_else(|| fresh.take()),
                    };
                    self.done(asked, done);
                }
                Output::Event(event) => {
                    let named = |pair| self.member(pair).unwrap_or_default();
                    say(&self.name, &event, named);
                    self.look().event(&event);
                }
            }
        }
        if fresh.is_some() {
            self.waiting = fresh;
        }
        let (table, peer) = (self.coordinator.table(), self.coordinator.peer_table());
        self.look().table(table, peer);
        Ok(())
    }

    /// The next wish; where there is none left, what the program's table has answered may bring more.
    fn next(&mut self) -> Option<Output> {
        loop {
            match self.coordinator.poll() {
                None => {
                    let moved = self.idle.pop()?;
                    self.handle(Instant::now(), Input::Idle(moved));
                }
                wish => return wish,
            }
        }
    }

    async fn assign(
        &mut self,
        buckets: BucketSet,
        to: Ordinal,
        when_idle: bool,
    ) -> anyhow::Result<()> {
        let name = self
            .member(to)
            .context("a bucket for a pair that is no member")?;
        let index = self.directory.index(&name);
        let gateway = index.with_context(|| format!("no place for gateway {name:?}"))?;
        self.look().assign(&buckets, to, when_idle);
        let peering = self.peering;
        self.in_kernel(move |table| match when_idle {
            true => table.assign_when_idle(peering, &buckets, gateway),
            false => table.assign(peering, &buckets, gateway),
        })
        .await
    }

    async fn store(&mut self, state: State) -> anyhow::Result<()> {
        self.look().state(&state);
        let Some(keep) = self.keep.clone() else {
            return Ok(());
        };
        loop {
            let (keep, name, state) = (keep.clone(), self.name.clone(), state.clone());
            let stored = spawn_blocking(move || lock(&keep).store(&name, state)).await?;
            let Err(error) = stored else { return Ok(()) };
            // To go on would risk another table than the peer's after a restart; to end would stop
            // what flows. So this peering's cluster stays as it is meanwhile.
            tracing::error!(peering = self.name, %error, "the cluster stands still until this can be stored");
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    /// Does what may wait for the kernel, and lets other peerings go on meanwhile.
    async fn in_kernel<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Buckets) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let buckets = self.buckets.clone();
        spawn_blocking(move || work(&*buckets)).await?
    }

    fn done(&self, asked: Option<Waiting>, done: Result<Outcome, Refusal>) {
        match &done {
            Ok(outcome) => tracing::info!(peering = self.name, ?outcome, "the change is made"),
            Err(error) => tracing::warn!(peering = self.name, %error, "the change is not made"),
        }
        self.look().done(&done);
        let Some(Waiting { change, answer }) = asked else {
            return;
        };
        let (Change::Add { name, .. }
        | Change::Remove { name }
        | Change::Drain { name }
        | Change::Weight { name, .. }) = &change;
        if self.coordinator.table().member(name).is_none() {
            self.directory.dismiss(self.peering, name);
        }
        // Whoever asked may have gone.
        let _ = answer.send(done.map_err(NotDone::from));
    }

    fn member(&self, ordinal: Ordinal) -> Option<String> {
        self.look().name(ordinal)
    }

    fn gateway(&self, ordinal: Ordinal) -> Option<super::directory::Whereabouts> {
        self.directory.reachable(&self.member(ordinal)?)
    }

    fn look(&self) -> MutexGuard<'_, Watch> {
        lock(&self.watch)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
