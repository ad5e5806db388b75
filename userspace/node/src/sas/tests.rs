//! Two workers with in-memory NICs, whose SAs are installed, switched and retired.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::bail;
use causeway_device::memory;
use causeway_esp::Cipher;
use causeway_gateway::{Control, TooBig, Tunnel, Worker, WorkerConfig};
use causeway_routes::Snapshot;

use super::*;
use crate::path_mtu::Dispatcher;
use causeway_config as config;
use causeway_keys::new_sa;
use causeway_keys::sequence::sequence_file;
use tempfile::{TempDir, tempdir};

/// Enough time also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The XDP program's table. It checks that a worker has an SA before packets are steered to it.
struct Table {
    /// The worker of each call of `steer`.
    steered: Mutex<Vec<u32>>,
    controls: Vec<Control>,
    broken: bool,
}

impl Table {
    fn new(sas: &Sas) -> Self {
        Self {
            steered: Mutex::default(),
            controls: sas
                .workers
                .iter()
                .map(|worker| worker.control.clone())
                .collect(),
            broken: false,
        }
    }

    fn changes(&self, worker: u32) -> causeway_gateway::Changes {
        self.controls[worker as usize].counters.totals().sas
    }
}

impl Steer for Table {
    fn steer(&self, _: Spi, worker: u32) -> anyhow::Result<()> {
        let mut steered = self.steered.lock().unwrap();
        steered.push(worker);
        let count = steered.iter().filter(|other| **other == worker).count() as u64;
        until("the worker has the SA before it is steered to", || {
            self.changes(worker).installed == count
        });
        if self.broken {
            bail!("no");
        }
        Ok(())
    }

    fn unsteer(&self, _: Spi) -> anyhow::Result<()> {
        Ok(())
    }
}

fn until(description: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "{description}");
        thread::yield_now();
    }
}

/// SPIs 1000 and 1001 are the first worker's, outbound and inbound, 1010 and 1011 the second's.
fn world(directory: &TempDir) -> Sas {
    let (mut workers, mut registry) = (Vec::new(), SaRegistry::default());
    for worker in 0..2 {
        let sa = |number: u32, name: &str| {
            let key_file = directory.path().join(format!("{name}-{worker}.key"));
            new_sa(&key_file, Cipher::Aes128Gcm).unwrap();
            config::Sa {
                spi: Spi::new(1000 + 10 * worker + number).unwrap(),
                key: read_sa(&key_file).unwrap(),
                key_file,
            }
        };
        let (out, back) = (sa(0, "out"), sa(1, "in"));
        let template = SaTemplate::for_test("vpc-2");
        for sa in [&out, &back] {
            registry.take_key(&sa.key, sa.spi, &sa.key_file).unwrap();
        }
        let reservation = Reservation::open(&out.key_file, &out.key).unwrap();
        let (outbound, reserved) = template.outbound(out.spi, &out.key, reservation).unwrap();
        let tunnel = Tunnel {
            peer: [10, 2, 0, 101].into(),
            peer_prefixes: vec!["10.2.0.0/16".parse().unwrap()],
            clamp_mss: false,
            path_mtu_age: Duration::ZERO,
            dummy_interval: None,
            demuxes: None,
            outbound: outbound.into(),
            inbound: template.inbound(back.spi, &back.key).unwrap().into(),
        };
        let index = (worker as usize, 0);
        let lifetime = Default::default();
        let name = (out.spi, Direction::Outbound);
        registry.add(Entry::new(name, index, tunnel.outbound.meter(), lifetime));
        let name = (back.spi, Direction::Inbound);
        registry.add(Entry::new(name, index, tunnel.inbound.meter(), lifetime));
        let config = WorkerConfig {
            mac: [2; 6],
            address: [10, 1, 0, 101].into(),
            nic_addresses: vec![[10, 1, 0, 101].into()],
            mtu: 1500,
            own_prefixes: vec!["10.1.0.0/16".parse().unwrap()],
            tunnels: vec![tunnel],
            routes: Arc::new(Snapshot::default()),
            burst: 8,
            hold_packets: 0,
            spin: false,
        };
        let (nic, wire) = memory::pair(64, 2048, 16);
        let (made, control) = Worker::new(config, nic).unwrap();
        thread::spawn(move || {
            let _wire = wire;
            made.run()
        });
        workers.push(Arc::new(WorkerHandle {
            gateway: "gateway-1".to_owned(),
            id: worker,
            core: None,
            control,
            templates: vec![template],
            reserved: Mutex::new(vec![reserved]),
        }));
    }
    Sas::new(workers.into(), registry)
}

fn key(directory: &TempDir, name: &str) -> PathBuf {
    let path = directory.path().join(name);
    new_sa(&path, Cipher::Aes256Gcm).unwrap();
    path
}

fn new(worker: u32, spi: u32, key_file: PathBuf) -> NewSa {
    NewSa {
        gateway: "gateway-1".to_owned(),
        worker: Some(worker),
        peering: None,
        spi,
        key_file,
    }
}

/// SPI and state of each SA of a worker. The outbound SA is the first.
fn states(sas: &Sas, worker: usize) -> Vec<(u32, String)> {
    let rows = sas.rows().into_iter().filter(|(index, _)| *index == worker);
    rows.map(|(_, sa)| (sa.spi, sa.state)).collect()
}

fn state(spi: u32, state: &str) -> (u32, String) {
    (spi, state.to_owned())
}

#[track_caller]
fn refused(result: Result<String, SaError>, text: &str) {
    let error = result.expect_err("it is refused").to_string();
    assert!(error.contains(text), "{error}");
}

#[test]
fn an_sa_lives_from_install_to_retirement() {
    let directory = tempdir().unwrap();
    let sas = world(&directory);
    let table = Table::new(&sas);
    let (inbound, outbound) = (key(&directory, "b.key"), key(&directory, "a.key"));
    sas.install(&new(0, 2001, inbound), &table).unwrap();
    sas.switch(&new(0, 2000, outbound.clone())).unwrap();
    let before = [
        state(2000, "active"),
        state(1001, "active"),
        state(2001, "active"),
    ];
    assert_eq!(states(&sas, 0), before);
    assert_eq!(
        states(&sas, 1),
        [state(1010, "active"), state(1011, "active")]
    );
    let numbers = std::fs::read_to_string(sequence_file(&outbound)).unwrap();
    assert_eq!(
        numbers.split(' ').next().unwrap().trim(),
        (RESERVATION + 1).to_string()
    );
    assert_eq!(lock(&sas.workers[0].reserved)[0].spi.get(), 2000);
    // The key of the replaced SA is free.
    let free = directory.path().join("out-0.key");
    assert!(Reservation::open(&free, &read_sa(&free).unwrap()).is_ok());

    let now = Instant::now();
    sas.retire(1001, Duration::from_secs(3600)).unwrap();
    sas.tick(now, &table);
    assert_eq!(states(&sas, 0)[1], state(1001, "retiring"));
    sas.retire(1001, Duration::ZERO).unwrap();
    let now = Instant::now();
    sas.tick(now, &table);
    assert_eq!(states(&sas, 0)[1], state(1001, "draining"));
    sas.tick(now + IN_FLIGHT / 2, &table);
    assert_eq!(
        table.changes(0).retired,
        0,
        "its packets may still be in flight"
    );
    sas.tick(now + IN_FLIGHT, &table);
    until("the worker drops it", || table.changes(0).retired == 1);
    until("the SA is removed", || {
        sas.tick(now + IN_FLIGHT, &table);
        states(&sas, 0) == [state(2000, "active"), state(2001, "active")]
    });
    assert_eq!(table.changes(0).switched, 1);
    // The SPI can be used again. The key cannot.
    let old = new(0, 1001, directory.path().join("in-0.key"));
    refused(sas.install(&old, &table), "has used, for SPI 0x000003e9");
    sas.install(&new(0, 1001, key(&directory, "c.key")), &table)
        .unwrap();
}

#[test]
fn each_refusal_has_its_error_and_changes_nothing() {
    let directory = tempdir().unwrap();
    let sas = world(&directory);
    let table = Table::new(&sas);
    let before = sas.rows();
    let fresh = key(&directory, "fresh.key");
    let install = |sa: NewSa| sas.install(&sa, &table);
    let valid = || new(0, 2001, fresh.clone());
    let gateway = "gateway-9".to_owned();
    refused(
        install(NewSa { gateway, ..valid() }),
        "no gateway \"gateway-9\" on this host; its gateways are: gateway-1",
    );
    refused(
        install(new(7, 2001, fresh.clone())),
        "no worker 7; its workers are: 0, 1",
    );
    let worker = None;
    refused(
        install(NewSa { worker, ..valid() }),
        "several workers; select one",
    );
    let peering = Some("vpc-9".to_owned());
    refused(
        install(NewSa { peering, ..valid() }),
        "no peering \"vpc-9\"; its peerings are: vpc-2",
    );
    refused(install(new(0, 255, fresh.clone())), "is reserved");
    refused(
        install(new(0, 1011, fresh.clone())),
        "SPI 0x000003f3 is in use by an inbound SA",
    );
    refused(
        install(new(0, 2001, directory.path().join("none.key"))),
        "cannot be read",
    );
    refused(
        install(new(0, 2001, directory.path().join("out-1.key"))),
        "holds a key that this process uses",
    );
    // Both workers have the same peer, so their outbound SPIs must differ.
    refused(
        sas.switch(&new(0, 1010, fresh.clone())),
        "is in use by an outbound SA",
    );
    refused(
        sas.switch(&new(0, 2000, directory.path().join("out-1.key"))),
        "is in use by another process or SA",
    );
    refused(
        sas.switch(&new(0, 2000, directory.path().join("in-1.key"))),
        "holds a key that this process uses",
    );
    std::fs::remove_file(sequence_file(&fresh)).unwrap();
    refused(
        sas.switch(&new(0, 2000, fresh.clone())),
        "fresh.key.sequence is missing",
    );
    refused(
        sas.retire(1001, Duration::ZERO),
        "Install its successor first",
    );
    refused(
        sas.retire(1000, Duration::ZERO),
        "no inbound SA with SPI 0x000003e8",
    );
    assert_eq!(sas.rows(), before);
    assert_eq!(lock(&sas.workers[0].reserved)[0].spi.get(), 1000);
    // The key is still free.
    install(valid()).unwrap();
}

#[test]
fn an_sa_that_cannot_be_steered_is_removed() {
    let directory = tempdir().unwrap();
    let sas = world(&directory);
    let mut table = Table::new(&sas);
    table.broken = true;
    let sa = new(1, 2001, key(&directory, "b.key"));
    refused(sas.install(&sa, &table), "cannot steer SPI 0x000007d1");
    until("the worker drops it", || table.changes(1).retired == 1);
    assert_eq!(
        states(&sas, 1),
        [state(1010, "active"), state(1011, "active")]
    );
    table.broken = false;
    sas.install(&sa, &table).unwrap();
    assert_eq!(states(&sas, 1).len(), 3);
}

/// Whatever anybody forges: only the sender of the quoted packet hears of it, and only a bounded number of times.
#[test]
fn reports_of_the_path_mtu_reach_their_worker_at_a_bounded_rate() {
    let directory = tempdir().unwrap();
    let sas = world(&directory);
    let now = Instant::now();
    let mut dispatcher = Dispatcher::new(2, now);
    let peer = SaTemplate::for_test("vpc-2").peer_address();
    let report = |destination, spi| TooBig {
        source: [10, 1, 0, 101].into(),
        destination,
        spi,
        sequence: 1,
        mtu: 1400,
    };
    let mut worker_for = |report, at| dispatcher.worker_for(&report, &sas, at);
    // An inbound SPI, an unknown one, and another peer.
    for other in [
        report(peer, 1001),
        report(peer, 7),
        report([192, 0, 2, 1].into(), 1000),
    ] {
        assert_eq!(worker_for(other, now), None);
    }
    let flood = |worker_for: &mut dyn FnMut(TooBig, Instant) -> Option<usize>, at| {
        let workers = (0..1000).filter_map(|_| worker_for(report(peer, 1000), at));
        workers.filter(|&worker| worker == 0).count()
    };
    assert_eq!(flood(&mut worker_for, now), 10);
    // The other worker's reports have a limit of their own.
    assert_eq!(worker_for(report(peer, 1010), now), Some(1));
    assert_eq!(flood(&mut worker_for, now + Duration::from_secs(60)), 10);
}
