//! Valid files on hosts that do not fit them.

use causeway_config::{ConfigError, HostFacts, MAX_MTU, NicFacts, Problem};

use super::{LOCAL, REMOTE, changed, keys, load, refused};

/// An `eth0` with these addresses, and cores 0 and 1.
fn facts(addresses: &[&str]) -> HostFacts {
    HostFacts {
        nic: NicFacts::Present {
            up: true,
            mtu: 1500,
            rx_queues: 2,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            xdp_program: None,
        },
        cores: vec![0, 1],
        open_files: Some(4096),
        listen: None,
        role_runs: false,
    }
}

fn judge(text: &str, facts: &HostFacts) -> Result<Vec<Problem>, ConfigError> {
    let directory = keys();
    load(directory.path(), text).unwrap().for_host(facts)
}

fn with_nic(up: bool, mtu: u32, rx_queues: u32) -> HostFacts {
    HostFacts {
        nic: NicFacts::Present {
            up,
            mtu,
            rx_queues,
            addresses: vec!["10.1.0.10/24".parse().unwrap()],
            xdp_program: None,
        },
        cores: vec![0],
        open_files: Some(4096),
        listen: None,
        role_runs: false,
    }
}

#[test]
fn a_fitting_host_is_accepted() {
    assert_eq!(judge(REMOTE, &facts(&["10.1.0.10/24"])).unwrap(), []);
    assert_eq!(
        judge(LOCAL, &facts(&["10.1.0.10/24", "10.1.0.101/32"])).unwrap(),
        []
    );
    judge(REMOTE, &with_nic(true, MAX_MTU, 64)).unwrap();
}

#[test]
fn a_missing_nic_is_refused_with_a_list_of_the_others() {
    let facts = HostFacts {
        nic: NicFacts::Absent {
            existing: "lo, ens5".to_owned(),
        },
        cores: vec![0],
        open_files: Some(4096),
        listen: None,
        role_runs: false,
    };
    refused(
        judge(REMOTE, &facts),
        "2:",
        "nic.name: there is no interface eth0 in this network namespace; there are: lo, ens5",
    );
}

#[test]
fn a_nic_that_cannot_carry_the_traffic_is_refused() {
    for (up, mtu, queues, message) in [
        (false, 1500, 1, "eth0 is down; try: ip link set dev eth0 up"),
        (
            true,
            9001,
            1,
            "the MTU of eth0 is 9001; XDP takes at most 3498",
        ),
        (
            true,
            3499,
            1,
            "the MTU of eth0 is 3499; XDP takes at most 3498",
        ),
        (
            true,
            576,
            1,
            "the MTU of eth0 is 576; a packet of 576 bytes in a tunnel needs at least 641",
        ),
        (
            true,
            1500,
            65,
            "eth0 has 65 receive queues; at most 64 are served",
        ),
    ] {
        refused(
            judge(REMOTE, &with_nic(up, mtu, queues)),
            "2:",
            &format!("nic.name: {message}"),
        );
    }
}

#[test]
fn addresses_must_fit_the_subnet() {
    refused(
        judge(
            &changed(REMOTE, "10.1.0.102", "10.9.0.5"),
            &facts(&["10.1.0.10/24"]),
        ),
        "21:",
        "gateway[1].address: 10.9.0.5 is outside 10.1.0.0/24, the subnet of eth0;",
    );
    refused(
        judge(REMOTE, &facts(&["10.1.0.101/24"])),
        "17:",
        "gateway[0].address: 10.1.0.101 is an address of eth0 itself",
    );
    refused(
        judge(LOCAL, &facts(&["10.1.0.10/24"])),
        "22:",
        "gateway[0].address: 10.1.0.101 is not an address of eth0 (it has 10.1.0.10/24)",
    );
    refused(
        judge(REMOTE, &facts(&["10.1.0.10/24", "10.3.4.5/24"])),
        "12:",
        "peering[0].prefixes: 10.3.0.0/16 contains 10.3.4.5, an address of eth0",
    );
    refused(
        judge(REMOTE, &facts(&[])),
        "2:",
        "nic.name: eth0 has only link-local addresses",
    );
}

#[test]
fn cores_must_exist() {
    let text = changed(LOCAL, "core = 0", "core = 7");
    refused(
        judge(&text, &facts(&["10.1.0.101/24"])),
        "25:",
        "gateway[0].worker[0].core: core 7 does not exist or is not in this process's CPU affinity; there are: 0, 1",
    );
}

#[test]
fn a_shared_core_is_an_error_with_a_spinning_worker_else_a_warning() {
    let shared = changed(
        LOCAL,
        "[[gateway.worker]]\n\n",
        "[[gateway.worker]]\ncore = 0\n",
    );
    refused(
        judge(&shared, &facts(&["10.1.0.101/24"])),
        "38:",
        "gateway[0].worker[1].core: core 0 is already used by gateway[0].worker[0].core (line 25); a worker with `spin`",
    );
    let sleeping = changed(&shared, "spin = true", "spin = false");
    let warnings = judge(&sleeping, &facts(&["10.1.0.101/24"])).unwrap();
    assert!(
        warnings[0]
            .to_string()
            .ends_with("(line 25); both workers share the core's time"),
        "{warnings:?}"
    );
}

/// A packet's worker follows from its receive queue, so the second worker would never get a packet.
#[test]
fn more_workers_than_queues_are_refused() {
    let mut host = facts(&["10.1.0.10/24", "10.1.0.101/32"]);
    judge(LOCAL, &host).unwrap();
    if let NicFacts::Present { rx_queues, .. } = &mut host.nic {
        *rx_queues = 1;
    }
    let message = "gateway-1 has 2 workers and eth0 has 1 receive queues; each worker needs one";
    let error = judge(LOCAL, &host).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn too_few_open_files_are_refused() {
    let limited = |open_files| HostFacts {
        open_files,
        ..facts(&["10.1.0.10/24", "10.1.0.101/32"])
    };
    judge(LOCAL, &limited(None)).unwrap();
    judge(LOCAL, &limited(Some(1024))).unwrap();
    refused(
        judge(LOCAL, &limited(Some(64))),
        "2:",
        "nic.name: the hard limit of open files (RLIMIT_NOFILE) is 64",
    );
}

#[test]
fn a_port_or_nic_in_use_is_refused_unless_a_running_role_uses_it() {
    let mut host = facts(&["10.1.0.10/24", "10.1.0.101/32"]);
    host.listen = Some("Address already in use (os error 98)".to_owned());
    if let NicFacts::Present { xdp_program, .. } = &mut host.nic {
        *xdp_program = Some(77);
    }
    refused(
        judge(LOCAL, &host),
        "2:",
        "nic.name: another XDP program is attached to eth0 (see it with: bpftool prog show id 77)",
    );
    refused(
        judge(LOCAL, &host),
        "6:",
        "http.listen: cannot listen on 127.0.0.1:9464: Address already in use (os error 98). See who does",
    );
    host.role_runs = true;
    judge(LOCAL, &host).unwrap();
}

/// 1500 less 20, 8, 8, 8, 2 and 16 octets in UDP, and 8 more without.
#[test]
fn padding_beyond_the_mtu_of_the_tunnel_is_refused() {
    let padded = |tunnel: &str, length| {
        let text = changed(LOCAL, tunnel, &format!("{tunnel}tfc-pad-to = {length}\n"));
        judge(&text, &facts(&["10.1.0.10/24", "10.1.0.101/32"]))
    };
    let (udp, esp) = ("encapsulation = \"udp\"\n", "encapsulation = \"esp\"\n");
    padded(udp, 1438).unwrap();
    padded(esp, 1446).unwrap();
    refused(
        padded(udp, 1439),
        "32:",
        "gateway[0].worker[0].tunnel[0].tfc-pad-to: 1439 exceeds 1438, the MTU of the tunnel over eth0",
    );
    refused(
        padded(esp, 1447),
        "43:",
        "gateway[0].worker[1].tunnel[0].tfc-pad-to: 1447 exceeds 1446",
    );
}

#[test]
fn a_remote_gateway_has_an_address_of_a_host() {
    for address in ["10.1.0.0", "10.1.0.255"] {
        let text = changed(REMOTE, "10.1.0.102", address);
        let message = format!(
            "gateway[1].address: {address} is the network or broadcast address of 10.1.0.0/24"
        );
        refused(judge(&text, &facts(&["10.1.0.10/24"])), "21:", &message);
    }
}

/// A start would fail at the first change of the cluster, or overwrite a key.
#[test]
fn the_state_file_has_a_place_of_its_own() {
    let directory = keys();
    let host = facts(&["10.1.0.10/24", "10.1.0.101/32"]);
    std::fs::create_dir(directory.path().join("a-directory")).unwrap();
    std::os::unix::fs::symlink("out-0.key", directory.path().join("a-link")).unwrap();
    let judge = |state: &str| {
        let text = format!("{LOCAL}\n[rescale]\nstate = \"{state}\"\n");
        load(directory.path(), &text).unwrap().for_host(&host)
    };
    judge("state.json").unwrap();
    for (state, fault) in [
        (
            "missing/state.json",
            "this process cannot write: No such file or directory",
        ),
        ("a-directory", "is not a regular file"),
        ("steering.key", "is a key file"),
        ("in-1.key", "is a key file"),
        ("a-link", "is a key file"),
        ("causeway.toml", "is this configuration file"),
        ("/dev/null", "is not a regular file"),
    ] {
        let error = judge(state).unwrap_err().to_string();
        assert!(
            error.contains("rescale.state: ") && error.contains(fault),
            "{state}: {error}"
        );
    }
}
