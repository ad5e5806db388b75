//! Two network namespaces joined by a veth pair, and threads that live in one of them.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use causeway_routes::{RoutesError, Snapshot, Watcher, interface};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::watch;

/// The NIC's name in both namespaces.
pub const NIC: &str = "nic";
pub const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
pub const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 1, 2];

/// `near` holds 10.1.0.1/24, `far` holds 10.1.0.2/24. Both go with this value.
pub struct Pair {
    pub near: String,
    pub far: String,
}

impl Pair {
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes network namespaces of its own: run it as root"
        );
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("cwroutes{}-{number}{side}", std::process::id());
        let pair = Self {
            near: name("near"),
            far: name("far"),
        };
        for side in [&pair.near, &pair.far] {
            run(&["netns", "add", side]);
            // No second of duplicate address detection before an address counts.
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

    /// Runs one `ip` in the near namespace that carries out all these lines.
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

    /// Sets one of the near NIC's NDP parameters, which are named as ARP's.
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

impl Drop for Pair {
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

/// A watch of the near NIC, running on the current runtime.
pub struct Watch {
    pub watcher: Watcher,
    pub index: u32,
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// How many snapshots were published.
    pub published: Arc<AtomicU32>,
    pub task: tokio::task::JoinHandle<Result<(), RoutesError>>,
}

impl Watch {
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
            "the first snapshot comes before start returns"
        );
        Self {
            watcher,
            index,
            snapshots,
            published,
            task: tokio::spawn(task),
        }
    }

    /// Waits for a snapshot that fulfils the condition; the latest one counts.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Snapshot) -> bool,
    ) -> Arc<Snapshot> {
        let waited = tokio::time::timeout(limit, self.snapshots.wait_for(|s| condition(s)));
        let outcome = waited.await.map(|found| found.map(|s| Arc::clone(&s)));
        match outcome {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(_)) => panic!("the watch ended before {what}"),
            Err(_) => {
                let last = self.snapshots.borrow().clone();
                panic!("not within {limit:?}: {what}; last snapshot {last:?}")
            }
        }
    }
}
