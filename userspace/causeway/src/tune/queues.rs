//! The NIC's queues and rings.

use causeway_routes::Count;
use causeway_steering::MAX_QUEUES;

use super::environment::Environment;
use super::finding::{Check, Finding, Remedy};

const COUNT: Check = Check {
    name: "queues",
    why: "one queue per worker spreads the kernel's work over the cores; more queues than cores only add \
          rings to poll",
};
const RINGS: Check = Check {
    name: "nic-rings",
    why: "while a core is busy, packets wait in the NIC's ring, and a full ring drops them",
};
/// Recommended descriptors per ring: the size of a worker's rings.
const DESCRIPTORS: u32 = 2048;

pub fn count(env: &Environment) -> Finding {
    let nic = &env.nic;
    let is = format!("{} receive queues", nic.rx_queues);
    let Some(channels) = nic.hardware.channels else {
        return COUNT.unknown(format!("{is}, and the driver does not report its maximum"));
    };
    let combined = channels.combined.max > 0;
    let mut max = if combined {
        channels.combined.max
    } else {
        channels.rx.max.min(channels.tx.max)
    };
    // ENA needs one more queue for each queue on which XDP sends.
    if env.nic_driver().as_deref() == Some("ena") {
        max /= 2;
    }
    let max = max.clamp(1, MAX_QUEUES);
    let cores = u32::try_from(env.nic_cores().len())
        .unwrap_or(MAX_QUEUES)
        .max(1);
    let workers = u32::try_from(env.workers.len()).unwrap_or(MAX_QUEUES);
    let needed = if workers == 0 { cores } else { workers };
    let recommended = nic
        .rx_queues
        .clamp(needed.min(max), cores.max(needed).min(max));
    if recommended == nic.rx_queues {
        return COUNT.ok(format!("{is}, at most {max} possible"));
    }
    let name = &nic.name;
    COUNT.change(
        is,
        recommended.to_string(),
        Remedy::by_hand(if combined {
            format!("ethtool -L {name} combined {recommended}")
        } else {
            format!("ethtool -L {name} rx {recommended} tx {recommended}")
        }),
    )
}

pub fn rings(env: &Environment) -> Finding {
    let Some(rings) = env.nic.hardware.rings else {
        return RINGS.not_applicable("the driver has no adjustable rings");
    };
    let recommended = |ring: Count| ring.current.max(DESCRIPTORS.min(ring.max));
    let (rx, tx) = (recommended(rings.rx), recommended(rings.tx));
    let is = format!(
        "{} for receive, {} for transmit",
        rings.rx.current, rings.tx.current
    );
    if (rx, tx) == (rings.rx.current, rings.tx.current) {
        return RINGS.ok(is);
    }
    RINGS.change(
        is,
        format!("{rx} and {tx}"),
        Remedy::by_hand(format!("ethtool -G {} rx {rx} tx {tx}", env.nic.name)),
    )
}
