//! Whether packets of a role pass, judged from its status and from the kernel's state.

use std::collections::BTreeMap;
use std::net::IpAddr;

use causeway_api::status::{Direction, NotReady, NotReadyReason, Table, Worker, XdpMode};
use causeway_routes::{Interface, Link, Snapshot};

use crate::sas::RESERVATION;

/// What a role knows when its status is read.
pub struct Facts<'a> {
    pub xdp_mode: XdpMode,
    /// The NIC as it was at the start.
    pub nic: &'a Interface,
    /// The NIC's link at the last read.
    pub link: &'a Link,
    pub routes: &'a Snapshot,
    /// The peer gateways of the tunnels on this host.
    pub peers: &'a [IpAddr],
    pub tables: &'a [Table],
    /// The gateways without a MAC address.
    pub unresolved: &'a [String],
    pub workers: &'a [Worker],
}

/// All reasons for which packets do not pass. None: the role is ready.
pub fn not_ready(facts: &Facts<'_>) -> Vec<NotReady> {
    let mut reasons = Vec::new();
    let mut add = |reason, detail| reasons.push(NotReady { reason, detail });
    if facts.xdp_mode == XdpMode::Detached {
        add(
            NotReadyReason::Detached,
            format!(
                "no XDP program of this role is attached to {}",
                facts.nic.name
            ),
        );
    }
    nic(facts, &mut add);
    for peer in facts.peers {
        if facts.routes.next_hop(*peer).is_none() {
            add(
                NotReadyReason::NoRoute,
                format!(
                    "no route leads to the peer gateway {peer} through {}",
                    facts.nic.name
                ),
            );
        }
    }
    for table in facts.tables {
        let pairs = table.pairs.iter().filter(|pair| pair.buckets > 0);
        for pair in pairs.filter(|pair| facts.unresolved.contains(&pair.gateway)) {
            add(
                NotReadyReason::GatewayUnresolved,
                format!(
                    "{} has {} buckets of {} and answers neither ARP nor neighbour discovery",
                    pair.gateway, pair.buckets, table.peering
                ),
            );
        }
    }
    facts
        .workers
        .iter()
        .for_each(|worker| sas(worker, &mut add));
    reasons
}

fn nic(facts: &Facts<'_>, add: &mut impl FnMut(NotReadyReason, String)) {
    let Facts { nic, link, .. } = facts;
    if !link.up {
        add(NotReadyReason::LinkDown, format!("{} is down", nic.name));
    } else if !link.carrier {
        add(
            NotReadyReason::LinkDown,
            format!("{} has no carrier", nic.name),
        );
    }
    if link.mac != nic.mac {
        let [old, new] =
            [nic.mac, link.mac].map(|mac| mac.map(|octet| format!("{octet:02x}")).join(":"));
        add(
            NotReadyReason::NicChanged,
            format!(
                "the MAC address of {} was {old} and is {new}: restart the role",
                nic.name
            ),
        );
    }
    if link.mtu != nic.mtu {
        add(
            NotReadyReason::NicChanged,
            format!(
                "the MTU of {} was {} and is {}: restart the role",
                nic.name, nic.mtu, link.mtu
            ),
        );
    }
}

fn sas(worker: &Worker, add: &mut impl FnMut(NotReadyReason, String)) {
    // By tunnel and direction: whether an SA carries packets.
    let mut carries: BTreeMap<(&str, Direction), bool> = BTreeMap::new();
    for sa in &worker.sas {
        let carrying = carries.entry((&sa.peering, sa.direction)).or_default();
        *carrying |= matches!(sa.state.as_str(), "active" | "due");
        let carries = sa.state != "expired";
        if carries
            && sa
                .sequence_numbers_remaining
                .is_some_and(|left| left < RESERVATION)
        {
            add(
                NotReadyReason::SequenceNumbersShort,
                format!(
                    "the SA {} of {} has {} sequence numbers left; install a new one (causeway local sa)",
                    sa.spi,
                    sa.peering,
                    sa.sequence_numbers_remaining.unwrap_or_default()
                ),
            );
        }
    }
    for ((peering, direction), carrying) in carries {
        if !carrying {
            add(
                NotReadyReason::SaExpired,
                format!(
                    "worker {} of {} has no {} SA for {peering} within its lifetime",
                    worker.worker,
                    worker.gateway,
                    direction.name()
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_api::status::{Pair, PairState, Sa};
    use causeway_routes::Route;

    use super::*;

    struct Role {
        nic: Interface,
        link: Link,
        routes: Snapshot,
        tables: Vec<Table>,
        unresolved: Vec<String>,
        worker: Worker,
    }

    fn sa(direction: Direction, state: &str) -> Sa {
        Sa {
            spi: 4097,
            direction,
            peering: "vpc-2".into(),
            state: state.into(),
            packets: 0,
            bytes: 0,
            since: 0,
            expires: None,
            sequence_numbers_remaining: (direction == Direction::Outbound).then_some(u64::MAX),
        }
    }

    fn role() -> Role {
        let mac = [2, 0, 0, 0, 0, 1];
        Role {
            nic: Interface {
                index: 2,
                name: "eth0".into(),
                mac,
                mtu: 1500,
                rx_queues: 1,
                tx_queues: 1,
                addresses: Vec::new(),
                up: true,
                xdp_program: None,
            },
            link: Link {
                up: true,
                carrier: true,
                mac,
                mtu: 1500,
                tx_dropped: 0,
            },
            routes: Snapshot::new(
                [Route {
                    prefix: "192.0.2.0/24".parse().unwrap(),
                    gateway: None,
                    metric: 0,
                }],
                [],
            ),
            tables: Vec::new(),
            unresolved: Vec::new(),
            worker: Worker {
                sas: vec![
                    sa(Direction::Outbound, "active"),
                    sa(Direction::Inbound, "due"),
                ],
                ..Worker::default()
            },
        }
    }

    #[track_caller]
    fn judge(change: impl FnOnce(&mut Role), expected: &[(NotReadyReason, &str)]) {
        let mut role = role();
        change(&mut role);
        let found = not_ready(&Facts {
            xdp_mode: XdpMode::Driver,
            nic: &role.nic,
            link: &role.link,
            routes: &role.routes,
            peers: &["192.0.2.2".parse().unwrap()],
            tables: &role.tables,
            unresolved: &role.unresolved,
            workers: &[role.worker],
        });
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, (reason, detail)) in found.iter().zip(expected) {
            assert_eq!(found.reason, *reason);
            assert!(found.detail.contains(detail), "{found:?}");
        }
    }

    #[test]
    fn a_role_whose_packets_pass_is_ready() {
        judge(|_| (), &[]);
    }

    #[test]
    fn a_nic_that_cannot_carry_is_told() {
        use NotReadyReason::{LinkDown, NicChanged};
        judge(|role| role.link.up = false, &[(LinkDown, "eth0 is down")]);
        judge(
            |role| role.link.carrier = false,
            &[(LinkDown, "eth0 has no carrier")],
        );
        judge(
            |role| role.link.mtu = 1400,
            &[(NicChanged, "was 1500 and is 1400")],
        );
        judge(
            |role| role.link.mac[5] = 255,
            &[(NicChanged, "was 02:00:00:00:00:01 and is 02:00:00:00:00:ff")],
        );
    }

    #[test]
    fn a_peer_without_a_route_is_told() {
        judge(
            |role| role.routes = Snapshot::default(),
            &[(NotReadyReason::NoRoute, "192.0.2.2 through eth0")],
        );
    }

    #[test]
    fn a_gateway_without_a_mac_address_counts_only_with_buckets() {
        let table = |buckets| Table {
            peering: "vpc-2".into(),
            pairs: vec![Pair {
                gateway: "gateway-1".into(),
                pair: 0,
                weight: 1,
                buckets,
                state: PairState::Unknown,
                round_trip_ns: None,
            }],
            ..Table::default()
        };
        let with = |buckets| {
            move |role: &mut Role| {
                role.tables = vec![table(buckets)];
                role.unresolved = vec!["gateway-1".into()];
            }
        };
        judge(with(0), &[]);
        let told = "gateway-1 has 4096 buckets of vpc-2";
        judge(with(4096), &[(NotReadyReason::GatewayUnresolved, told)]);
    }

    #[test]
    fn a_tunnel_without_a_valid_sa_is_told() {
        use NotReadyReason::{SaExpired, SequenceNumbersShort};
        judge(
            |role| role.worker.sas[1].state = "expired".into(),
            &[(SaExpired, "no inbound SA for vpc-2")],
        );
        // A newer SA carries the packets.
        judge(
            |role| {
                role.worker.sas[0].state = "expired".into();
                role.worker.sas.push(sa(Direction::Outbound, "active"));
            },
            &[],
        );
        judge(
            |role| role.worker.sas[0].sequence_numbers_remaining = Some(RESERVATION - 1),
            &[(SequenceNumbersShort, "16777215 sequence numbers left")],
        );
    }
}
