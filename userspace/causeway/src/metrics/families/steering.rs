//! Metrics of a role as a whole and of its XDP program.

use causeway_steering::Punt;

use super::{BYTES, PACKETS, SECONDS, counter, gauge};
use crate::metrics::Family;
use crate::metrics::Sample;
use crate::metrics::Source::Status;
use crate::metrics::samples::{by_gateway, by_reason, drops, info};

/// In the order of a packet's way.
pub const FAMILIES: &[Family] = &[
    gauge(
        "info",
        None,
        &["version", "role", "nic", "xdp_mode"],
        "Always 1. What runs, on which NIC, and where the XDP program is attached.",
        Status(info),
    ),
    gauge(
        "start_timestamp",
        SECONDS,
        &[],
        "When the process started, in Unix time.",
        Status(|status| vec![Sample::of([], status.since)]),
    ),
    gauge(
        "ready",
        None,
        &[],
        "1 once the XDP program is attached and every socket is bound, else 0.",
        Status(|status| vec![Sample::of([], status.ready.into())]),
    ),
    gauge(
        "nic_mtu",
        BYTES,
        &["nic"],
        "The largest IP packet that the NIC takes.",
        Status(|status| vec![Sample::of([&status.nic.name], status.nic.mtu.into())]),
    ),
    counter(
        "nic_transmit_dropped",
        PACKETS,
        &["nic"],
        "Packets of anybody that the NIC refused to transmit.",
        Status(|status| vec![Sample::of([&status.nic.name], status.nic.tx_dropped)]),
    ),
    counter(
        "steering_received",
        PACKETS,
        &[],
        "Packets that reached the XDP program.",
        Status(|status| vec![Sample::of([], status.steering.received)]),
    ),
    counter(
        "steering_to_worker",
        PACKETS,
        &[],
        "Packets that the XDP program gave to a local worker.",
        Status(|status| vec![Sample::of([], status.steering.to_worker)]),
    ),
    counter(
        "steering_to_gateway",
        PACKETS,
        &[],
        "Packets that the XDP program sent on to a remote gateway.",
        Status(|status| vec![Sample::of([], status.steering.to_gateway)]),
    ),
    counter(
        "steering_dropped",
        PACKETS,
        &["reason"],
        "Packets that the XDP program dropped, by drop reason.",
        Status(|status| drops(&status.steering.drops)),
    ),
    counter(
        "steering_punted",
        PACKETS,
        &["reason"],
        "Packets that the XDP program left to the kernel, by punt reason.",
        Status(|status| {
            let names = Punt::ALL.iter().map(|reason| reason.name());
            by_reason(names, &status.steering.punts)
        }),
    ),
    counter(
        "gateway_steered",
        PACKETS,
        &["gateway"],
        "Packets that the XDP program steered to the gateway.",
        Status(|status| by_gateway(status, |gateway| gateway.packets)),
    ),
    counter(
        "gateway_steered",
        BYTES,
        &["gateway"],
        "Inner IP bytes that the XDP program steered to the gateway.",
        Status(|status| by_gateway(status, |gateway| gateway.bytes)),
    ),
];
