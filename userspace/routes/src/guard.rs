//! The guard: the kernel forwards no packet to a guarded prefix, whether a role runs, starts or is away.
//!
//! A table of blackhole routes holds the prefixes. A policy rule of each family looks it up for every packet that arrives
//! on an interface, before all other tables but `local`. Packets that the XDP program redirects, and packets that this
//! host itself sends, do not pass the rule; the reverse path filter of packets to this host does not use it either.
//! Rule and routes belong to no process, so they stay until [`remove`] or a restart of the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteType};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Error, Handle, RouteMessageBuilder};

use crate::error::RoutesError;
use crate::{messages, netlink};

/// The number of the table and the preference of its rules.
const TABLE: u32 = 94_650;
const PREFERENCE: u32 = 1;
/// The origin of the routes, in the range that the kernel leaves to programs (rtnetlink(7)).
const PROTOCOL: RouteProtocol = RouteProtocol::Other(194);

/// Adds the prefixes to the guard of this network namespace. Prefixes that are guarded already stay.
///
/// # Errors
/// The process has no CAP_NET_ADMIN, or the kernel has no policy rules.
pub async fn install(prefixes: &[IpNet]) -> Result<(), RoutesError> {
    netlink::once(async |handle| {
        // A prefix is guarded from the moment that both exist, so their order does not matter.
        for prefix in prefixes {
            let added = handle.route().add(route(prefix)).execute().await;
            unless(EEXIST, added).map_err(|source| refused("add", prefix, source))?;
        }
        for ipv6 in [false, true] {
            let Some(prefix) = prefixes.iter().find(|prefix| is_ipv6(prefix) == ipv6) else {
                continue;
            };
            if !has_rule(handle, ipv6).await? {
                let added = add_rule(handle, ipv6).await;
                unless(EEXIST, added).map_err(|source| refused("add", prefix, source))?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes the prefixes from the guard. The rules stay: without routes they do nothing.
///
/// # Errors
/// The process has no CAP_NET_ADMIN.
pub async fn remove(prefixes: &[IpNet]) -> Result<(), RoutesError> {
    netlink::once(async |handle| {
        for prefix in prefixes {
            let removed = handle.route().del(route(prefix)).execute().await;
            unless(ESRCH, removed).map_err(|source| refused("remove", prefix, source))?;
        }
        Ok(())
    })
    .await
}

/// The prefixes that are not guarded.
///
/// # Errors
/// The kernel does not list its rules or routes.
pub async fn missing(prefixes: &[IpNet]) -> Result<Vec<IpNet>, RoutesError> {
    netlink::once(async |handle| {
        let rules = [
            has_rule(handle, false).await?,
            has_rule(handle, true).await?,
        ];
        let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let routes = netlink::dump(handle, request, "routes").await?;
        let guarded: Vec<IpNet> = routes
            .iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewRoute(route) if is_guard(route) => destination(route),
                _ => None,
            })
            .collect();
        let is_missing = |prefix: &&IpNet| {
            !rules[usize::from(is_ipv6(prefix))] || !guarded.contains(&prefix.trunc())
        };
        Ok(prefixes.iter().filter(is_missing).copied().collect())
    })
    .await
}

const ESRCH: i32 = 3;
const EEXIST: i32 = 17;

fn unless(code: i32, result: Result<(), Error>) -> Result<(), std::io::Error> {
    let error = match result {
        Ok(()) => return Ok(()),
        Err(Error::NetlinkError(message)) => message.to_io(),
        Err(error) => std::io::Error::other(error),
    };
    match error.raw_os_error() {
        Some(found) if found == code => Ok(()),
        _ => Err(error),
    }
}

fn refused(action: &'static str, prefix: &IpNet, source: std::io::Error) -> RoutesError {
    RoutesError::Guard {
        action,
        prefix: *prefix,
        source,
    }
}

fn is_ipv6(prefix: &IpNet) -> bool {
    matches!(prefix, IpNet::V6(_))
}

fn route(prefix: &IpNet) -> RouteMessage {
    match prefix.trunc() {
        IpNet::V4(prefix) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(prefix.network(), prefix.prefix_len())
            .table_id(TABLE)
            .protocol(PROTOCOL)
            .kind(RouteType::BlackHole)
            .build(),
        IpNet::V6(prefix) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(prefix.network(), prefix.prefix_len())
            .table_id(TABLE)
            .protocol(PROTOCOL)
            .kind(RouteType::BlackHole)
            .build(),
    }
}

fn is_guard(route: &RouteMessage) -> bool {
    route.header.kind == RouteType::BlackHole
        && route.attributes.contains(&RouteAttribute::Table(TABLE))
}

fn destination(route: &RouteMessage) -> Option<IpNet> {
    let address = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Destination(address) => messages::ip(address),
            _ => None,
        });
    let any: IpAddr = match route.header.address_family {
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    IpNet::new(
        address.unwrap_or(any),
        route.header.destination_prefix_length,
    )
    .ok()
}

/// Adds the rule `not iif lo lookup TABLE`: `lo` is the input interface of packets that this host sends.
async fn add_rule(handle: &Handle, ipv6: bool) -> Result<(), Error> {
    let request = handle.rule().add();
    let mut request = request
        .input_interface("lo")
        .table_id(TABLE)
        .priority(PREFERENCE)
        .action(RuleAction::ToTable);
    request.message_mut().header.flags |= RuleFlags::Invert;
    match ipv6 {
        false => request.v4().execute().await,
        true => request.v6().execute().await,
    }
}

async fn has_rule(handle: &mut Handle, ipv6: bool) -> Result<bool, RoutesError> {
    let mut request = RuleMessage::default();
    request.header.family = match ipv6 {
        false => AddressFamily::Inet,
        true => AddressFamily::Inet6,
    };
    let request = RouteNetlinkMessage::GetRule(request);
    let rules = netlink::dump(handle, request, "policy rules").await?;
    Ok(rules.iter().any(|message| {
        matches!(message, RouteNetlinkMessage::NewRule(rule)
            if rule.header.flags.contains(RuleFlags::Invert)
                && rule.attributes.contains(&RuleAttribute::Table(TABLE)))
    }))
}
