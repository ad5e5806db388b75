//! Output: text for people, JSON objects for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::capture::CapturedPacket;
use causeway_api::explain::Trace;

/// A packet as text, its trace, and the trace of its reply.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The packet as text, or one direction of a flow.
    pub subject: String,
    #[serde(flatten)]
    pub trace: Trace,
    /// The reply of a flow. Absent for another packet, and if no bucket decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Reply>,
}

/// The other direction of a flow.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Reply {
    /// The reply as text.
    pub subject: String,
    /// Whether the peer's demux steers the reply, with the same table. Otherwise this demux steers it.
    pub at_peer: bool,
    #[serde(flatten)]
    pub trace: Trace,
}

/// A packet of a capture file.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct Object<'a> {
    /// The number of the packet in the file, from 1.
    packet: usize,
    /// The length of the packet on the wire, in octets.
    octets: usize,
    /// The length of the packet in the file, in octets.
    captured_octets: usize,
    /// Why the packet has no steps; absent if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_explained: Option<&'a str>,
    #[serde(flatten)]
    trace: Option<&'a Trace>,
}

/// One object on one line.
pub fn object(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// A packet or a flow in full.
pub fn report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "{}\n{}", report.subject, report.trace)?;
    let Some(reply) = &report.answer else {
        return Ok(());
    };
    let Reply { subject, trace, .. } = reply;
    if !reply.at_peer {
        return writeln!(out, "\nreply {subject}\n{trace}");
    }
    write!(out, "\nreply {subject}: ")?;
    if let Some(table) = trace.differing_table() {
        return writeln!(
            out,
            "not known, because the peer's demux has another table ({table})"
        );
    }
    match trace.gateway() {
        Some(gateway) => writeln!(
            out,
            "the peer's demux, with the same table, sends it to the peer of {gateway}"
        ),
        None => writeln!(
            out,
            "the peer's demux, with the same table, finds no gateway"
        ),
    }?;
    // The peer's MAC addresses and its frame are not known here.
    let mut shared = trace.steps.iter().filter(|step| step.is_shared());
    shared.try_for_each(|step| writeln!(out, "{}", step.line()))
}

/// A packet of a capture file on one line.
pub fn captured(
    out: &mut impl Write,
    packet: &CapturedPacket,
    trace: Result<&Trace, &str>,
) -> io::Result<()> {
    let number = packet.number;
    match trace {
        Ok(trace) => {
            let (subject, end) = (trace.subject(), trace.summary());
            writeln!(out, "{number:>6}  {subject:<48}  {end}")
        }
        Err(reason) => writeln!(out, "{number:>6}  not explained: {reason}"),
    }
}

/// A packet of a capture file as one object on one line.
pub fn captured_object(
    out: &mut impl Write,
    packet: &CapturedPacket,
    trace: Result<&Trace, &str>,
) -> io::Result<()> {
    object(
        out,
        &Object {
            packet: packet.number,
            octets: packet.length,
            captured_octets: packet.captured,
            not_explained: trace.err(),
            trace: trace.ok(),
        },
    )
}

/// A note about octets of the packet that the file does not have.
pub fn truncation(out: &mut impl Write, packet: &CapturedPacket) -> io::Result<()> {
    let CapturedPacket {
        captured, length, ..
    } = packet;
    match captured < length {
        true => writeln!(
            out,
            "\nthe file has the first {captured} of {length} octets; the missing octets were read as zeros"
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use causeway_api::status::Status;
    use causeway_json_docs::{check, written};

    use super::*;

    #[test]
    fn the_page_has_the_keys_of_the_objects() {
        let lists = [
            ("packet", written::<Report>()),
            ("captured", written::<Object>()),
        ];
        let others = [("", written::<Trace>()), ("status.md", written::<Status>())];
        check("docs/explain.md", &lists, &others);
    }
}
