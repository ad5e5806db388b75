//! `causeway local gateway`.

use std::net::IpAddr;

use causeway_rescale::Weight;
use clap::{Args, Subcommand};

use super::columns::aligned;
use crate::control::{NewGateway, NewWeight, Request, Which};
use crate::status::{AtStart, Pair, PeerTable, Table};

/// What stands below the help.
pub const BOTH: &str = "\
Each VPC's demux steers its own direction, so every change is made in both VPCs, in either order;
until the second one has made it, forward and return take different gateway pairs, and the next
change is refused. A third gateway for a cluster, once its process runs in both VPCs:
  A  causeway local gateway add --gateway gateway-3 --address 10.1.0.103
  B  causeway local gateway add --gateway gateway-3 --address 10.2.0.103

A change lasts: the demux keeps its table in the file that [rescale] names. When it returns, all
buckets have moved. Who stops waiting does not stop the change; `list` shows it.";

/// What is asked.
#[derive(Debug, Subcommand)]
pub enum Gateway {
    /// Show each peering's table: its epoch, and of each gateway pair weight, buckets and state.
    List {
        /// As JSON, one array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Let a gateway join a cluster.
    ///
    /// It carries nothing before a marker has come through it and its peer: before its SAs are
    /// installed at both ends.
    Add {
        #[command(flatten)]
        which: Whose,
        /// Where the gateway's host is; may be left out if the configuration says so.
        #[arg(long, value_name = "IP")]
        address: Option<IpAddr>,
        /// Its share relative to the others', 1 to 64; may be left out: as in the configuration,
        /// else 1.
        #[arg(long, value_name = "WEIGHT", value_parser = weight)]
        weight: Option<Weight>,
    },
    /// Let a gateway give its buckets to the others. It stays in the cluster; `weight` brings it back.
    Drain(Whose),
    /// Let a gateway leave a cluster, after a drain if it has buckets.
    Remove(Whose),
    /// Give a gateway another share of the buckets.
    Weight {
        #[command(flatten)]
        which: Whose,
        /// Its share relative to the others', 1 to 64.
        #[arg(long, value_name = "WEIGHT", value_parser = weight)]
        weight: Weight,
    },
}

/// A gateway of a cluster.
#[derive(Debug, Args)]
pub struct Whose {
    /// The gateway, by its name in this VPC.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The peering, by its name; may be left out if the demux has one.
    #[arg(long, value_name = "NAME")]
    peering: Option<String>,
}

impl Gateway {
    /// Whether the answer is for programs.
    pub fn wants_json(&self) -> bool {
        matches!(self, Self::List { json: true })
    }

    /// As it goes over the socket.
    pub fn request(self) -> Request {
        match self {
            Self::List { .. } => Request::GatewayList {},
            Self::Add {
                which: Whose { gateway, peering },
                address,
                weight,
            } => Request::GatewayAdd(NewGateway {
                gateway,
                peering,
                address,
                weight,
            }),
            Self::Drain(which) => Request::GatewayDrain(which.into()),
            Self::Remove(which) => Request::GatewayRemove(which.into()),
            Self::Weight {
                which: Whose { gateway, peering },
                weight,
            } => Request::GatewayWeight(NewWeight {
                gateway,
                peering,
                weight,
            }),
        }
    }
}

impl From<Whose> for Which {
    fn from(Whose { gateway, peering }: Whose) -> Self {
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

/// Each peering in a paragraph.
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
    let under_way = match table.changing_to {
        Some(to) => format!(", a change to epoch {to} is under way"),
        None => String::new(),
    };
    let peer = match table.peer {
        PeerTable::Unheard => "the peer has not been heard",
        PeerTable::Same => "the peer has the same",
        PeerTable::Ahead => "the peer is one change ahead",
        PeerTable::Behind => "the peer has yet to make the last change",
        PeerTable::Differs => "the peer has another one, and no change is made until it is mended",
    };
    let at_start = match table.at_start {
        Some(AtStart::Resumed) => "; resumed a change when it started",
        Some(AtStart::RolledBack) => "; rolled back a change when it started",
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
    format!("{peering}: epoch {epoch}, table {digest}{under_way}; {peer}{at_start}\n{pairs}")
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
    use crate::status::{Changes, Held, Moved, PairState};

    #[test]
    fn weights_are_read_and_refused() {
        assert_eq!(weight("1"), Ok(Weight::ONE));
        assert_eq!(weight("64").map(Weight::get), Ok(64));
        for text in ["0", "65", "256", "-1", "", "heavy"] {
            assert_eq!(weight(text), Err("expected 1 to 64".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_peering_has_a_sentence_and_a_line_for_each_pair() {
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
            at_start: Some(AtStart::RolledBack),
            peer: PeerTable::Same,
            pairs: vec![
                pair("gateway-1", 0, 1, 4096, PairState::Up, Some(312_400)),
                pair("gateway-2", 1, 0, 0, PairState::Drained, None),
            ],
            changes: Changes::default(),
            moved: Moved::default(),
            held: Held::default(),
            differed: 0,
        };
        assert_eq!(
            tables(&[table]),
            "vpc-2: epoch 3, table 00000000075bcd15, a change to epoch 4 is under way; the peer has the same; \
             rolled back a change when it started\n\
             gateway    pair  weight  buckets  state    round trip\n\
             gateway-1  0     1       4096     up       0.312 ms\n\
             gateway-2  1     0       0        drained  -"
        );
    }
}
