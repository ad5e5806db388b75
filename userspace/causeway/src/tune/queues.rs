//! The NIC's queues and their rings.

use causeway_routes::Count;
use causeway_steering::MAX_QUEUES;

use super::finding::{Check, Finding, Remedy};
use super::scene::Scene;

const COUNT: Check = Check {
    name: "queues",
    why: "at least one queue for each worker spreads the kernel's share over the cores; more than there \
          are cores only make more rings to look at",
};
const RINGS: Check = Check {
    name: "nic-rings",
    why: "what bursts in while a core is away waits in the NIC's ring, and is lost beyond it",
};
/// Descriptors of a ring, as many as a worker's own rings hold.
const DESCRIPTORS: u32 = 2048;

pub fn count(scene: &Scene) -> Finding {
    let nic = &scene.nic;
    let is = format!("{} to receive", nic.rx_queues);
    let Some(channels) = nic.hardware.channels else {
        return COUNT.unknown(format!(
            "{is}, and the driver does not tell how many there could be"
        ));
    };
    let combined = channels.combined.most > 0;
    let mut most = if combined {
        channels.combined.most
    } else {
        channels.rx.most.min(channels.tx.most)
    };
    // ENA wants a queue beside each for what XDP sends.
    if scene.nic_driver().as_deref() == Some("ena") {
        most /= 2;
    }
    let most = most.clamp(1, MAX_QUEUES);
    let cores = u32::try_from(scene.near().len())
        .unwrap_or(MAX_QUEUES)
        .max(1);
    let workers = u32::try_from(scene.workers.len()).unwrap_or(MAX_QUEUES);
    let least = if workers == 0 { cores } else { workers };
    let wanted = nic
        .rx_queues
        .clamp(least.min(most), cores.max(least).min(most));
    if wanted == nic.rx_queues {
        return COUNT.ok(format!("{is}, of {most} that there could be"));
    }
    let name = &nic.name;
    COUNT.change(
        is,
        wanted.to_string(),
        Remedy::by_hand(if combined {
            format!("ethtool -L {name} combined {wanted}")
        } else {
            format!("ethtool -L {name} rx {wanted} tx {wanted}")
        }),
    )
}

pub fn rings(scene: &Scene) -> Finding {
    let Some(rings) = scene.nic.hardware.rings else {
        return RINGS.not_applicable("the driver has no rings to set");
    };
    let wanted = |ring: Count| ring.current.max(DESCRIPTORS.min(ring.most));
    let (rx, tx) = (wanted(rings.rx), wanted(rings.tx));
    let is = format!(
        "{} to receive, {} to transmit",
        rings.rx.current, rings.tx.current
    );
    if (rx, tx) == (rings.rx.current, rings.tx.current) {
        return RINGS.ok(is);
    }
    RINGS.change(
        is,
        format!("{rx} and {tx}"),
        Remedy::by_hand(format!("ethtool -G {} rx {rx} tx {tx}", scene.nic.name)),
    )
}
