//! The scale by which the reference's limits are divided, so that this machine can carry their sum.

use super::document::Caps;
use super::reference::Reference;

/// The VPC's limit is at most this part of the throughput without limits. The rest covers the cost of
/// more gateways, and other load.
const USED: f64 = 0.4;

/// The requested limits, and the others by the same scale. `moved` measures the throughput without limits.
pub fn caps(
    reference: &Reference,
    gateway: Option<f64>,
    vpc: Option<f64>,
    moved: impl FnOnce() -> anyhow::Result<f64>,
) -> anyhow::Result<Caps> {
    let (reference_gateway, reference_vpc) = (reference.gateway_mbit(), reference.vpc_mbit());
    let scale = match (gateway, vpc) {
        (Some(gateway), _) => reference_gateway / gateway,
        (None, Some(vpc)) => reference_vpc / vpc,
        (None, None) => fitting(reference_vpc, moved()?),
    };
    Ok(Caps {
        reference_gateway_mbit: reference_gateway,
        reference_vpc_mbit: reference_vpc,
        scale,
        gateway_mbit: gateway.unwrap_or(reference_gateway / scale),
        vpc_mbit: vpc.unwrap_or(reference_vpc / scale),
    })
}

/// An integer; 1 if the machine carries the reference's own limits.
fn fitting(wanted: f64, moved: f64) -> f64 {
    (wanted / (moved.max(1.0) * USED)).ceil().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::plan::{Direction, Path};

    #[test]
    fn the_scale_follows_the_machine_or_a_requested_limit() {
        let row = Reference::row(Path::Peering, Direction::OneWay);
        let of = |gateway, vpc, moved| caps(&row, gateway, vpc, || Ok(moved)).unwrap();
        let fits = of(None, None, 1000.0);
        assert_eq!((fits.scale, fits.vpc_mbit), (14.0, 5428.5 / 14.0));
        assert_eq!(of(None, None, 1e6).scale, 1.0);
        let requested = of(Some(121.4), None, 0.0);
        assert_eq!(
            (requested.scale, requested.gateway_mbit),
            (1214.0 / 121.4, 121.4)
        );
        assert_eq!(requested.vpc_mbit, 5428.5 / requested.scale);
        let both = of(Some(100.0), Some(200.0), 0.0);
        assert_eq!((both.gateway_mbit, both.vpc_mbit), (100.0, 200.0));
        assert_eq!(of(None, Some(5428.5), 0.0).gateway_mbit, 1214.0);
    }
}
