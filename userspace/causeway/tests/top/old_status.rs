//! The status document of an older version, with fewer fields.

use std::time::{Duration, Instant};

use causeway::top::model::Role;
use causeway::top::tables::{Sort, tables};
use causeway::top::text;
use causeway_api::status::Status;

/// A gateway's status from before bursts, stages and rings were reported.
const OLD: &str = r#"{"role":"gateway","cluster":null,"nic":{"name":"eth0","xdp_mode":"driver","mtu":1500,"tx_dropped":0},"ready":true,"drained":false,"steering":{"received":100,"to_worker":100,"to_gateway":0,"drops":{},"punts":{},"gateways":[]},"tables":[],"workers":[{"gateway":"gateway-1","worker":0,"core":null,"copy_mode":"copy","received":100,"sent":100,"originated":0,"waiting":0,"holds":{"now":0,"waiting":0,"packets":0,"expired":0},"control_packets":0,"worker_stalls":0,"sealed":{"packets":100,"bytes":5000},"opened":{"packets":0,"bytes":0},"drops":{},"kernel_drops":{},"tunnels":[],"sequence_numbers_remaining":7,"sas":[],"sa_changes":{"installed":0,"switched":0,"retired":0,"due":0,"expired":0},"latency_ns":{"count":0,"p50":0,"p99":0,"p999":0,"max":0},"frames":{"total":64,"home":64}}]}"#;

fn old_status(received: u64) -> Status {
    let mut status: Status = serde_json::from_str(OLD).expect("an old document");
    status.steering.received = received;
    status
}

#[test]
fn fields_that_are_missing_are_unknown() {
    let start = Instant::now();
    let mut role = Role::new("here".to_owned());
    role.answered(start, old_status(100));
    role.answered(start + Duration::from_secs(2), old_status(300));
    let rates = role.rates().expect("two readings");
    assert_eq!(rates.per_second(|status| status.steering.received), 100.0);
    let worker = &role.status().expect("a reading").workers[0];
    let rates = rates.of_worker(worker).expect("the same worker");
    assert_eq!(
        (
            rates.mean_burst(),
            rates.stage("seal"),
            rates.all_stages(),
            rates.ring("fill")
        ),
        (None, None, None, None)
    );
    let text = text(&tables(&[role.clone()], Sort::Name, start));
    assert!(text.contains("gateway-1  0    -"), "{text}");

    // An old status has no start time. A counter that shrank shows the restart.
    role.answered(start + Duration::from_secs(3), old_status(5));
    assert!(role.rates().is_none());
}
