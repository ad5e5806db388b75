//! What is printed of stories: lines for people, objects for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::capture::Captured;
use super::story::Story;

/// A packet in words, and its story.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Told {
    /// The packet, or the direction of a flow.
    pub subject: String,
    /// Its story.
    #[serde(flatten)]
    pub story: Story,
    /// The other direction, where the question was a flow and a bucket decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Back>,
}

/// A flow's other direction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Back {
    /// The direction.
    pub subject: String,
    /// Whether the peer's demux steers it, by the same table; else this one does.
    pub at_peer: bool,
    /// Its story.
    #[serde(flatten)]
    pub story: Story,
}

/// A packet of a file as an object.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Object<'a> {
    packet: usize,
    octets: usize,
    captured_octets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_explained: Option<&'a str>,
    #[serde(flatten)]
    story: Option<&'a Story>,
}

/// One object, in a line.
pub fn object(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// A packet or a flow in full.
pub fn in_full(out: &mut impl Write, told: &Told) -> io::Result<()> {
    writeln!(out, "{}\n{}", told.subject, told.story)?;
    let Some(back) = &told.answer else {
        return Ok(());
    };
    if !back.at_peer {
        return writeln!(out, "\nthe answer, {}\n{}", back.subject, back.story);
    }
    write!(out, "\nthe answer, {}", back.subject)?;
    if let Some(table) = back.story.peers_other_table() {
        return writeln!(
            out,
            ": the peer's demux goes by another table now ({table})"
        );
    }
    match back.story.gateway() {
        Some(gateway) => writeln!(
            out,
            ": the peer's demux, by the same table, gives it to {gateway}'s peer"
        ),
        None => writeln!(
            out,
            ": the peer's demux, by the same table, finds no gateway"
        ),
    }?;
    // What is the peer's own, MAC addresses and the frame, is not known here.
    let mut shared = back.story.steps.iter().filter(|step| step.is_shared());
    shared.try_for_each(|step| writeln!(out, "{}", step.line()))
}

/// A packet of a file in a line.
pub fn in_a_line(
    out: &mut impl Write,
    at: &Captured,
    story: Result<&Story, &str>,
) -> io::Result<()> {
    let number = at.number;
    match story {
        Ok(story) => {
            let (subject, end) = (story.subject(), story.end_in_short());
            writeln!(out, "{number:>6}  {subject:<48}  {end}")
        }
        Err(why) => writeln!(out, "{number:>6}  not explained: {why}"),
    }
}

/// A packet of a file as an object in a line.
pub fn as_object(
    out: &mut impl Write,
    at: &Captured,
    story: Result<&Story, &str>,
) -> io::Result<()> {
    object(
        out,
        &Object {
            packet: at.number,
            octets: at.length,
            captured_octets: at.captured,
            not_explained: story.err(),
            story: story.ok(),
        },
    )
}

/// Says which octets of a packet the file does not have.
pub fn what_is_missing(out: &mut impl Write, at: &Captured) -> io::Result<()> {
    match at.captured < at.length {
        true => writeln!(
            out,
            "\nthe file has the first {} of its {} octets; the others were taken as zeros",
            at.captured, at.length
        ),
        false => Ok(()),
    }
}
