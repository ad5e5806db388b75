//! Tests of whole workers over NICs in memory: two gateways back to back, with the tests as the network between them.

mod bursts;
mod control;
mod families;
mod holds;
mod inbound;
mod laws;
mod lifetime;
mod markers;
mod model;
mod neighbours;
mod outbound;
mod packet;
mod path_mtu;
mod profile;
mod rekey;
mod settings;
mod side;
mod stall;
mod vlan;
