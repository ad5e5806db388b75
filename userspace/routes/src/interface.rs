use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::Handle;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, LinkXdp};

use crate::error::RoutesError;
use crate::{hardware, messages, netlink};

/// The state of a NIC at one moment, as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface index, unique within its network namespace.
    pub index: u32,
    /// The interface's name.
    pub name: String,
    /// The NIC's MAC address.
    pub mac: [u8; 6],
    /// The size of the largest IP packet in bytes.
    pub mtu: u32,
    /// Receive queues in use. An AF_XDP socket can be bound to queues 0 to `rx_queues - 1`.
    pub rx_queues: u32,
    /// Transmit queues in use.
    pub tx_queues: u32,
    /// The NIC's addresses of both families, each with the prefix length of its subnet. They include IPv6
    /// link-local addresses, see [`is_link_local`].
    pub addresses: Vec<IpNet>,
    /// True if the NIC is administratively up. The carrier may still be absent.
    pub up: bool,
    /// The kernel's identifier of the XDP program that is attached to the NIC.
    pub xdp_program: Option<u32>,
}

/// True if the address is valid only on its link: fe80::/10 (RFC 4291 section 2.5.6) and 169.254.0.0/16
/// (RFC 3927).
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Reads the state of the NIC with this name in the caller's network namespace. The source is netlink alone, so
/// the process needs no /sys of that namespace.
///
/// Call it within a tokio runtime that has I/O enabled.
///
/// # Errors
/// [`RoutesError::NoSuchInterface`] with the names of the existing NICs. [`RoutesError::NotEthernet`] for a NIC
/// without a MAC address, such as a tunnel. Other errors if the kernel's answer is an error or incomplete.
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

    let incomplete = |attribute| RoutesError::Incomplete {
        interface: name.to_owned(),
        attribute,
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
        // A driver that does not report channels cannot change them, so all its queues are in use.
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
        xdp_program: find(|attribute| match attribute {
            LinkAttribute::Xdp(xdp) => xdp.iter().find_map(|each| match each {
                LinkXdp::ProgId(id) => Some(*id),
                _ => None,
            }),
            _ => None,
        }),
    })
}

/// The state of a NIC that changes while it is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// True if the NIC is administratively up.
    pub up: bool,
    /// True if the NIC has a carrier.
    pub carrier: bool,
    /// The NIC's MAC address.
    pub mac: [u8; 6],
    /// The size of the largest IP packet in bytes.
    pub mtu: u32,
    /// Packets that the NIC refused to transmit since its creation (`tx_dropped` of the kernel's `rtnl_link_stats64`).
    pub tx_dropped: u64,
}

/// See [`Watcher::link`](crate::Watcher::link).
pub(crate) async fn link(handle: &mut Handle, index: u32) -> Result<Link, RoutesError> {
    let message = by_index(handle, index).await?;
    let (mut mac, mut mtu, mut tx_dropped) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Address(octets) => mac = octets.as_slice().try_into().ok(),
            LinkAttribute::Mtu(octets) => mtu = Some(*octets),
            LinkAttribute::Stats64(stats) => tx_dropped = Some(stats.tx_dropped),
            _ => {}
        }
    }
    let incomplete = |attribute| RoutesError::Incomplete {
        interface: index.to_string(),
        attribute,
    };
    let flags = message.header.flags;
    Ok(Link {
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        mac: mac.ok_or_else(|| incomplete("MAC address"))?,
        mtu: mtu.ok_or_else(|| incomplete("MTU"))?,
        tx_dropped: tx_dropped.ok_or_else(|| incomplete("statistics"))?,
    })
}

pub(crate) async fn by_index(handle: &mut Handle, index: u32) -> Result<LinkMessage, RoutesError> {
    let mut request = LinkMessage::default();
    request.header.index = index;
    let request = RouteNetlinkMessage::GetLink(request);
    netlink::get(handle, request, "network interface")
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

/// Receive and transmit queues in use, if the driver reports channels (ethtool(8), `-l`).
///
/// IFLA_NUM_RX_QUEUES counts allocated queues, not queues in use. A veth created without `numrxqueues` allocates
/// one queue per CPU and uses one, and `ethtool -L` changes the queues in use.
async fn queues_in_use(name: &str) -> Option<(u32, u32)> {
    let (rx, tx) = hardware::channels(name).await?.in_use();
    (rx > 0 && tx > 0).then_some((rx, tx))
}
