//! A running role. [`Node`] starts it from a plan, serves it and drains it.
//!
//! | module | content |
//! |---|---|
//! | `node` | start, serve, drain |
//! | `object` | reads the object file of the XDP program |
//! | `tables` | makes the steering tables of a plan |
//! | `program_tables` | writes the maps of the running XDP program |
//! | `remote_gateways` | resolves the MAC addresses of gateways on other hosts |
//! | `workers` | opens the workers' sockets, makes their SAs, starts and drains their threads |
//! | `worker_handle` | a worker, for the other threads |
//! | `events` | handles the workers' events |
//! | `sas` | installs, switches and retires SAs |
//! | `rescale` | changes clusters under load; `wire` encodes its messages, `state` stores its tables |
//! | `path_mtu` | receives ICMP reports of packets that were too big for their path |
//! | `status_reader` | reads the status document; `readiness` judges whether packets pass, `metrics` exports it in the format of Prometheus |
//! | `control_socket`, `http` | servers; `requests` answers the requests of the control socket |
//! | `transient` | counts failures that end nothing |
//! | `explain` | traces a packet through the steering tables |

pub mod control_socket;
mod events;
pub mod explain;
pub mod http;
pub mod metrics;
mod node;
mod object;
mod path_mtu;
mod program_tables;
mod readiness;
mod remote_gateways;
mod requests;
mod rescale;
mod sas;
pub mod state;
mod status_reader;
mod tables;
mod transient;
pub mod wire;
mod worker_handle;
mod workers;

pub use causeway_gateway::Stage;
pub use node::Node;
pub use transient::Transient;
pub use workers::umem_bytes;
