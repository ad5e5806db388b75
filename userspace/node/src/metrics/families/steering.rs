//! Metrics of a role as a whole and of its XDP program.

use causeway_api::status::{self, NotReadyReason};
use causeway_steering::PuntReason;

use crate::metrics::family::Family;
use crate::metrics::family::Sample;
use crate::metrics::family::Source::Status;
use crate::metrics::family::{BYTES, PACKETS, SECONDS, counter, gauge};
use crate::metrics::samples::{by_gateway, by_reason, drops, info};

/// In the order in which a packet changes them.
pub const FAMILIES: &[Family] = &[
    gauge(
        "info",
        None,
        &["version", "role", "nic", "xdp_mode"],
        "Always 1. Version and role of the process, its NIC, and the mode in which the XDP program is attached.",
        Status(info),
    ),
    gauge(
        "start_timestamp",
        SECONDS,
        &[],
        "Start time of the process, in Unix time.",
        Status(|status| vec![Sample::of([], status.since)]),
    ),
    gauge(
        "ready",
        None,
        &[],
        "1 if packets pass, else 0; `causeway_not_ready_reasons` has the reasons.",
        Status(|status| vec![Sample::of([], status.ready.into())]),
    ),
    gauge(
        "not_ready_reasons",
        None,
        &["reason"],
        "Reasons for which packets do not pass, or soon will not. /healthz and /status have the details.",
        Status(not_ready),
    ),
    gauge(
        "nic_mtu",
        BYTES,
        &["nic"],
        "MTU of the NIC: the size of the largest IP packet.",
        Status(|status| vec![Sample::of([&status.nic.name], status.nic.mtu.into())]),
    ),
    counter(
        "nic_transmit_dropped",
        PACKETS,
        &["nic"],
        "Packets that the NIC refused to transmit, from any sender on the host.",
        Status(|status| vec![Sample::of([&status.nic.name], status.nic.tx_dropped)]),
    ),
    counter(
        "transient_errors",
        None,
        &[],
        "Failures that ended nothing, and were tried again: of netlink requests, and of listeners that could not accept a connection.",
        Status(|status| vec![Sample::of([], status.transient_errors)]),
    ),
    counter(
        "steering_received",
        PACKETS,
        &[],
        "Packets that the XDP program received.",
        Status(|status| vec![Sample::of([], status.steering.received)]),
    ),
    counter(
        "steering_to_worker",
        PACKETS,
        &[],
        "Packets that the XDP program redirected to a local worker.",
        Status(|status| vec![Sample::of([], status.steering.to_worker)]),
    ),
    counter(
        "steering_to_gateway",
        PACKETS,
        &[],
        "Packets that the XDP program forwarded to a remote gateway.",
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
            let names = PuntReason::ALL.iter().map(|reason| reason.name());
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

fn not_ready(status: &status::Status) -> Vec<Sample> {
    let of = |reason: NotReadyReason| {
        let found = status.not_ready.iter().filter(|each| each.reason == reason);
        Sample::of([reason.name()], found.count() as u64)
    };
    NotReadyReason::ALL.map(of).into()
}
