//! The gateway's data path: a [`Worker`] is the loop of one pinned core, generic over its [`Device`](causeway_device::Device).
//!
//! 1. `worker` drives a `burst` through the stages; `run` adds commands, sleep and drain; `io` is the device with the counts.
//! 2. `receive` takes the burst; `classify` finds each packet's tunnel (`prefix`) or SA; `hold_stage` and `hold` keep packets back.
//! 3. `seal` encrypts for a `tunnel` (helpers: `fragment`, `mss`, `checksum`); `open` decrypts on an `inbound` SA (`sa`, `audit`).
//! 4. `deliver` checks and addresses packets, and `egress` queues them: `next_hop`, `ethernet`, `waiting`, `ordered`.
//! 5. `transmit` fills the ring, `reclaim` returns the frames.
//! 6. The worker originates `icmp` errors (bounded by `rate`); `dummy` and `marker` are sealed by `own_packet`.
//! 7. Control: `config`, `control` (channels), `reply`, `message`; reports of `too_big` packets set the `path_mtu`.
//! 8. Observed: `counters`, `stages` by the `timer`, `profile`, `latency`; `stall` detects a worker that did not run.

#![warn(missing_docs)]

mod audit;
mod burst;
pub mod checksum;
mod classify;
mod config;
mod control;
mod counters;
mod deliver;
mod dummy;
mod egress;
mod ethernet;
mod fragment;
mod hold;
mod hold_stage;
mod icmp;
mod inbound;
mod io;
mod latency;
mod marker;
mod message;
mod mss;
mod next_hop;
mod open;
mod ordered;
mod own_packet;
mod path_mtu;
mod prefix;
mod profile;
mod rate;
mod receive;
mod reclaim;
mod reply;
mod run;
mod sa;
mod seal;
mod stages;
mod stall;
mod timer;
mod too_big;
mod transmit;
mod tunnel;
mod waiting;
mod worker;

pub use causeway_device::STALL_AFTER;
pub use config::{DEFAULT_BURST, WorkerConfig, WorkerError};
pub use control::{Audit, Command, Control, Event, Gone};
pub use counters::{Changes, Counters, Drops, Totals, Traffic};
pub use hold::{Hold, Holds, Released};
pub use latency::histogram;
pub use message::ControlMessage;
pub use profile::{Bursts, Profile, Rings, Room};
pub use rate::TokenBucket;
pub use reply::{Refused, Reply};
pub use run::Finished;
pub use sa::{Bound, Direction, Limit, Meter, TrackedSa};
pub use stages::{Share, Stage, Stages};
pub use too_big::TooBig;
pub use tunnel::{Demuxes, Tunnel};
pub use worker::Worker;
