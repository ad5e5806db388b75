//! Two network namespaces joined by a veth pair, and threads that run in one of them.

use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use causeway_routes::{Lookup, RoutesError, Snapshot, Watcher, interface};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::watch;

/// The NIC's name in both namespaces.
pub const NIC: &str = "nic";
pub const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
pub const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 1, 2];
pub const SECOND: Duration = Duration::from_secs(1);

/// The namespace `near` has 10.1.0.1/24, `far` has 10.1.0.2/24. Dropping the value removes both namespaces.
pub struct VethPair {
    pub near: String,
    pub far: String,
}

impl VethPair {
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test creates network namespaces: run it as root"
        );
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("cwroutes{}-{number}{side}", std::process::id());
        let pair = Self {
            near: name("near"),
            far: name("far"),
        };
        for side in [&pair.near, &pair.far] {
            run(&["netns", "add", side]);
            // Without duplicate address detection an address is usable at once.
            let setting = "net.ipv6.conf.default.accept_dad=0";
            run(&["netns", "exec", side, "sysctl", "-qw", setting]);
        }
        let link = format!(
            "link add {NIC} address 02:00:00:00:01:01 type veth \
             peer name {NIC} address 02:00:00:00:01:02 netns {}",
            pair.far
        );
        pair.near(&link);
        pair.near("link set lo up");
        pair.near(&format!("addr add 10.1.0.1/24 dev {NIC}"));
        pair.far(&format!("addr add 10.1.0.2/24 dev {NIC}"));
        pair.far(&format!("link set {NIC} up"));
        pair.near(&format!("link set {NIC} up"));
        pair
    }

    /// Runs `ip` in the near namespace.
    pub fn near(&self, arguments: &str) -> String {
        ip(&self.near, arguments)
    }

    /// Runs these lines in one batch of `ip` in the near namespace.
    pub fn near_batch(&self, lines: &str) {
        let mut command = Command::new("ip");
        command.args(["-n", &self.near, "-batch", "-"]);
        let mut ip = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = ip.stdin.take().unwrap();
        input.write_all(lines.as_bytes()).unwrap();
        drop(input);
        assert!(ip.wait().unwrap().success());
    }

    /// Runs `ip` in the far namespace.
    pub fn far(&self, arguments: &str) -> String {
        ip(&self.far, arguments)
    }

    /// Runs a line of bash in the far namespace.
    pub fn far_shell(&self, line: &str) {
        run(&["netns", "exec", &self.far, "bash", "-c", line]);
    }

    /// Runs ethtool in the near namespace.
    pub fn ethtool(&self, arguments: &str) {
        let words = ["netns", "exec", &self.near, "ethtool"].into_iter();
        run(&words
            .chain(arguments.split_whitespace())
            .collect::<Vec<_>>());
    }

    /// Sets one of the near NIC's ARP parameters (arp(7)).
    pub fn arp(&self, parameter: &str, value: &str) {
        self.sysctl(&format!("net.ipv4.neigh.{NIC}.{parameter}={value}"));
    }

    /// Sets one of the near NIC's NDP parameters, which have the same names as ARP's.
    pub fn ndp(&self, parameter: &str, value: &str) {
        self.sysctl(&format!("net.ipv6.neigh.{NIC}.{parameter}={value}"));
    }

    fn sysctl(&self, setting: &str) {
        run(&["netns", "exec", &self.near, "sysctl", "-qw", setting]);
    }

    /// Runs the future on a thread and a single-threaded runtime in the near namespace.
    pub fn run<F: Future<Output = ()>>(&self, future: impl FnOnce() -> F + Send) {
        let path = format!("/run/netns/{}", self.near);
        let body = move || {
            let namespace = File::open(path).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(future());
        };
        std::thread::scope(|scope| {
            if let Err(panic) = scope.spawn(body).join() {
                std::panic::resume_unwind(panic);
            }
        });
    }
}

impl Drop for VethPair {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn ip(namespace: &str, arguments: &str) -> String {
    let words = ["-n", namespace].into_iter();
    run(&words
        .chain(arguments.split_whitespace())
        .collect::<Vec<_>>())
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A watcher of the near NIC, running on the current runtime.
pub struct RunningWatcher {
    pub watcher: Watcher,
    pub index: u32,
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The number of published snapshots.
    pub published: Arc<AtomicU32>,
    pub task: tokio::task::JoinHandle<Result<(), RoutesError>>,
}

impl RunningWatcher {
    pub async fn start() -> Self {
        let index = interface(NIC).await.unwrap().index;
        let (sender, snapshots) = watch::channel(Arc::default());
        let published = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&published);
        let publish = move |snapshot| {
            count.fetch_add(1, Ordering::Relaxed);
            sender.send_replace(snapshot);
        };
        let (watcher, task) = Watcher::start(index, publish).await.unwrap();
        assert_eq!(
            published.load(Ordering::Relaxed),
            1,
            "the first snapshot is published before start returns"
        );
        Self {
            watcher,
            index,
            snapshots,
            published,
            task: tokio::spawn(task),
        }
    }

    /// Checks next hops of the latest snapshot.
    pub fn check_next_hops(&self, expectations: &[(&str, Option<&str>)]) {
        let snapshot = self.snapshots.borrow();
        for &(destination, expected) in expectations {
            let next = snapshot.next_hop(destination.parse().unwrap());
            let next = next.map(|address| address.to_string());
            assert_eq!(next.as_deref(), expected, "{destination}");
        }
    }

    /// Waits until the latest snapshot has `expected` for `destination`. `event` describes it in panics.
    pub async fn wait_for(&mut self, event: &str, destination: IpAddr, expected: Lookup) {
        self.wait_within(30 * SECOND, event, destination, expected)
            .await;
    }

    /// As [`RunningWatcher::wait_for`], with another limit. Returns the snapshot.
    pub async fn wait_within(
        &mut self,
        limit: Duration,
        event: &str,
        destination: IpAddr,
        expected: Lookup,
    ) -> Arc<Snapshot> {
        let found = |snapshot: &Arc<Snapshot>| snapshot.lookup(destination) == expected;
        let waited = tokio::time::timeout(limit, self.snapshots.wait_for(found));
        let outcome = waited.await.map(|found| found.map(|s| Arc::clone(&s)));
        match outcome {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(_)) => panic!("the watcher ended before {event}"),
            Err(_) => {
                let last = self.snapshots.borrow().clone();
                panic!("timed out after {limit:?} waiting for {event}; last snapshot: {last:?}")
            }
        }
    }
}
