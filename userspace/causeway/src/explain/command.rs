//! The command: arguments, and one trace per packet on stdout.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::capture::Capture;
use super::flow::{Flow, Payload};
use super::input::Input;
use super::print::{self, Reply, Report};
use super::source::Source;
use causeway_api::control::DEFAULT_SOCKET;
use causeway_api::explain::{Query, Trace};
use causeway_api::packet::Packet;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// An Ethernet frame in hex digits, a pcap or pcapng file, or a flow.
    #[arg(value_name = "PACKET")]
    input: Input,
    /// Use the tables of the running role with this control socket.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, conflicts_with = "config")]
    socket: PathBuf,
    /// Use the tables that this configuration makes, without a running role.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The receive queue of the packet. It selects the worker of a local gateway.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    queue: u32,
    /// Print this packet of a capture file in full. The first packet is 1.
    #[arg(long, value_name = "NUMBER")]
    packet: Option<usize>,
    /// Print JSON: one object, or one object per line for a capture file.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
A flow is SOURCE > DESTINATION PROTOCOL. The output includes its reply, as the peer's demux steers it:
  causeway explain '10.1.0.5:1234 > 10.2.0.7:443 tcp'
  causeway explain '[2001:db8:1::5]:1234 > [2001:db8:2::7]:53 udp'
  causeway explain '10.1.0.5 > 10.2.0.7 icmp id 7'         an echo request; also icmpv6
  causeway explain '10.1.0.5 > 10.2.0.7 udp fragment'      a later fragment
  causeway explain '10.2.0.101 > 10.1.0.101 esp spi 0x2001'
  causeway explain '10.1.0.5 > 10.2.0.7 gre'               or any protocol number

Each packet of a capture file gets one line. --packet N prints one packet in full:
  tcpdump -i eth0 -w eth0.pcap; causeway explain --config demux.toml eth0.pcap

No packet is sent and no bucket moves. The role looks the packet up in the maps of its XDP program.
Exit status: 0 after success, 1 after an error, 2 for a wrong command line.";

impl Explain {
    /// Prints the traces on stdout.
    ///
    /// # Errors
    /// The role does not answer, the configuration or the file is invalid, or stdout is closed.
    pub async fn execute(self) -> anyhow::Result<()> {
        let mut source = match &self.config {
            Some(file) => Source::configuration(file).await?,
            None => Source::role(&self.socket)?,
        };
        let mut out = io::stdout().lock();
        match &self.input {
            Input::Packet(packet) => {
                let trace = self.trace(&mut source, packet.clone(), false)?;
                self.print_note(&mut out, &source)?;
                self.print_report(&mut out, trace.subject(), trace, None)?;
            }
            Input::Flow(flow) => self.flow(&mut out, *flow, &mut source)?,
            Input::Capture(path) => self.capture(&mut out, path, &mut source)?,
        }
        Ok(out.flush()?)
    }

    fn print_note(&self, out: &mut impl Write, source: &Source) -> io::Result<()> {
        match source.note() {
            Some(note) if !self.json => writeln!(out, "{note}\n"),
            _ => Ok(()),
        }
    }

    fn trace(&self, source: &mut Source, packet: Packet, at_peer: bool) -> anyhow::Result<Trace> {
        source.trace(Query {
            packet,
            queue: self.queue,
            at_peer,
        })
    }

    fn print_report(
        &self,
        out: &mut impl Write,
        subject: String,
        trace: Trace,
        answer: Option<Reply>,
    ) -> io::Result<()> {
        let report = Report {
            subject,
            trace,
            answer,
        };
        match self.json {
            true => print::object(out, &report),
            false => print::report(out, &report),
        }
    }

    fn flow(&self, out: &mut impl Write, flow: Flow, source: &mut Source) -> anyhow::Result<()> {
        let trace = self.trace(source, Packet::Ip(flow.packet()), false)?;
        // One demux steers each direction: if not this one, then the peer's.
        let at_peer = trace.is_steered();
        let reply = flow.reply();
        let back = self.trace(source, Packet::Ip(reply.packet()), at_peer)?;
        // ESP for this host has no reply: the other direction has its own SPI and SA.
        let one_way = !at_peer && matches!(flow.payload, Payload::Esp { .. });
        let reply = (back.is_steered() && !one_way).then(|| Reply {
            subject: reply.to_string(),
            at_peer,
            trace: back,
        });
        self.print_note(out, source)?;
        Ok(self.print_report(out, flow.to_string(), trace, reply)?)
    }

    fn capture(
        &self,
        out: &mut impl Write,
        path: &Path,
        source: &mut Source,
    ) -> anyhow::Result<()> {
        let mut capture = Capture::open(path)?;
        self.print_note(out, source)?;
        let mut last = 0;
        while let Some(captured) = capture.packet()? {
            last = captured.number;
            if self.packet.is_some_and(|wanted| wanted != last) {
                continue;
            }
            let trace = match &captured.packet {
                Ok(packet) => Ok(self.trace(source, packet.clone(), false)?),
                Err(reason) => Err(reason.as_str()),
            };
            let trace = trace.as_ref().map_err(|reason| *reason);
            match (self.json, self.packet, trace) {
                (true, ..) => print::captured_object(out, &captured, trace)?,
                (false, None, _) | (false, _, Err(_)) => print::captured(out, &captured, trace)?,
                (false, Some(_), Ok(trace)) => {
                    self.print_report(out, trace.subject(), trace.clone(), None)?;
                    print::truncation(out, &captured)?;
                }
            }
            if self.packet.is_some() {
                return Ok(());
            }
        }
        match self.packet {
            Some(wanted) => bail!(
                "{} has {last} packets, so there is no packet {wanted}",
                path.display()
            ),
            None => Ok(()),
        }
    }
}
