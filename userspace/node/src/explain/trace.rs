//! The trace of a frame: the steps of the decision, and the verdict.

use causeway_api::explain::{BucketMove, End, FlowEnd, Place, Step, Trace};
use causeway_steering::headers::{
    ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Headers, TAG, protocol,
};
use causeway_steering::maps::{Destination, Gateway};
use causeway_steering::{Address, BUCKETS, Bucket, FlowKey, Inbound, Verdict, decide};

use super::names::{Names, mac};
use super::recorder::{BucketEntries, BucketLookup, Lookups, Recorder};

/// Traces `frame` through `tables`.
pub fn trace<T: BucketEntries>(frame: &[u8], tables: &T, names: &Names) -> Trace {
    let recorder = Recorder::new(tables);
    let verdict = decide(frame, &recorder);
    let (end, counter) = end(verdict, names);
    Trace {
        steps: steps(frame, &recorder.lookups(), names),
        end,
        counter,
    }
}

fn steps(frame: &[u8], lookups: &Lookups, names: &Names) -> Vec<Step> {
    let mut steps = Vec::new();
    let (Some(host), Some(ethernet)) = (lookups.host, Ethernet::parse(frame)) else {
        return steps;
    };
    steps.push(Step::Ethernet {
        octets: frame.len(),
        destination: mac(ethernet.destination),
        nic: mac(host.mac),
        vlans: vlans(&frame[ETHERNET..ethernet.l3]),
        ethertype: ethernet.ethertype,
    });
    let is_ip = matches!(ethernet.ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6);
    let headers = Headers::parse(frame, ethernet.l3);
    let (true, Ok(headers)) = (is_ip && ethernet.destination == host.mac, headers) else {
        return steps;
    };
    steps.push(Step::Ip {
        version: if headers.is_ipv4() { 4 } else { 6 },
        source: headers.source.into(),
        destination: headers.destination.into(),
        protocol: headers.protocol,
        header_octets: headers.l4 - headers.l3,
        octets: headers.total,
        fragment: headers.fragment,
    });
    steps.extend(
        lookups
            .destination
            .map(|(address, meaning)| destination(address, meaning, names)),
    );
    if let (Some((spi, worker)), Inbound::Esp { .. }) =
        (lookups.worker, Inbound::of(frame, &headers))
    {
        steps.push(Step::Esp {
            spi,
            in_udp: headers.protocol == protocol::UDP,
            worker,
        });
    }
    let Some(entry) = lookups.bucket else {
        return steps;
    };
    let key = FlowKey::of(frame, &headers);
    let port = |(address, port): (Address, u16)| FlowEnd {
        address: address.into(),
        port,
    };
    steps.push(Step::Flow {
        low: port(key.low),
        high: port(key.high),
        protocol: key.protocol,
        quoted: FlowKey::quoted(frame, &headers).is_some(),
    });
    steps.push(Step::Bucket {
        hash: format!("{:#018x}", host.hash.hash(&key)),
        bucket: entry.bucket,
        buckets: BUCKETS,
    });
    steps.push(table_entry(&entry, host.skew, names));
    steps.extend(lookups.gateway.map(|(index, gateway)| Step::Gateway {
        gateway: names.gateway(index),
        place: placement(index, gateway, lookups, names),
    }));
    steps
}

/// The VLAN of each tag. `tags` begins after the type of the first tag, with its control information.
fn vlans(tags: &[u8]) -> Vec<u16> {
    let tags = tags.chunks_exact(TAG);
    tags.map(|tag| u16::from_be_bytes([tag[0], tag[1]]) & 0xfff)
        .collect()
}

fn destination(address: Address, meaning: Option<Destination>, names: &Names) -> Step {
    let (peering, prefix) = match meaning {
        Some(Destination::Peering(index)) => {
            let (name, prefix) = names.peering(index, address);
            (Some(name), prefix)
        }
        _ => (None, None),
    };
    Step::Destination {
        address: address.into(),
        own: meaning == Some(Destination::Own),
        peering,
        prefix,
    }
}

fn table_entry(lookup: &BucketLookup, skew: u32, names: &Names) -> Step {
    let ns = |units: u32| u64::from(units) << 10;
    let moves = |entry: &Bucket| BucketMove {
        to: names.gateway(entry.next.into()),
        // A packet on another CPU may have written a slightly later time.
        quiet_ns: ns(0.max(lookup.now.wrapping_sub(entry.last) as i32) as u32),
        pause_ns: ns(skew),
        now: entry.is_idle(lookup.now, skew),
    };
    Step::Entry {
        table: names.table(lookup.peering),
        gateway: lookup
            .entry
            .map(|entry| names.gateway(entry.gateway.into())),
        moves: lookup
            .entry
            .filter(|entry| entry.is_moving())
            .as_ref()
            .map(moves),
    }
}

fn placement(index: u32, gateway: Option<Gateway>, lookups: &Lookups, names: &Names) -> Place {
    let address = names.address(index);
    let gateway = gateway.unwrap_or_default();
    match gateway.kind {
        Gateway::REMOTE => Place::Remote {
            address,
            mac: names.resolved_mac(gateway.mac),
        },
        Gateway::UNRESOLVED => Place::Unresolved { address },
        Gateway::LOCAL => Place::Local {
            first_worker: gateway.first_worker,
            workers: gateway.workers,
            queue: lookups.queue.unwrap_or(0),
        },
        _ => Place::Absent,
    }
}

/// The end of a trace with this verdict, and the counter that counts it.
pub fn end(verdict: Verdict, names: &Names) -> (End, String) {
    match verdict {
        Verdict::Punt(reason) => (
            End::Kernel {
                reason: reason.name().to_owned(),
                because: reason.help().to_owned(),
            },
            counter("punted", Some(reason.name())),
        ),
        Verdict::Drop(reason) => (
            End::Dropped {
                reason: reason.name().to_owned(),
                because: reason.help().to_owned(),
            },
            counter("dropped", Some(reason.name())),
        ),
        Verdict::Open { worker } => (End::Opened { worker }, counter("to_worker", None)),
        Verdict::Local { gateway, worker } => (
            End::Sealed {
                worker,
                gateway: names.gateway(gateway),
            },
            counter("to_worker", None),
        ),
        Verdict::Remote {
            gateway,
            mac: halves,
        } => (
            End::Sent {
                gateway: names.gateway(gateway),
                mac: names.resolved_mac(halves),
            },
            counter("to_gateway", None),
        ),
    }
}

/// The name of a counter in `metrics::families`.
fn counter(name: &str, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!("{{reason=\"{reason}\"}}"));
    format!(
        "causeway_steering_{name}_packets_total{}",
        reason.unwrap_or_default()
    )
}
