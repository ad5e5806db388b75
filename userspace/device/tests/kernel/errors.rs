//! Errors of opening a NIC name the NIC and the queue.

use causeway_device::{AfXdp, CopyPreference, OpenError, OpenOptions};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::namespace::{NIC, PEER, ip, with_veth};

fn refusal(options: OpenOptions) -> OpenError {
    let requested = format!("{options:?}");
    let error = match AfXdp::open(options) {
        Err(error) => error,
        Ok(_) => panic!("{requested} was opened"),
    };
    assert!(error.to_string().contains("cw0"), "{error}");
    error
}

/// Removes a capability from this thread. The thread ends with its test.
fn without(capability: CapabilitySet) {
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(capability);
    set_capabilities(None, sets).unwrap();
}

macro_rules! refused {
    ($options:expr, $expected:pat) => {
        let error = refusal($options);
        assert!(matches!(error, $expected), "{error:?}");
    };
}

#[test]
fn missing_nics_queues_and_zero_copy_are_reported() {
    with_veth(1, || {
        refused!(
            OpenOptions::new("cw0-none"),
            OpenError::NoSuchInterface { .. }
        );
        let two = OpenOptions {
            queues: 2,
            ..OpenOptions::new(NIC)
        };
        refused!(two, OpenError::NoSuchQueue { queue: 1, .. });
        let zero_copy = OpenOptions {
            copy: CopyPreference::ZeroCopy,
            ..OpenOptions::new(NIC)
        };
        refused!(zero_copy, OpenError::NoZeroCopy { .. });
    });
}

#[test]
fn a_queue_is_busy_until_its_sockets_are_closed() {
    with_veth(1, || {
        let holder = AfXdp::open(OpenOptions::new(NIC)).unwrap();
        refused!(OpenOptions::new(NIC), OpenError::QueueBusy { queue: 0, .. });
        drop(holder);
        AfXdp::open(OpenOptions::new(NIC)).unwrap();
    });
}

#[test]
fn an_mtu_above_the_frame_size_is_refused() {
    with_veth(1, || {
        ip(&["link", "set", PEER, "mtu", "9000"]);
        ip(&["link", "set", NIC, "mtu", "3826"]);
        AfXdp::open(OpenOptions::new(NIC)).unwrap();
        ip(&["link", "set", NIC, "mtu", "3827"]);
        refused!(
            OpenOptions::new(NIC),
            OpenError::MtuTooLarge {
                mtu: 3827,
                largest: 3826,
                ..
            }
        );
    });
}

#[test]
fn missing_privileges_are_reported() {
    with_veth(1, || {
        // 64 MiB are above the default limit of 8 MiB, which applies without CAP_IPC_LOCK.
        let large = OpenOptions {
            frames_per_queue: 1 << 15,
            ..OpenOptions::new(NIC)
        };
        without(CapabilitySet::IPC_LOCK);
        refused!(large, OpenError::LockedMemory { mebibytes: 64, .. });
        without(CapabilitySet::NET_RAW);
        refused!(OpenOptions::new(NIC), OpenError::Permission { .. });
    });
}
