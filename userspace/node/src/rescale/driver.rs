//! The driver of one peering's coordinator: passes inputs to the coordinator and executes its outputs.
//!
//! Outputs are executed in order. The driver waits for an output that needs the disk or the kernel. Inputs that
//! arrive meanwhile keep their time of arrival, so a slow disk does not lengthen the measured round trips.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use causeway_rescale::coordinator::{Coordinator, Input, Outcome, Output, Refusal, State};
use causeway_rescale::{BucketSet, Change, Ordinal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use super::SharedStateFile;
use super::directory::{Directory, GatewayLocation};
use super::driver_input::{ChangeError, DriverInput};
use super::event_log::log_event;
use super::peering_status::PeeringStatus;
use super::transports::Transports;
use crate::state::StateError;

/// The buckets in the program's table. Each method may wait for the kernel.
pub trait Buckets: Send + Sync {
    /// Assigns buckets to a gateway. When it returns, no packet uses the previous entries any more.
    ///
    /// # Errors
    /// Those of the kernel.
    fn assign(&self, peering: u32, buckets: &BucketSet, gateway: u32) -> anyhow::Result<()>;
    /// Assigns each bucket to a gateway as soon as the bucket is idle.
    ///
    /// # Errors
    /// Those of the kernel.
    fn assign_when_idle(
        &self,
        peering: u32,
        buckets: &BucketSet,
        gateway: u32,
    ) -> anyhow::Result<()>;
    /// Returns the buckets that have moved because they were idle.
    ///
    /// # Errors
    /// Those of the kernel.
    fn settle(&self, peering: u32, buckets: &BucketSet) -> anyhow::Result<BucketSet>;
    /// Sets the time for which a bucket of the peering must be idle before it moves.
    ///
    /// # Errors
    /// Those of the kernel.
    fn set_skew(&self, peering: u32, skew: Duration) -> anyhow::Result<()>;
}

/// The time between two attempts to write the state file.
const STORE_RETRY: Duration = Duration::from_secs(1);
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The driver of one peering.
pub struct Driver {
    /// The index of the peering in the program's table.
    pub peering: u32,
    pub name: String,
    pub coordinator: Coordinator,
    /// The zero of the coordinator's time.
    pub start: Instant,
    pub inputs: mpsc::Receiver<DriverInput>,
    pub directory: Arc<Directory>,
    pub transports: Transports,
    pub buckets: Arc<dyn Buckets>,
    pub state_file: Option<SharedStateFile>,
    pub status: Arc<Mutex<PeeringStatus>>,
    /// The requester of the change in progress.
    pub requester: Option<Requester>,
    /// Buckets that have moved, not yet passed to the coordinator.
    pub moved: Vec<BucketSet>,
    /// The latest state, if it is not on disk.
    pub unwritten: Option<(u64, State)>,
    /// A write of a state.
    pub writing: Option<Writing>,
}

/// A write, which returns the number of its state and whether it is on disk.
pub type Writing = JoinHandle<anyhow::Result<(u64, Result<(), StateError>)>>;

/// The result of the write in progress, if there is one.
async fn next(
    writing: &mut Option<Writing>,
) -> Option<anyhow::Result<(u64, Result<(), StateError>)>> {
    let ended = writing.as_mut()?.await;
    Some(ended.context("a write panicked").flatten())
}

/// The requester of a change, which waits for the result.
pub struct Requester {
    change: Change,
    result: oneshot::Sender<Result<Outcome, ChangeError>>,
}

impl Driver {
    /// Runs until every sender of inputs is dropped.
    ///
    /// # Errors
    /// The kernel refuses to write a table, so that the table in force is unknown.
    pub async fn run(mut self) -> anyhow::Result<()> {
        self.execute(None).await?;
        loop {
            let longest = self.start.elapsed() + LONGEST_SLEEP;
            let wake = self.start + self.coordinator.next_wake().min(longest);
            let input = tokio::select! {
                // An input that arrived before the timeout is handled before the timeout.
                biased;
                input = self.inputs.recv() => match input {
                    Some(input) => input,
                    None => return Ok(()),
                },
                Some(written) = next(&mut self.writing) => {
                    let (id, result) = written?;
                    let delay = self.written(id, result);
                    self.execute(None).await?;
                    // Unless the coordinator has given another state to the disk.
                    if self.writing.is_none() {
                        self.write_next(delay);
                    }
                    continue;
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    DriverInput::Received(Instant::now(), Input::Tick)
                }
            };
            match input {
                DriverInput::Received(at, input) => {
                    self.handle(at, input);
                    self.execute(None).await?;
                }
                DriverInput::Change {
                    change,
                    address,
                    result,
                } => self.start_change(change, address, result).await?,
            }
        }
    }

    async fn start_change(
        &mut self,
        change: Change,
        address: Option<IpAddr>,
        result: oneshot::Sender<Result<Outcome, ChangeError>>,
    ) -> anyhow::Result<()> {
        if let Change::Add { name, .. } = &change
            && let Err(error) = self.directory.admit(self.peering, name, address)
        {
            let _ = result.send(Err(error.into()));
            return Ok(());
        }
        tracing::info!(peering = self.name, ?change, "a change was requested");
        self.handle(
            Instant::now(),
            Input::Command {
                change: change.clone(),
                address,
            },
        );
        self.execute(Some(Requester { change, result })).await
    }

    fn handle(&mut self, at: Instant, input: Input) {
        self.lock_status().record_input(&input);
        let at = at.saturating_duration_since(self.start);
        self.coordinator.handle(at, input);
    }

    /// Executes all outputs of the coordinator. `new` is the requester of a change that the coordinator has just
    /// received.
    async fn execute(&mut self, mut new: Option<Requester>) -> anyhow::Result<()> {
        while let Some(output) = self.next_output() {
            match output {
                Output::ToGateway(ordinal, message) => {
                    if let Some(location) = self.location(ordinal) {
                        self.transports.send(location, ordinal, message);
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
                    self.moved.push(moved);
                }
                Output::Skew(skew) => {
                    let peering = self.peering;
                    self.in_kernel(move |table| table.set_skew(peering, skew))
                        .await?;
                }
                Output::Store { id, state } => self.store(id, state),
                Output::Done(result) => {
                    let requester = match (&result, self.requester.is_some()) {
                        // This result is for the new request. The change in progress continues.
                        (Err(Refusal::UnderWay { .. }), true) => new.take(),
                        _ => self.requester.take().or_else(|| new.take()),
                    };
                    self.finish_change(requester, result);
                }
                Output::Event(event) => {
                    let name = |pair| self.member(pair).unwrap_or_default();
                    log_event(&self.name, &event, name);
                    self.lock_status().record_event(&event);
                }
            }
        }
        if new.is_some() {
            self.requester = new;
        }
        let (table, peer) = (self.coordinator.table(), self.coordinator.peer_table());
        self.lock_status().record_table(table, peer);
        Ok(())
    }

    /// The next output. If there is none, passes the moved buckets to the coordinator, which may cause more outputs.
    fn next_output(&mut self) -> Option<Output> {
        loop {
            match self.coordinator.poll() {
                None => {
                    let moved = self.moved.pop()?;
                    self.handle(Instant::now(), Input::Idle(moved));
                }
                output => return output,
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
        let gateway = index.with_context(|| format!("gateway {name:?} has no index"))?;
        self.lock_status()
            .record_assignment(&buckets, to, when_idle);
        let peering = self.peering;
        self.in_kernel(move |table| match when_idle {
            true => table.assign_when_idle(peering, &buckets, gateway),
            false => table.assign(peering, &buckets, gateway),
        })
        .await
    }

    /// Writes a state beside all other work.
    fn store(&mut self, id: u64, state: State) {
        self.lock_status().record_state(&state);
        self.unwritten = Some((id, state));
        if self.writing.is_none() {
            self.write_next(Duration::ZERO);
        }
    }

    /// Begins to write the latest state after `delay`, unless it is written already.
    fn write_next(&mut self, delay: Duration) {
        let (Some((id, state)), file) = (self.unwritten.clone(), self.state_file.clone()) else {
            return;
        };
        let name = self.name.clone();
        self.writing = Some(tokio::spawn(async move {
            let Some(file) = file else {
                return Ok((id, Ok(())));
            };
            tokio::time::sleep(delay).await;
            let stored = spawn_blocking(move || lock(&file).store(&name, state)).await?;
            Ok((id, stored))
        }));
    }

    /// The disk has answered. Without the stored state a restart might use another table than the peer does, and an exit would
    /// stop the traffic. So the cluster does not change until a write succeeds, and everything else continues. Returns the
    /// delay of the next write.
    fn written(&mut self, id: u64, result: Result<(), StateError>) -> Duration {
        self.writing = None;
        let latest = |this: &Self| this.unwritten.as_ref().is_some_and(|latest| latest.0 == id);
        let mut delay = Duration::ZERO;
        let result = match result {
            Ok(()) => {
                if latest(self) {
                    self.unwritten = None;
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(
                    peering = self.name,
                    %error,
                    "the state cannot be stored; the cluster does not change until it can"
                );
                if latest(self) {
                    delay = STORE_RETRY;
                }
                Err(error.to_string())
            }
        };
        self.handle(Instant::now(), Input::Stored { id, result });
        delay
    }

    /// Runs `work`, which may wait for the kernel, while the drivers of other peerings continue.
    async fn in_kernel<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Buckets) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let buckets = self.buckets.clone();
        spawn_blocking(move || work(&*buckets)).await?
    }

    fn finish_change(&self, requester: Option<Requester>, result: Result<Outcome, Refusal>) {
        match &result {
            Ok(outcome) => tracing::info!(peering = self.name, ?outcome, "the change is complete"),
            Err(error) => tracing::warn!(peering = self.name, %error, "the change was not made"),
        }
        self.lock_status().record_result(&result);
        let Some(Requester {
            change,
            result: sender,
        }) = requester
        else {
            return;
        };
        let (Change::Add { name, .. }
        | Change::Remove { name }
        | Change::Drain { name }
        | Change::Weight { name, .. }) = &change;
        if self.coordinator.table().member(name).is_none() {
            self.directory.dismiss(self.peering, name);
        }
        // The requester may have disconnected.
        let _ = sender.send(result.map_err(ChangeError::from));
    }

    fn member(&self, ordinal: Ordinal) -> Option<String> {
        self.lock_status().name(ordinal)
    }

    fn location(&self, ordinal: Ordinal) -> Option<GatewayLocation> {
        self.directory.reachable(&self.member(ordinal)?)
    }

    fn lock_status(&self) -> MutexGuard<'_, PeeringStatus> {
        lock(&self.status)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
