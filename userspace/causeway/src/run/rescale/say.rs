//! What becomes of a peering's cluster, in the log.

use causeway_rescale::coordinator::{Event, Health};

/// Says it. `name` tells a pair's gateway.
pub fn say(peering: &str, event: &Event, name: impl Fn(causeway_rescale::Ordinal) -> String) {
    match *event {
        Event::Health(pair, Health::Dead) => tracing::warn!(
            peering,
            gateway = name(pair),
            "no marker comes through the gateway and its peer any more: its buckets go to others"
        ),
        Event::Health(pair, Health::Up) => tracing::info!(
            peering,
            gateway = name(pair),
            "markers come through the gateway and its peer"
        ),
        Event::Health(pair, Health::Unknown) => {
            tracing::info!(
                peering,
                gateway = name(pair),
                "nothing is known of the gateway"
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
            "the peer steers by another table: forward and return may take different gateways, and \
             no change is made until the clusters are made alike"
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
            "held packets go on"
        ),
        Event::HoldExpired { pair } => tracing::warn!(
            peering,
            gateway = name(pair),
            "the time of a hold was over before the old way was known to be empty"
        ),
        Event::Fenced { pair, silent } => tracing::info!(
            peering,
            gateway = name(pair),
            silent,
            "the peer of the dead gateway opens nothing of it any more"
        ),
        Event::Began { epoch, buckets } => {
            tracing::info!(peering, epoch, buckets, "a change begins");
        }
        Event::Resumed { epoch } => tracing::warn!(
            peering,
            epoch,
            "resumed: the change that was under way when the demux ended is in force"
        ),
        Event::RolledBack { epoch } => tracing::warn!(
            peering,
            epoch,
            "rolled back: the change that was under way when the demux ended had moved nothing, and is not made"
        ),
    }
}
