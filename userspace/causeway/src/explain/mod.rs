//! `causeway explain`: the steps of the XDP program for a packet, and the verdict.
//!
//! `command` has the arguments, [`input`] the forms of a packet on the command line. [`flow`] and [`capture`]
//! make packets from text and from files. `source` chooses the tables that decide, `print` writes the trace. The
//! engine that makes the trace is `causeway_node::explain`; the text of a trace is in `causeway_api::explain`.

pub mod capture;
mod command;
pub mod flow;
pub mod input;
mod print;
mod source;

pub use command::Explain;
