//! `causeway tune`: what the host should change for the role that a configuration describes.
//!
//! A [`Scene`] is what the checks look at: the plan's workers and cores, the NIC as its driver tells
//! of it, and the host's `/proc` and `/sys` below a root that a test may make up. Each check is one
//! function over it that gives one [`Finding`]; [`apply`] carries out what is safe.

mod affinity;
pub mod apply;
mod clock;
pub mod cmdline;
mod command;
pub mod cores;
pub mod finding;
mod governor;
pub mod host;
mod hugepages;
mod idle;
pub mod interrupts;
mod isolation;
mod jit;
mod memlock;
mod mitigations;
mod mtu;
mod napi;
mod numa;
mod offloads;
mod print;
mod queues;
pub mod scene;
mod siblings;
mod xdp;

pub use command::Tune;
pub use finding::{Finding, Status};
pub use host::Host;
pub use scene::Scene;

/// All checks, in the order in which they are shown.
pub fn examine(scene: &Scene) -> Vec<Finding> {
    vec![
        governor::examine(scene),
        idle::examine(scene),
        clock::examine(scene),
        siblings::examine(scene),
        numa::examine(scene),
        isolation::scheduler(scene),
        isolation::tick(scene),
        isolation::rcu(scene),
        affinity::interrupts(scene),
        affinity::balancer(scene),
        queues::count(scene),
        queues::rings(scene),
        napi::defer(scene),
        napi::flush(scene),
        offloads::lro(scene),
        offloads::hardware_gro(scene),
        offloads::vlan(scene),
        mtu::examine(scene),
        xdp::mode(scene),
        xdp::zero_copy(scene),
        memlock::examine(scene),
        hugepages::examine(scene),
        jit::compiler(scene),
        jit::hardening(scene),
        jit::statistics(scene),
        mitigations::examine(scene),
    ]
}
