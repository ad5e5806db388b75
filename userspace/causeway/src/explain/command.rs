//! The command: asks a running role, or tables that a configuration makes, and prints.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::capture::Capture;
use super::flow::{Flow, Payload};
use super::packet::Packet;
use super::print::{self, Back, Told};
use super::question::Question;
use super::source::{Drawn, Source};
use super::story::Story;
use super::subject::Subject;
use crate::control::{Conversation, DEFAULT_SOCKET};

/// The arguments of `causeway explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// An Ethernet frame in hex, a pcap or pcapng file, or a flow in words.
    #[arg(value_name = "PACKET")]
    subject: Subject,
    /// The control socket of the role whose tables decide.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, conflicts_with = "config")]
    socket: PathBuf,
    /// Decide by the tables that this configuration makes, without a running role.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The receive queue on which the packet comes: it chooses among a local gateway's workers.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    queue: u32,
    /// Of a file, explain this packet in full; the first is 1.
    #[arg(long, value_name = "NUMBER")]
    packet: Option<usize>,
    /// As JSON: an object, or one a line for the packets of a file.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
A flow is SOURCE > DESTINATION PROTOCOL; its answer is shown too, as the peer's demux would steer it:
  causeway explain '10.1.0.5:1234 > 10.2.0.7:443 tcp'
  causeway explain '[2001:db8:1::5]:1234 > [2001:db8:2::7]:53 udp'
  causeway explain '10.1.0.5 > 10.2.0.7 icmp id 7'         an echo; icmpv6 likewise
  causeway explain '10.1.0.5 > 10.2.0.7 udp fragment'      a later fragment
  causeway explain '10.2.0.101 > 10.1.0.101 esp spi 0x2001'
  causeway explain '10.1.0.5 > 10.2.0.7 gre'               or any protocol's number

Each packet of a file gets a line, and --packet N tells one in full:
  tcpdump -i eth0 -w eth0.pcap; causeway explain --config demux.toml eth0.pcap

Nothing is sent and no bucket moves: the role looks the packet up in the XDP program's own maps.";

impl Explain {
    /// Explains, on stdout.
    ///
    /// # Errors
    /// Nobody answers, the configuration or the file is not good, or stdout is closed.
    pub async fn execute(self) -> anyhow::Result<()> {
        let mut source = match &self.config {
            Some(file) => Source::Drawn(Box::new(Drawn::from(file).await?)),
            None => Source::Role(Conversation::with(&self.socket)?),
        };
        let mut out = io::stdout().lock();
        match &self.subject {
            Subject::Packet(packet) => {
                let story = self.ask(&mut source, packet.clone(), false)?;
                self.begin(&mut out, &source)?;
                self.tell(&mut out, story.subject(), story, None)?;
            }
            Subject::Flow(flow) => self.flow(&mut out, *flow, &mut source)?,
            Subject::Capture(path) => self.capture(&mut out, path, &mut source)?,
        }
        Ok(out.flush()?)
    }

    /// Says first what the answers leave open.
    fn begin(&self, out: &mut impl Write, source: &Source) -> io::Result<()> {
        match source.caveat() {
            Some(caveat) if !self.json => writeln!(out, "{caveat}\n"),
            _ => Ok(()),
        }
    }

    fn ask(&self, source: &mut Source, packet: Packet, at_peer: bool) -> anyhow::Result<Story> {
        source.ask(Question {
            packet,
            queue: self.queue,
            at_peer,
        })
    }

    fn tell(
        &self,
        out: &mut impl Write,
        subject: String,
        story: Story,
        answer: Option<Back>,
    ) -> io::Result<()> {
        let told = Told {
            subject,
            story,
            answer,
        };
        match self.json {
            true => print::object(out, &told),
            false => print::in_full(out, &told),
        }
    }

    fn flow(&self, out: &mut impl Write, flow: Flow, source: &mut Source) -> anyhow::Result<()> {
        let story = self.ask(source, Packet::Ip(flow.packet()), false)?;
        // Either this demux steers a direction, or the peer's does.
        let at_peer = story.is_steered();
        let answer = flow.answer();
        let back = self.ask(source, Packet::Ip(answer.packet()), at_peer)?;
        // ESP for this host has no answer: what goes back has an SPI and an SA of its own.
        let one_way = !at_peer && matches!(flow.payload, Payload::Esp { .. });
        let back = (back.is_steered() && !one_way).then(|| Back {
            subject: answer.to_string(),
            at_peer,
            story: back,
        });
        self.begin(out, source)?;
        Ok(self.tell(out, flow.to_string(), story, back)?)
    }

    fn capture(
        &self,
        out: &mut impl Write,
        path: &Path,
        source: &mut Source,
    ) -> anyhow::Result<()> {
        let mut capture = Capture::open(path)?;
        self.begin(out, source)?;
        let mut last = 0;
        while let Some(captured) = capture.packet()? {
            last = captured.number;
            if self.packet.is_some_and(|wanted| wanted != last) {
                continue;
            }
            let story = match &captured.packet {
                Ok(packet) => Ok(self.ask(source, packet.clone(), false)?),
                Err(why) => Err(why.as_str()),
            };
            let story = story.as_ref().map_err(|why| *why);
            match (self.json, self.packet, story) {
                (true, ..) => print::as_object(out, &captured, story)?,
                (false, None, _) | (false, _, Err(_)) => print::in_a_line(out, &captured, story)?,
                (false, Some(_), Ok(story)) => {
                    self.tell(out, story.subject(), story.clone(), None)?;
                    print::what_is_missing(out, &captured)?;
                }
            }
            if self.packet.is_some() {
                return Ok(());
            }
        }
        match self.packet {
            Some(wanted) => bail!(
                "{} has {last} packets, and no packet {wanted}",
                path.display()
            ),
            None => Ok(()),
        }
    }
}
