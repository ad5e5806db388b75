//! `causeway explain`: its inputs, its output, and traces against the verdicts of the XDP program.

#[path = "../support/binary.rs"]
mod binary;
mod captures;
mod command;
mod flows;
mod traces;
