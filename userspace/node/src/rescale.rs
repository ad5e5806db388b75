//! Cluster changes under load: the I/O of the coordinators, and the responders of gateways.
//!
//! | module | content |
//! |---|---|
//! | `driver` | executes the outputs of one peering's coordinator; `driver_input` has its inputs |
//! | `executor` | the thread of all drivers of a demux |
//! | `command` | requests for changes, from the control socket |
//! | `transports` | requests from a demux to its gateways |
//! | `sessions` | numbers the requests to each gateway, so that no recorded one is obeyed |
//! | `source_filter` | lets only datagrams of known senders into a socket |
//! | `message_receiver` | messages to a demux, over UDP |
//! | `peer_messages` | messages to a demux, through the tunnels of local workers |
//! | `peering_status` | the status of a peering |
//! | `event_log`, `rate_limited_log` | the log |
//! | `responder` | handles the requests to one gateway; `responder_thread` is the thread of all responders of a host |
//! | `directory` | the gateways, with their locations and their indices in the program's table |

mod command;
mod directory;
mod driver;
mod driver_input;
mod event_log;
mod executor;
mod message_receiver;
mod peer_messages;
mod peering_status;
mod rate_limited_log;
mod responder;
mod responder_thread;
mod sessions;
mod source_filter;
mod transports;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use causeway_rescale::Table;
use causeway_rescale::coordinator::State;
use causeway_steering::SteerHash;

use crate::state::{StateFile, at_start};
use crate::transient::Transient;
use crate::wire::{MessageAuth, PORT};
use crate::worker_handle::WorkerHandle;
use causeway_api::status::Role;
use causeway_config::Plan;
use responder::Responder;
use responder_thread::ControlPort;

pub use command::{Rescale, RescaleError};
pub use directory::Directory;
pub use driver::Buckets;
pub use executor::{Executor, Start};

/// The state file, shared by the drivers of all peerings.
pub type SharedStateFile = Arc<Mutex<StateFile>>;

/// Opens the state file of a demux, if it has one, and returns the initial state of each peering. Gateways that were added at
/// run time are in the directory again.
///
/// # Errors
/// The file is damaged or in use, or has a gateway that cannot be added.
pub fn states(
    plan: &Plan,
    role: Role,
    directory: &Directory,
) -> anyhow::Result<(Option<SharedStateFile>, Vec<State>)> {
    let path = plan.rescale.state.as_deref();
    let path = path.filter(|_| role == Role::Demux);
    let file = path.map(StateFile::open).transpose()?;
    let stored = |peering: &str| file.as_ref().and_then(|file| file.stored(peering));
    let states = start_states(plan, directory, stored)?;
    Ok((file.map(|file| Arc::new(Mutex::new(file))), states))
}

/// The initial state of each peering; `stored` returns its stored state.
///
/// # Errors
/// A stored state has a gateway that cannot be added.
pub fn start_states<'a>(
    plan: &Plan,
    directory: &Directory,
    stored: impl Fn(&str) -> Option<&'a State>,
) -> anyhow::Result<Vec<State>> {
    let mut states = Vec::with_capacity(plan.peerings.len());
    for peering in &plan.peerings {
        let state = at_start(plan, peering, stored(&peering.name))?;
        for member in in_force(&state).members() {
            directory.admit(peering.id, &member.name, member.address)?;
        }
        states.push(state);
    }
    Ok(states)
}

/// The table that a demux uses if it starts with this state.
pub fn in_force(state: &State) -> &Table {
    match &state.under_way {
        Some(change) if change.begun => &change.table,
        _ => &state.table,
    }
}

/// Starts the thread with the responders of the local gateways, in the order of the plan.
fn responders(
    plan: &Plan,
    auth: &Arc<MessageAuth>,
    workers: &[Arc<WorkerHandle>],
) -> anyhow::Result<crossbeam::channel::Sender<responder_thread::ResponderRequest>> {
    let hash = SteerHash::new(*plan.steering_key.octets());
    let local = plan.gateways.iter().filter(|gateway| gateway.is_local());
    let mut responders = Vec::new();
    for gateway in local {
        let workers = workers
            .iter()
            .filter(|worker| worker.gateway == gateway.name);
        let workers = workers.cloned().collect();
        responders.push(Responder::new(
            random_number()?,
            auth.clone(),
            hash,
            workers,
        ));
    }
    responder_thread::start(responders)
}

/// Starts to serve the requests of the demux, at a gateway. Without `vpc.demux` nobody may send any.
///
/// # Errors
/// The port is in use, or a thread cannot be started.
pub fn serve(
    plan: &Plan,
    workers: &[Arc<WorkerHandle>],
    failures: Transient,
) -> anyhow::Result<()> {
    let (Some(gateway), Some(demux)) = (plan.gateways.first(), plan.demux) else {
        return Ok(());
    };
    let auth = auth(plan);
    let port = ControlPort {
        socket: bind(gateway.address)?,
        own: gateway.address,
        demux,
        queue: responders(plan, &auth, workers)?,
        auth,
        failures,
    };
    // Of 32 bits, to keep messages short.
    port.serve((random_number()? >> 32) | 1)
}

fn auth(plan: &Plan) -> Arc<MessageAuth> {
    let key = plan.steering_key.octets();
    Arc::new(MessageAuth::new(key, &plan.vpc_prefixes))
}

fn bind(address: IpAddr) -> anyhow::Result<UdpSocket> {
    let address = SocketAddr::new(address, PORT);
    UdpSocket::bind(address).with_context(|| {
        format!("cannot bind UDP {address}, the port of demuxes and gateways; does another role run at this address?")
    })
}

fn random_number() -> anyhow::Result<u64> {
    let mut octets = [0; 8];
    let filled = aws_lc_rs::rand::fill(&mut octets);
    filled.ok().context("the random number generator failed")?;
    Ok(u64::from_be_bytes(octets))
}
