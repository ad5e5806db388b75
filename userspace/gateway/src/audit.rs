//! Drops of packets from peers, and the audit events that RFC 4303 requires.

use std::time::Instant;

use causeway_steering::headers::Ethernet;
use causeway_steering::{DropReason, Headers};

use crate::control::{Audit, Event, WorkerChannels};
use crate::counters::Totals;

/// Counts the drop of the packet in `frame`, whose ESP header is at the offset `esp`. Sends an audit event, at a limited
/// rate, if the reason is auditable.
#[cold]
pub(crate) fn refuse(
    frame: &[u8],
    esp: usize,
    reason: DropReason,
    now: Instant,
    totals: &mut Totals,
    channels: &mut WorkerChannels,
) {
    totals.drops[reason] += 1;
    let auditable = matches!(
        reason,
        DropReason::UnknownSpi
            | DropReason::AuthenticationFailed
            | DropReason::Replayed
            | DropReason::ReplayTooOld
            // RFC 4301 section 5.2 step 4 makes these auditable too.
            | DropReason::SelectorSource
            | DropReason::SelectorDestination
    );
    if !auditable || !channels.audit_tokens.take(now) {
        return;
    }
    // Parsed again here, so that a valid packet keeps no headers.
    let l3 = Ethernet::parse(frame).map(|ethernet| ethernet.l3);
    let Some(Ok(headers)) = l3.map(|l3| Headers::parse(frame, l3)) else {
        return;
    };
    let word = |at: usize| {
        let bytes = frame.get(at..at + 4);
        bytes.map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    };
    // A full channel loses the log line; the counters have the packet.
    channels.notify(Event::Audit(Audit {
        reason,
        spi: word(esp),
        sequence: word(esp + 4),
        source: headers.source.into(),
        destination: headers.destination.into(),
    }));
}
