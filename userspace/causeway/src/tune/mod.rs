//! `causeway tune`: host settings for the role of a configuration.
//!
//! An [`Environment`] is the input of all checks: the plan's workers and cores, the NIC's driver settings, and the
//! host's `/proc` and `/sys` below a root directory, which tests replace. Each check is a function from an
//! environment to a [`Finding`]. [`apply`] makes the safe changes.

mod affinity;
pub mod apply;
mod clock;
pub mod cmdline;
mod command;
pub mod cores;
pub mod environment;
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
mod siblings;
mod xdp;

pub use command::Tune;
pub use environment::Environment;
pub use finding::{Finding, Status};
pub use host::Host;

/// The findings of all checks, in the order of the output.
pub fn examine(env: &Environment) -> Vec<Finding> {
    vec![
        governor::examine(env),
        idle::examine(env),
        clock::examine(env),
        siblings::examine(env),
        numa::examine(env),
        isolation::scheduler(env),
        isolation::tick(env),
        isolation::rcu(env),
        affinity::interrupts(env),
        affinity::balancer(env),
        queues::count(env),
        queues::rings(env),
        napi::defer(env),
        napi::flush(env),
        offloads::lro(env),
        offloads::hardware_gro(env),
        offloads::vlan(env),
        mtu::examine(env),
        xdp::mode(env),
        xdp::zero_copy(env),
        memlock::examine(env),
        hugepages::examine(env),
        jit::compiler(env),
        jit::hardening(env),
        jit::statistics(env),
        mitigations::examine(env),
    ]
}
