//! The log of a cluster's events.

use causeway_rescale::coordinator::{Event, Health};

/// Logs an event. `name` returns the name of a pair's gateway.
pub fn log_event(peering: &str, event: &Event, name: impl Fn(causeway_rescale::Ordinal) -> String) {
    match *event {
        Event::Health(pair, Health::Dead) => tracing::warn!(
            peering,
            gateway = name(pair),
            "the pair is dead: no marker returns through the gateway and its peer; its buckets move to other gateways"
        ),
        Event::Health(pair, Health::Up) => tracing::info!(
            peering,
            gateway = name(pair),
            "the pair is up: markers return through the gateway and its peer"
        ),
        Event::Health(pair, Health::Unknown) => {
            tracing::info!(
                peering,
                gateway = name(pair),
                "the state of the pair is unknown"
            );
        }
        Event::RoundTrip(pair, time) => {
            tracing::trace!(peering, gateway = name(pair), ?time, "round trip");
        }
        Event::TablesDiffer { peer, own } => tracing::error!(
            peering,
            peer_epoch = peer.epoch,
            peer_digest = format_args!("{:016x}", peer.digest),
            epoch = own.epoch,
            digest = format_args!("{:016x}", own.digest),
            "the peer uses a different table: a flow and its replies may use different pairs, and \
             changes are refused until the clusters are equal"
        ),
        Event::Moved {
            from,
            to,
            buckets,
            barrier,
        } => tracing::info!(
            peering,
            from = name(from),
            to = name(to),
            buckets,
            barrier,
            "buckets moved"
        ),
        Event::Released {
            pair,
            packets,
            dropped,
        } => tracing::info!(
            peering,
            gateway = name(pair),
            packets,
            dropped,
            "held packets were released"
        ),
        Event::HoldExpired { pair } => tracing::warn!(
            peering,
            gateway = name(pair),
            "hold expired before earlier packets were confirmed delivered by the old gateway"
        ),
        Event::Fenced { pair, silent } => tracing::info!(
            peering,
            gateway = name(pair),
            silent,
            "fenced: the peer of the dead gateway opens no more of its packets"
        ),
        Event::Began { epoch, buckets } => {
            tracing::info!(peering, epoch, buckets, "the change has begun");
        }
        Event::Resumed { epoch } => tracing::warn!(
            peering,
            epoch,
            "resumed: the change that was in progress when the demux ended is in force"
        ),
        Event::RolledBack { epoch } => tracing::warn!(
            peering,
            epoch,
            "rolled back: the change that was in progress when the demux ended had moved no bucket and is discarded"
        ),
    }
}
