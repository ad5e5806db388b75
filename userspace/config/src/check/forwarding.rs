//! Checks that a host which forwards packets forwards none to a peer's prefix.

use std::fs;

use causeway_routes::guard;
use ipnet::IpNet;

use crate::plan::Plan;

/// The prefixes that this host would forward to in clear before the first start of the role.
pub(crate) async fn warnings(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let [ipv4, ipv6] = [
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv6/conf/all/forwarding",
    ]
    .map(|path| fs::read_to_string(path).is_ok_and(|text| text.trim() != "0"));
    let forwarded = plan.guarded().into_iter().filter(|prefix| match prefix {
        IpNet::V4(_) => ipv4,
        IpNet::V6(_) => ipv6,
    });
    let forwarded: Vec<_> = forwarded.collect();
    if forwarded.is_empty() {
        return Ok(Vec::new());
    }
    let open = guard::missing(&forwarded).await?;
    Ok(open.iter().map(warning).collect())
}

fn warning(prefix: &IpNet) -> String {
    format!(
        "this host forwards packets, and nothing keeps it from forwarding to {prefix} in clear until a role starts. \
         Run `causeway guard` at boot, before forwarding is on"
    )
}
