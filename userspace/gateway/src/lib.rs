//! The gateway's data path: [`Worker`], the whole loop of one pinned core, generic over its
//! [`Device`](causeway_device::Device), so that it runs over an AF_XDP socket and whole in memory.
//!
//! In the order in which a packet meets them: `worker` (a batch), `receive` (a burst), `classify`
//! (a packet's path), `runs` (packets of one SA); `seal` with `icmp`, `fragment` and `mss`, or
//! `open`; `deliver` (next hop and Ethernet header),
//! `waiting` (for a MAC address), `backlog` (into the transmit ring). Beside the path: [`Control`]
//! (channels to the control thread), [`Counters`], `stages` and `profile` (where the time goes), `run` (commands, sleep, drain), and the SAs:
//! `tunnel` has the one that sends, `inbound` those that receive, which come and go by [`Command`].
//! `path` keeps what `too_big` reads of a path's MTU, `dummy` sends where a tunnel is quiet.
//!
//! A worker shares nothing on the path. What control wants it to know comes as a [`Command`]
//! between two batches; what it wants of control goes out as an [`Event`], never waiting.

mod backlog;
mod behind;
pub mod checksum;
mod classify;
mod config;
mod control;
mod counters;
mod deliver;
mod dummy;
mod fragment;
mod held;
mod hold;
mod icmp;
mod inbound;
mod latency;
mod mark;
mod mss;
mod onward;
mod open;
mod path;
mod prefix;
mod profile;
mod rate;
mod receive;
mod reply;
mod run;
mod runs;
mod sa;
mod seal;
mod stages;
mod standstill;
mod too_big;
mod tunnel;
mod waiting;
mod word;
mod worker;

pub use causeway_device::STANDSTILL;
pub use config::{DEFAULT_BURST, WorkerConfig, WorkerError};
pub use control::{Audit, Bound, Command, Control, Direction, Event, Gone, Limit};
pub use counters::{Changes, Counters, Drops, Totals, Traffic};
pub use hold::{Hold, Holds, Released};
pub use latency::histogram;
pub use profile::{Bursts, Profile, Rings, Room};
pub use reply::{Refused, Reply};
pub use run::Finished;
pub use sa::{Meter, Metered};
pub use stages::{Share, Stage, Stages};
pub use too_big::TooBig;
pub use tunnel::Tunnel;
pub use word::Word;
pub use worker::Worker;
