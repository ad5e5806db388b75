//! The spread of flows over buckets by the hash, and over gateways by the bucket table.
//!
//! The sets of flows and the key are fixed, so the figures are the same on any machine.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use causeway_lab::output::print_line;
use causeway_rescale::{Table, Weight};
use causeway_steering::{Address, BUCKETS, FlowKey, SteerHash};
use serde::Serialize;

/// Flows of a set: 16 per bucket.
const FLOWS: u32 = 16 * BUCKETS;
const TCP: u8 = 6;

/// The spread of one set of flows.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "FlowSpread"))]
pub struct Spread {
    /// The name of the set.
    pub what: String,
    /// Flows of the set.
    pub flows: u32,
    /// Chi-square of the buckets against equal shares. A fair hash gives about 4095, the degrees of
    /// freedom.
    pub chi_square: f64,
    /// Excess of the largest bucket over the mean, in percent.
    pub largest_bucket_percent: f64,
    /// Excess of the largest gateway's share of flows over the mean, in percent, for clusters of 2 to
    /// 10 gateways.
    pub largest_gateway_percent: Vec<f64>,
}

/// Address `n` of one side.
type Side = fn(u32) -> Address;
/// Flow `n` of a set. `client` and `server` give addresses of one family.
type Flow = fn(n: u32, client: Side, server: Side) -> FlowKey;

/// Typical flows of hosts, and flows of an attacker without the key who wants to load one gateway.
const SETS: [(&str, Flow); 7] = [
    ("one client, every port", |n, client, server| {
        tcp((client(10), n as u16), (server(7), 443))
    }),
    ("one port, many clients", |n, client, server| {
        tcp((client(n), 40_000), (server(7), 443))
    }),
    ("clients and servers in step", |n, client, server| {
        tcp((client(n), 40_000), (server(n), 443))
    }),
    ("a farm: 256 clients, 256 servers", |n, client, server| {
        tcp((client(n & 255), 32_768), (server(n >> 8), 443))
    }),
    (
        "ephemeral ports of 64 clients to 4 services",
        |n, client, server| {
            let port = 32_768 + (n >> 6) as u16 * 7 % 28_232;
            tcp(
                (client(n & 63), port),
                (server(n & 3), 443 + (n >> 2 & 3) as u16),
            )
        },
    ),
    ("ports of one sum", |n, client, server| {
        tcp((client(10), n as u16), (server(7), !(n as u16)))
    }),
    ("addresses a table's size apart", |n, client, server| {
        let far = (n & 255) * BUCKETS;
        tcp((client(far), (n >> 8) as u16 * 256), (server(far), 443))
    }),
];

/// The spread of every set in both families.
pub fn measure() -> Vec<Spread> {
    let hash = SteerHash::new(*b"the spread's key");
    let clusters: Vec<Vec<usize>> = (2..=10).map(cluster).collect();
    let families: [(_, Side, Side); 2] = [
        (
            "IPv4",
            |n| Ipv4Addr::from_bits(0x0a01_0000 + n).into(),
            |n| Ipv4Addr::from_bits(0x0b02_0000 + n).into(),
        ),
        (
            "IPv6",
            |n| Ipv6Addr::from_bits((0xfd01_u128 << 112) + u128::from(n)).into(),
            |n| Ipv6Addr::from_bits((0xfd02_u128 << 112) + u128::from(n)).into(),
        ),
    ];
    let mut spreads = Vec::new();
    for (family, client, server) in families {
        for (what, flow) in SETS {
            let buckets = (0..FLOWS).map(|n| hash.bucket(&flow(n, client, server)));
            spreads.push(spread(format!("{family}, {what}"), buckets, &clusters));
        }
    }
    spreads
}

fn tcp(a: (Address, u16), b: (Address, u16)) -> FlowKey {
    FlowKey::new(TCP, a, b)
}

/// The gateway of each bucket in a cluster of equal gateways.
fn cluster(gateways: usize) -> Vec<usize> {
    let members = (0..gateways).map(|n| (n.to_string(), Weight::ONE));
    let table = Table::new(members).expect("the cluster is not empty");
    let buckets = table.buckets().iter();
    buckets.map(|ordinal| ordinal.0.into()).collect()
}

fn spread(what: String, buckets: impl Iterator<Item = u32>, clusters: &[Vec<usize>]) -> Spread {
    let mut counts = vec![0u32; BUCKETS as usize];
    buckets.for_each(|bucket| counts[bucket as usize] += 1);
    let flows: u32 = counts.iter().sum();
    let mean = f64::from(flows) / f64::from(BUCKETS);
    let squares = counts
        .iter()
        .map(|&count| (f64::from(count) - mean).powi(2));
    let over = |largest: u32, mean: f64| (f64::from(largest) / mean - 1.0) * 100.0;
    Spread {
        what,
        flows,
        chi_square: squares.sum::<f64>() / mean,
        largest_bucket_percent: over(counts.iter().copied().max().unwrap_or(0), mean),
        largest_gateway_percent: clusters
            .iter()
            .map(|cluster| {
                let gateways = cluster.iter().max().map_or(0, |last| last + 1);
                let mut shares = vec![0; gateways];
                for (&gateway, count) in cluster.iter().zip(&counts) {
                    shares[gateway] += count;
                }
                let largest = shares.into_iter().max().unwrap_or(0);
                over(largest, f64::from(flows) / gateways as f64)
            })
            .collect(),
    }
}

/// Prints one line per set.
pub fn print(spreads: &[Spread]) -> Result<()> {
    print_line(format_args!(
        "\n{:<52} {:>10} {:>9}  gateway's excess over the mean, 2 to 10 gateways, %",
        format!("spread of {FLOWS} flows"),
        "chi-square",
        "bucket, %"
    ))?;
    for spread in spreads {
        let gateways = spread.largest_gateway_percent.iter();
        let gateways: Vec<_> = gateways.map(|percent| format!("{percent:.1}")).collect();
        print_line(format_args!(
            "{:<52} {:>10.0} {:>9.0}  {}",
            spread.what,
            spread.chi_square,
            spread.largest_bucket_percent,
            gateways.join(" ")
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fair hash exceeds a bound with a probability of one in ten million, with any set.
    const DEVIATIONS: f64 = 5.2;
    const RARE: f64 = 1e-7;

    /// The quantile of chi-square at `deviations` of a normal distribution, by the approximation of Wilson
    /// and Hilferty. It is exact to some tenths of a percent for thousands of degrees of freedom.
    fn chi_square_quantile(degrees: f64, deviations: f64) -> f64 {
        let part = 2.0 / (9.0 * degrees);
        degrees * (1.0 - part + deviations * part.sqrt()).powi(3)
    }

    /// The smallest number that any bucket reaches with a probability below [`RARE`], if each bucket is Poisson
    /// distributed with this mean.
    fn largest_of_poisson(mean: f64, buckets: u32) -> u32 {
        let mut term = (-mean).exp();
        let mut below = 0.0;
        for n in 0.. {
            if (1.0 - below) * f64::from(buckets) < RARE {
                return n;
            }
            below += term;
            term *= mean / f64::from(n + 1);
        }
        unreachable!("the probabilities of a distribution sum up to 1")
    }

    fn fair(spread: &Spread) -> Result<(), String> {
        let degrees = f64::from(BUCKETS - 1);
        let [low, high] = [-DEVIATIONS, DEVIATIONS].map(|z| chi_square_quantile(degrees, z));
        let mean = f64::from(spread.flows) / f64::from(BUCKETS);
        let largest = largest_of_poisson(mean, BUCKETS);
        let bucket = (f64::from(largest) / mean - 1.0) * 100.0;
        if !(low..high).contains(&spread.chi_square) || spread.largest_bucket_percent >= bucket {
            let Spread {
                what,
                chi_square,
                largest_bucket_percent,
                ..
            } = spread;
            return Err(format!(
                "{what}: chi-square {chi_square:.0} of {low:.0}..{high:.0}, \
                 the largest bucket {largest_bucket_percent:.0} % over the mean of at most {bucket:.0} %"
            ));
        }
        for (gateways, percent) in (2..).zip(&spread.largest_gateway_percent) {
            // A share is binomial. Where the buckets do not divide evenly, one gateway has a bucket more.
            let gateways = f64::from(gateways);
            let deviation = ((gateways - 1.0) / f64::from(spread.flows)).sqrt();
            let bound = 100.0 * (DEVIATIONS * deviation + gateways / f64::from(BUCKETS));
            if *percent > bound {
                let what = &spread.what;
                return Err(format!(
                    "{what}: a share of {gateways} is {percent:.2} % over the mean of at most {bound:.2} %"
                ));
            }
        }
        Ok(())
    }

    #[test]
    fn every_set_spreads_as_a_fair_hash_would() {
        for spread in measure() {
            assert_eq!(fair(&spread), Ok(()));
        }
    }

    /// Shows that the bounds can fail: simple hashes exceed them on every set.
    #[test]
    fn simple_hashes_fail_the_bounds() {
        let clusters: Vec<_> = (2..=10).map(cluster).collect();
        type Hash = fn(&FlowKey) -> u32;
        let simple: [(&str, Hash); 2] = [
            ("a sum", |flow| {
                let ends = [flow.low, flow.high];
                ends.map(|(address, port)| address.low as u32 + u32::from(port))
                    .into_iter()
                    .fold(0, u32::wrapping_add)
            }),
            ("an exclusive or", |flow| {
                let ends = [flow.low, flow.high];
                ends.map(|(address, port)| address.low as u32 ^ u32::from(port))
                    .into_iter()
                    .fold(0, |a, b| a ^ b)
            }),
        ];
        for (name, hash) in simple {
            for (what, flow) in SETS {
                let address = |n: u32| Address::v4(0x0a01_0000 + n);
                let server = |n: u32| Address::v4(0x0b02_0000 + n);
                let buckets = (0..FLOWS).map(|n| hash(&flow(n, address, server)) % BUCKETS);
                let spread = spread(format!("{name}, {what}"), buckets, &clusters);
                assert!(fair(&spread).is_err(), "{}: passed", spread.what);
            }
        }
    }

    /// Compares with published tables: the 99.9 % quantile of chi-square with 100 degrees of freedom is 149.449.
    #[test]
    fn the_quantiles_match_published_tables() {
        assert!((chi_square_quantile(100.0, 3.0902) - 149.449).abs() < 0.1);
        // P(Poisson(1) >= 10) is 1.11e-7, of >= 11 1.00e-8.
        assert_eq!(largest_of_poisson(1.0, 1), 11);
    }
}
