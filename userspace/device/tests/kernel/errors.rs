//! What cannot be opened is refused with a sentence that names NIC and queue and helps.

use causeway_device::{AfXdp, CopyPreference, OpenError, OpenOptions};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::namespace::{NIC, PEER, ip, with_veth};

fn refusal(options: OpenOptions) -> OpenError {
    let asked = format!("{options:?}");
    let error = match AfXdp::open(options) {
        Err(error) => error,
        Ok(_) => panic!("{asked} was opened"),
    };
    assert!(error.to_string().contains("cw0"), "{error}");
    error
}

/// Takes a capability from this thread, which ends with its test.
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
fn what_is_not_there_is_named() {
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
fn a_queue_in_use_is_named_and_free_again_when_its_sockets_close() {
    with_veth(1, || {
        let holder = AfXdp::open(OpenOptions::new(NIC)).unwrap();
        refused!(OpenOptions::new(NIC), OpenError::QueueBusy { queue: 0, .. });
        drop(holder);
        AfXdp::open(OpenOptions::new(NIC)).unwrap();
    });
}

#[test]
fn an_mtu_beyond_a_frame_is_refused() {
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
fn missing_privileges_are_named() {
    with_veth(1, || {
        // 64 MiB, above the usual limit of 8 MiB, which only CAP_IPC_LOCK lifts.
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
