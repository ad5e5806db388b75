//! How a role's clusters change under load: what carries out a coordinator's wishes, and what a
//! gateway does for a demux.
//!
//! At a demux: `driver` is one peering's coordinator at work, `executor` the thread in which all
//! of them run, `command` what is asked of them, `socket` its UDP, `watch` what status sees, `say` what the log does. At every host with local gateways:
//! `agent` obeys demuxes, `desk` is its thread, `words` brings what the tunnels bring to a
//! demux that has its gateways on its own host. `directory` knows all gateways by their places.

mod agent;
mod command;
mod desk;
mod directory;
mod driver;
mod executor;
mod noise;
mod say;
mod socket;
mod watch;
mod words;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use causeway_rescale::Table;
use causeway_rescale::coordinator::State;
use causeway_steering::SteerHash;

use super::workers::Seat;
use crate::config::Plan;
use crate::state::{StateFile, at_start};
use crate::status::Role;
use crate::wire::{PORT, Seals};
use agent::Agent;

pub use command::{Rescale, Unchanged};
pub use directory::Directory;
pub use driver::Buckets;
pub use executor::{Executor, Start};

/// The state file, common to all peerings.
pub type Kept = Arc<Mutex<StateFile>>;

/// The state file of a demux, if it has one, and what each peering starts with. Gateways that joined
/// at run time have their places again.
///
/// # Errors
/// The file is damaged or in use, or names a gateway that cannot be.
pub fn states(
    plan: &Plan,
    role: Role,
    directory: &Directory,
) -> anyhow::Result<(Option<Kept>, Vec<State>)> {
    let path = plan.rescale.state.as_deref();
    let path = path.filter(|_| role == Role::Demux);
    let file = path.map(StateFile::open).transpose()?;
    let kept = |peering: &str| file.as_ref().and_then(|file| file.kept(peering));
    let states = start_states(plan, directory, kept)?;
    Ok((file.map(|file| Arc::new(Mutex::new(file))), states))
}

/// What each peering starts with, of which this is `kept`.
///
/// # Errors
/// What is kept names a gateway that cannot be.
pub fn start_states<'a>(
    plan: &Plan,
    directory: &Directory,
    kept: impl Fn(&str) -> Option<&'a State>,
) -> anyhow::Result<Vec<State>> {
    let mut states = Vec::with_capacity(plan.peerings.len());
    for peering in &plan.peerings {
        let state = at_start(plan, peering, kept(&peering.name))?;
        for member in in_force(&state).members() {
            directory.admit(peering.id, &member.name, member.address)?;
        }
        states.push(state);
    }
    Ok(states)
}

/// The table by which a demux steers that starts with a state.
pub fn in_force(state: &State) -> &Table {
    match &state.under_way {
        Some(change) if change.begun => &change.table,
        _ => &state.table,
    }
}

/// The agents of the plan's local gateways, in their order, at work.
fn agents(
    plan: &Plan,
    seals: &Arc<Seals>,
    seats: &[Seat],
) -> anyhow::Result<crossbeam::channel::Sender<desk::Asked>> {
    let hash = SteerHash::new(*plan.steering_key.octets());
    let local = plan.gateways.iter().filter(|gateway| gateway.is_local());
    let mut agents = Vec::new();
    for gateway in local {
        let own = seats.iter().filter(|seat| seat.gateway == gateway.name);
        let seats = own.map(|seat| agent::Seat {
            control: seat.control.clone(),
            peerings: seat.peerings.clone(),
        });
        agents.push(Agent::new(number()?, seals.clone(), hash, seats.collect()));
    }
    desk::open(agents)
}

/// Lets a gateway's agent hear its demux.
///
/// # Errors
/// Where the port is taken, or a thread cannot be started.
pub fn serve(plan: &Plan, seats: &[Seat]) -> anyhow::Result<()> {
    let seals = Arc::new(Seals::new(plan.steering_key.octets()));
    let Some(gateway) = plan.gateways.first() else {
        return Ok(());
    };
    let socket = bind(gateway.address)?;
    desk::listen(socket, seals.clone(), agents(plan, &seals, seats)?)
}

fn bind(address: IpAddr) -> anyhow::Result<UdpSocket> {
    let at = SocketAddr::new(address, PORT);
    UdpSocket::bind(at).with_context(|| {
        format!("cannot listen on UDP {at}, where demux and gateways speak to each other; is another role running at this address?")
    })
}

/// A number by chance.
fn number() -> anyhow::Result<u64> {
    let mut octets = [0; 8];
    let filled = aws_lc_rs::rand::fill(&mut octets);
    filled.ok().context("the system gives no random numbers")?;
    Ok(u64::from_be_bytes(octets))
}
