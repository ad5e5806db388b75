//! `causeway local gateway`: the clusters of a demux.

use std::net::IpAddr;

use causeway_rescale::Weight;
use clap::{Args, Subcommand};

use super::columns::aligned;
use causeway_api::control::{GatewayRef, NewGateway, NewWeight, Request};
use causeway_api::status::{Pair, PeerTable, RecoveredChange, Table};

pub const HELP: &str = "\
Each VPC's demux steers its own direction, so make every change in both VPCs, in either order. Until
the second demux has made the change, the two directions of a flow may use different pairs, and the
next change is refused. To add a third gateway to a cluster, after its role has started in both VPCs:
  A  causeway local gateway add --gateway gateway-3 --address 10.1.0.103
  B  causeway local gateway add --gateway gateway-3 --address 10.2.0.103

The command returns after all buckets have moved. Interrupting this command does not cancel the
change; `list` shows its progress. A change survives a restart: the demux keeps its table in the file
of [rescale].";

#[derive(Debug, Subcommand)]
pub enum Gateway {
    /// Print each peering's table: epoch, digest, and each pair's weight, buckets and state.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Add a gateway to a cluster.
    ///
    /// It gets buckets after a marker has passed through its pair, which needs its SAs at both ends.
    Add {
        #[command(flatten)]
        cluster_gateway: ClusterGateway,
        /// The address of the gateway's host. Default: the address in the configuration.
        #[arg(long, value_name = "IP")]
        address: Option<IpAddr>,
        /// The gateway's share relative to the others, 1 to 64. Default: the weight in the
        /// configuration, else 1.
        #[arg(long, value_name = "WEIGHT", value_parser = weight)]
        weight: Option<Weight>,
    },
    /// Move all buckets of a gateway to the others. It stays in the cluster; `weight` returns buckets.
    Drain(ClusterGateway),
    /// Remove a gateway from a cluster. Drains it first if it has buckets.
    Remove(ClusterGateway),
    /// Change a gateway's share of the buckets.
    Weight {
        #[command(flatten)]
        cluster_gateway: ClusterGateway,
        /// The gateway's share relative to the others, 1 to 64.
        #[arg(long, value_name = "WEIGHT", value_parser = weight)]
        weight: Weight,
    },
}

/// A gateway of a cluster.
#[derive(Debug, Args)]
pub struct ClusterGateway {
    /// The gateway's name in this VPC.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The peering's name. Not needed if the demux has one peering.
    #[arg(long, value_name = "NAME")]
    peering: Option<String>,
}

impl Gateway {
    pub fn prints_json(&self) -> bool {
        matches!(self, Self::List { json: true })
    }

    pub fn request(self) -> Request {
        match self {
            Self::List { .. } => Request::GatewayList {},
            Self::Add {
                cluster_gateway: ClusterGateway { gateway, peering },
                address,
                weight,
            } => Request::GatewayAdd(NewGateway {
                gateway,
                peering,
                address,
                weight,
            }),
            Self::Drain(gateway) => Request::GatewayDrain(gateway.into()),
            Self::Remove(gateway) => Request::GatewayRemove(gateway.into()),
            Self::Weight {
                cluster_gateway: ClusterGateway { gateway, peering },
                weight,
            } => Request::GatewayWeight(NewWeight {
                gateway,
                peering,
                weight,
            }),
        }
    }
}

impl From<ClusterGateway> for GatewayRef {
    fn from(ClusterGateway { gateway, peering }: ClusterGateway) -> Self {
        Self { gateway, peering }
    }
}

fn weight(text: &str) -> Result<Weight, String> {
    let weight = text
        .parse()
        .ok()
        .and_then(|number| Weight::new(number).ok());
    weight.ok_or_else(|| format!("expected 1 to {}", Weight::MAX))
}

/// One paragraph per peering.
pub fn tables(tables: &[Table]) -> String {
    let paragraphs: Vec<String> = tables.iter().map(paragraph).collect();
    paragraphs.join("\n\n")
}

fn paragraph(table: &Table) -> String {
    let Table {
        peering,
        epoch,
        digest,
        ..
    } = table;
    let change = match table.changing_to {
        Some(to) => format!(", changing to epoch {to}"),
        None => String::new(),
    };
    let peer = match table.peer {
        PeerTable::Unknown => "the peer's table is not known",
        PeerTable::Same => "the peer has the same table",
        PeerTable::Ahead => "the peer is one change ahead",
        PeerTable::Behind => "the peer is one change behind",
        PeerTable::Differs => {
            "TABLES DIFFER: the peer has another table, and every change is refused until they are equal"
        }
    };
    let at_start = match table.at_start {
        Some(RecoveredChange::Resumed) => "; resumed a change when it started",
        Some(RecoveredChange::RolledBack) => "; rolled back a change when it started",
        None => "",
    };
    let header = [
        "gateway",
        "pair",
        "weight",
        "buckets",
        "state",
        "round trip",
    ];
    let pairs = aligned(header, table.pairs.iter().map(row));
    format!("{peering}: epoch {epoch}, table {digest}{change}; {peer}{at_start}\n{pairs}")
}

fn row(pair: &Pair) -> [String; 6] {
    [
        pair.gateway.clone(),
        pair.pair.to_string(),
        pair.weight.to_string(),
        pair.buckets.to_string(),
        pair.state.name().to_owned(),
        match pair.round_trip_ns {
            Some(time) => format!("{:.3} ms", time as f64 / 1e6),
            None => "-".to_owned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_api::status::{Changes, HeldPackets, MovedBuckets, PairState};

    #[test]
    fn weights_outside_1_to_64_are_refused() {
        assert_eq!(weight("1"), Ok(Weight::ONE));
        assert_eq!(weight("64").map(Weight::get), Ok(64));
        for text in ["0", "65", "256", "-1", "", "heavy"] {
            assert_eq!(weight(text), Err("expected 1 to 64".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_peering_has_a_header_and_a_line_per_pair() {
        let pair = |gateway: &str, pair, weight, buckets, state, round_trip_ns| Pair {
            gateway: gateway.to_owned(),
            pair,
            weight,
            buckets,
            state,
            round_trip_ns,
        };
        let table = Table {
            peering: "vpc-2".to_owned(),
            epoch: 3,
            digest: "00000000075bcd15".to_owned(),
            changing_to: Some(4),
            at_start: Some(RecoveredChange::RolledBack),
            peer: PeerTable::Same,
            pairs: vec![
                pair("gateway-1", 0, 1, 4096, PairState::Up, Some(312_400)),
                pair("gateway-2", 1, 0, 0, PairState::Drained, None),
            ],
            changes: Changes::default(),
            moved: MovedBuckets::default(),
            held: HeldPackets::default(),
            differed: 0,
        };
        assert_eq!(
            tables(&[table]),
            "vpc-2: epoch 3, table 00000000075bcd15, changing to epoch 4; the peer has the same table; \
             rolled back a change when it started\n\
             gateway    pair  weight  buckets  state    round trip\n\
             gateway-1  0     1       4096     up       0.312 ms\n\
             gateway-2  1     0       0        drained  -"
        );
    }
}
