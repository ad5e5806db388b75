//! A role of an older version, which tells less.

use std::time::{Duration, Instant};

use causeway::status::Status;
use causeway::top::model::Role;
use causeway::top::tables::{Sort, tables};
use causeway::top::text;

/// What a gateway answered before it told where its time goes.
const OLDER: &str = r#"{"role":"gateway","cluster":null,"nic":{"name":"eth0","xdp_mode":"driver","mtu":1500,"tx_dropped":0},"ready":true,"drained":false,"steering":{"received":100,"to_worker":100,"to_gateway":0,"drops":{},"punts":{},"gateways":[]},"tables":[],"workers":[{"gateway":"gateway-1","worker":0,"core":null,"copy_mode":"copy","received":100,"sent":100,"originated":0,"waiting":0,"holds":{"now":0,"waiting":0,"packets":0,"expired":0},"words":0,"standstills":0,"sealed":{"packets":100,"bytes":5000},"opened":{"packets":0,"bytes":0},"drops":{},"kernel_drops":{},"tunnels":[],"sequence_numbers_remaining":7,"sas":[],"sa_changes":{"installed":0,"switched":0,"retired":0,"due":0,"expired":0},"latency_ns":{"count":0,"p50":0,"p99":0,"p999":0,"max":0},"frames":{"total":64,"home":64}}]}"#;

fn older(received: u64) -> Status {
    let mut status: Status = serde_json::from_str(OLDER).expect("a document of before");
    status.steering.received = received;
    status
}

#[test]
fn what_it_does_not_tell_is_not_known() {
    let start = Instant::now();
    let mut role = Role::new("here".to_owned());
    role.saw(start, older(100));
    role.saw(start + Duration::from_secs(2), older(300));
    let pace = role.pace().expect("two looks");
    assert_eq!(pace.of(|status| status.steering.received), 100.0);
    let worker = &role.status().expect("a look").workers[0];
    let pace = pace.of_worker(worker).expect("the same worker");
    assert_eq!(
        (
            pace.burst(),
            pace.stage("seal"),
            pace.all_stages(),
            pace.ring("fill")
        ),
        (None, None, None, None)
    );
    let text = text(&tables(&[role.clone()], Sort::Name, start));
    assert!(text.contains("gateway-1  0    -"), "{text}");

    // It does not tell either that it has restarted, but its counters do.
    role.saw(start + Duration::from_secs(3), older(5));
    assert!(role.pace().is_none());
}
