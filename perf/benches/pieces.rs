//! Benchmarks of single steps of ESP: `cargo bench -p causeway-perf`.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use causeway_esp::pieces::{Header, Window, iv};
use causeway_esp::{Encapsulation, Ends, Outer, SaTable, Sequence, Spi};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Look-ups of one iteration.
const BURST: usize = 64;

fn window(c: &mut Criterion) {
    let mut group = c.benchmark_group("window");
    for bits in [64, 4096, 16384] {
        group.bench_function(BenchmarkId::new("in order", bits), |b| {
            let mut window = Window::new(bits).expect("a supported width");
            let mut low = 0u32;
            b.iter(|| {
                low = low.wrapping_add(1);
                window.accept(black_box(low))
            });
        });
    }
    // Swapped pairs: every second number is below the highest one.
    group.bench_function("pairs swapped/4096", |b| {
        let mut window = Window::new(4096).expect("a supported width");
        let mut n = 1u32;
        b.iter(|| {
            n = n.wrapping_add(1);
            window.accept(black_box(n ^ 1))
        });
    });
    group.bench_function("duplicate/4096", |b| {
        let mut window = Window::new(4096).expect("a supported width");
        window.accept(1);
        b.iter(|| window.accept(black_box(1)));
    });
    group.finish();
}

fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("header");
    let v4 = |end| Ipv4Addr::new(10, end, 0, 101).into();
    let v6 = |end| Ipv4Addr::new(10, end, 0, 101).to_ipv6_mapped().into();
    for (family, one, other) in [("IPv4", v4(1), v4(2)), ("IPv6", v6(1), v6(2))] {
        let ends = Ends::new(one, other).expect("both are of one family");
        let udp = Encapsulation::Udp { source_port: 4501 };
        for (name, encapsulation) in [("ESP", Encapsulation::Esp), ("UDP", udp)] {
            let header = Header::new(&Outer::new(ends, encapsulation, 64));
            group.bench_function(BenchmarkId::new(family, name), |b| {
                let mut out = [0; 64];
                b.iter(|| {
                    header.write(
                        black_box(&mut out),
                        black_box(1500),
                        black_box(7),
                        black_box(0),
                    );
                });
            });
        }
    }
    group.finish();
}

fn nonce(c: &mut Criterion) {
    c.bench_function("nonce", |b| {
        let mut sequence = Sequence::new(1);
        sequence.reserve_until(u64::MAX);
        b.iter(|| sequence.issue().map(|nonce| iv(&nonce)));
    });
}

/// Bursts of 64 look-ups of different SAs, in tables of 1 to 100,000 SAs.
fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("64 look-ups");
    for count in [1, 10, 100, 1000, 10_000, 100_000u32] {
        let spi = |n| Spi::new(4096 + n).expect("the SPI is not reserved");
        let mut table = SaTable::new();
        for n in 0..count {
            table.insert(spi(n), n);
        }
        // Steps by a prime reach all SAs in an order that the CPU cannot prefetch.
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                let mut sum = 0;
                for _ in 0..BURST {
                    at = (at + 7919) % count;
                    sum += table.get(black_box(spi(at))).copied().unwrap_or_default();
                }
                sum
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = pieces;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = window, header, nonce, lookup
}
criterion_main!(pieces);
