//! A network namespace with a veth pair for the duration of a test.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    panic,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The NIC under test.
pub const NIC: &str = "cw0";
/// The other end of the veth pair, on which the test acts as the network.
pub const PEER: &str = "cw1";

struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        // This deletes its devices, too. A failure is ignored, because it would hide the failure of the test.
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.0])
            .status();
    }
}

/// Runs a test in a namespace with the pair [`NIC`] and [`PEER`], each with `queues` queues.
pub fn with_veth(queues: u32, test: impl FnOnce() + Send) {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes a network namespace and opens AF_XDP sockets: run it as root"
    );
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let namespace = Namespace(format!("cwdev{}-{number}", process::id()));
    ip(&["netns", "add", &namespace.0]);
    let result = thread::scope(|scope| {
        let inside = || {
            enter(&namespace.0);
            // Without neighbour discovery only the test's packets are on the wire.
            fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
            let queues = queues.to_string();
            let ends = ["numrxqueues", &queues, "numtxqueues", &queues];
            ip(&[
                &["link", "add", NIC][..],
                &ends,
                &["type", "veth", "peer", "name", PEER],
                &ends,
            ]
            .concat());
            for end in [NIC, PEER] {
                ip(&["link", "set", end, "up"]);
            }
            test();
        };
        scope.spawn(inside).join()
    });
    if let Err(failure) = result {
        panic::resume_unwind(failure);
    }
}

/// Moves the calling thread, and thus the threads that it starts, into the namespace.
fn enter(name: &str) {
    let file = File::open(format!("/run/netns/{name}")).expect("the namespace that `ip` made");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("to enter the namespace");
}

/// Runs `ip` in the namespace of the calling thread.
pub fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status();
    let status = status.expect("`ip` of iproute2: install that package");
    assert!(status.success(), "ip {} failed", arguments.join(" "));
}
