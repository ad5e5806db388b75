use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::error::RoutesError;
use crate::{hardware, messages, netlink};

/// What the kernel says about a NIC, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface index, unique within its network namespace.
    pub index: u32,
    /// The interface's name.
    pub name: String,
    /// The MAC address.
    pub mac: [u8; 6],
    /// The largest IP packet it takes, in bytes.
    pub mtu: u32,
    /// Receive queues in use: an AF_XDP socket may be bound to 0 up to one less.
    pub rx_queues: u32,
    /// Transmit queues in use.
    pub tx_queues: u32,
    /// Its own addresses of both families, each with the length of its subnet's prefix. Among
    /// them are IPv6 link-local ones, of which every NIC has one: [`is_link_local`] tells them.
    pub addresses: Vec<IpNet>,
    /// Whether it is administratively up. The carrier may still be absent.
    pub up: bool,
}

/// Whether the address counts on its link alone, so that nothing beyond can be sent to it: fe80::/10
/// (RFC 4291 section 2.5.6), and 169.254.0.0/16 (RFC 3927).
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Facts about the NIC of this name in the caller's network namespace. They come over netlink
/// alone, so the process needs no /sys of that namespace.
///
/// Call it within a tokio runtime that has I/O enabled.
///
/// # Errors
/// [`RoutesError::NoSuchInterface`] lists the NICs that exist; [`RoutesError::NotEthernet`] for a
/// tunnel and its like; the others when the kernel does not answer as it should.
pub async fn interface(name: &str) -> Result<Interface, RoutesError> {
    let (link, addresses) = netlink::once(async |handle| {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let links = links(netlink::dump(handle, request, "network interfaces").await?);
        let Some(link) = links.iter().find(|link| name_of(link) == Some(name)) else {
            let names: Vec<&str> = links.iter().filter_map(name_of).collect();
            return Err(RoutesError::NoSuchInterface {
                name: name.to_owned(),
                existing: names.join(", "),
            });
        };
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let addresses = netlink::dump(handle, request, "addresses").await?;
        Ok((link.clone(), addresses))
    })
    .await?;

    let incomplete = |what| RoutesError::Incomplete {
        interface: name.to_owned(),
        what,
    };
    let find = |wanted: fn(&LinkAttribute) -> Option<u32>| link.attributes.iter().find_map(wanted);
    let mtu = find(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    let mac = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        });
    let (rx_queues, tx_queues) = match queues_in_use(name).await {
        Some(queues) => queues,
        // Without ethtool's word on channels the driver cannot change them, so it uses all it has.
        None => {
            let rx = find(|attribute| match attribute {
                LinkAttribute::NumRxQueues(queues) => Some(*queues),
                _ => None,
            });
            let tx = find(|attribute| match attribute {
                LinkAttribute::NumTxQueues(queues) => Some(*queues),
                _ => None,
            });
            rx.zip(tx).ok_or_else(|| incomplete("queue counts"))?
        }
    };
    Ok(Interface {
        index: link.header.index,
        name: name.to_owned(),
        mac: mac.ok_or_else(|| RoutesError::NotEthernet {
            name: name.to_owned(),
        })?,
        mtu: mtu.ok_or_else(|| incomplete("MTU"))?,
        rx_queues,
        tx_queues,
        addresses: addresses
            .iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewAddress(m) => messages::address(m, link.header.index),
                _ => None,
            })
            .collect(),
        up: link.header.flags.contains(LinkFlags::Up),
    })
}

/// Packets that the NIC refused to transmit since it exists (`tx_dropped` of the kernel's
/// `rtnl_link_stats64`).
///
/// Call it within a tokio runtime that has I/O enabled.
///
/// # Errors
/// [`RoutesError::NoSuchIndex`] if there is no such NIC in the caller's network namespace.
pub async fn tx_dropped(index: u32) -> Result<u64, RoutesError> {
    let link = by_index(index).await?;
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(stats.tx_dropped),
            _ => None,
        })
        .ok_or_else(|| RoutesError::Incomplete {
            interface: index.to_string(),
            what: "statistics",
        })
}

pub(crate) async fn by_index(index: u32) -> Result<LinkMessage, RoutesError> {
    let mut request = LinkMessage::default();
    request.header.index = index;
    let request = RouteNetlinkMessage::GetLink(request);
    netlink::once(async |handle| netlink::get(handle, request, "network interface").await)
        .await?
        .and_then(|message| links(vec![message]).pop())
        .ok_or(RoutesError::NoSuchIndex(index))
}

fn links(messages: Vec<RouteNetlinkMessage>) -> Vec<LinkMessage> {
    let links = messages.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    });
    links.collect()
}

fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _ => None,
        })
}

/// Receive and transmit queues in use, where the driver speaks of channels (ethtool(8), `-l`).
///
/// IFLA_NUM_RX_QUEUES will not do: it counts what was allocated. A veth made without
/// `numrxqueues` allocates one queue per CPU and uses one; a NIC may have been told `ethtool -L`.
async fn queues_in_use(name: &str) -> Option<(u32, u32)> {
    let (rx, tx) = hardware::channels(name).await?.in_use();
    (rx > 0 && tx > 0).then_some((rx, tx))
}
