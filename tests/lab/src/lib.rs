//! A test network: two VPCs in network namespaces, joined by a trunk, with Causeway's roles as processes. Also the
//! measurements on that network.
//!
//! `cargo xtask run`, the end-to-end tests and the perf harness use this crate. A [`Lab`] owns its namespaces. They are
//! removed when the lab is dropped, on a panic and on Ctrl-C. If the owning process was killed, the next lab removes
//! them. A lab changes nothing outside of its namespaces and `/run/causeway-lab`.
//!
//! ```text
//!  host1 host2 demux gw1..gwN            gw1..gwN demux host2 host1
//!     |    |     |     |                    |       |     |    |
//!   [ switch: bridge and router .1 ]--trunk--[ switch: bridge and router .1 ]
//!       VPC 1, 10.1.0.0/24, fd00:10:1::/64      VPC 2, 10.2.0.0/24, fd00:10:2::/64
//! ```
//!
//! Machines have addresses of the inner and the outer family of the tunnels only. The routers have a route to each tunnel
//! endpoint of the other VPC, in the outer family, and no other route across. Plaintext between hosts can therefore cross
//! only through Causeway.

mod cluster;
mod config;
mod delay;
mod fact;
mod http;
mod interrupt;
mod lab;
mod limits;
pub mod measure;
mod netns;
mod options;
pub mod output;
mod owner;
mod process;
mod rekey;
mod role;
mod sandbox;
mod sweep;
mod tool;
mod topology;
mod wiring;

pub use causeway_api::status;
pub use cluster::{Change, Outcome, buckets};
pub use fact::Fact;
pub use http::ADDRESS as HTTP_ADDRESS;
pub use lab::{Lab, RoleExit};
pub use limits::{ActiveLimits, Limits};
pub use options::{Cipher, Encapsulation, Family, Inner, NicMode, Options, Placement};
pub use process::Process;
pub use sandbox::Sandbox;
pub use sweep::remove_leftovers;
pub use topology::{Node, Site};
