//! The reference measurement: iperf TCP through 1 to 10 gateways on C4.8xlarge instances.

use super::plan::{Direction, Path};

/// Mbit/s with 1, 2, ... 10 gateways.
pub struct Reference(&'static [f64; 10]);

const PEERING_ONE_WAY: [f64; 10] = [
    1214.0, 2532.0, 3777.0, 5103.0, 5563.0, 5409.0, 5414.0, 5430.0, 5530.0, 5427.0,
];
const PEERING_BOTH: [f64; 10] = [
    1646.0, 3530.0, 5354.0, 7097.0, 8139.0, 9231.0, 9437.0, 9221.0, 9289.0, 9270.0,
];
const INTERNET_ONE_WAY: [f64; 10] = [
    1114.0, 2119.0, 3443.0, 4293.0, 4877.0, 4997.0, 5073.0, 5277.0, 5065.0, 4940.0,
];
const INTERNET_BOTH: [f64; 10] = [
    1480.0, 3292.0, 5134.0, 6726.0, 8345.0, 8491.0, 8975.0, 8582.0, 8965.0, 8722.0,
];

impl Reference {
    /// The reference for a path and a direction.
    pub const fn row(path: Path, direction: Direction) -> Self {
        Self(match (path, direction) {
            (Path::Peering, Direction::OneWay) => &PEERING_ONE_WAY,
            (Path::Peering, Direction::Both) => &PEERING_BOTH,
            (Path::Internet, Direction::OneWay) => &INTERNET_ONE_WAY,
            (Path::Internet, Direction::Both) => &INTERNET_BOTH,
        })
    }

    /// Throughput with a number of gateways.
    pub fn mbit(&self, gateways: u8) -> Option<f64> {
        let index = usize::from(gateways).checked_sub(1)?;
        self.0.get(index).copied()
    }

    /// The limit of a gateway: the throughput with one gateway.
    pub fn gateway_mbit(&self) -> f64 {
        self.0[0]
    }

    /// The limit of the VPC: the median of the last four points, where more gateways add nothing.
    pub fn vpc_mbit(&self) -> f64 {
        let mut plateau = [self.0[6], self.0[7], self.0[8], self.0[9]];
        plateau.sort_by(f64::total_cmp);
        (plateau[1] + plateau[2]) / 2.0
    }

    /// Throughput over min(n x gateway, VPC) by the limits of the reference. It exceeds 1 where the
    /// single gateway was slower than each of several.
    pub fn efficiency(&self, gateways: u8) -> Option<f64> {
        let ideal = self
            .vpc_mbit()
            .min(f64::from(gateways) * self.gateway_mbit());
        Some(self.mbit(gateways)? / ideal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_first_point_and_the_plateau() {
        let limits = |path, direction| {
            let row = Reference::row(path, direction);
            (row.gateway_mbit(), row.vpc_mbit())
        };
        assert_eq!(limits(Path::Peering, Direction::OneWay), (1214.0, 5428.5));
        assert_eq!(limits(Path::Peering, Direction::Both), (1646.0, 9279.5));
        assert_eq!(limits(Path::Internet, Direction::OneWay), (1114.0, 5069.0));
        assert_eq!(limits(Path::Internet, Direction::Both), (1480.0, 8843.5));
    }

    #[test]
    fn the_efficiency_refers_to_the_limits_of_the_reference() {
        let row = Reference::row(Path::Peering, Direction::OneWay);
        assert_eq!(row.efficiency(1), Some(1.0));
        assert_eq!(row.efficiency(10), Some(5427.0 / 5428.5));
        assert_eq!((row.mbit(0), row.efficiency(11)), (None, None));
    }
}
