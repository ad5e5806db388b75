//! What can be wrong in the file itself, each fault with its line, field and sentence.

use std::net::Ipv4Addr;
use std::time::Duration;

use causeway::config::{Encapsulation, NicMode};
use causeway::control::DEFAULT_SOCKET;
use causeway_esp::{Backend, BackendChoice, Cipher, InboundConfig, InboundSa, Key, Spi};

use super::{LOCAL, REMOTE, changed, keys, load, refused};

#[test]
fn a_demux_becomes_a_plan() {
    let directory = keys();
    let config = load(directory.path(), REMOTE).unwrap();
    let plan = config.plan();
    assert_eq!(plan.nic.name, "eth0");
    assert_eq!(plan.nic.mode, NicMode::Auto);
    assert_eq!(plan.http, None);
    assert_eq!(plan.vpc_prefixes, ["10.1.0.0/24".parse().unwrap()]);
    assert_eq!(plan.peerings[0].gateways, [0, 1]);
    assert_eq!(plan.peerings[0].prefixes.len(), 2);
    assert!(!plan.peerings[0].clamp_mss);
    assert_eq!(plan.crypto, BackendChoice::Auto);
    assert_eq!(plan.gateways[1].id, 1);
    assert_eq!(plan.gateways[1].address, Ipv4Addr::new(10, 1, 0, 102));
    assert!(!plan.gateways[1].is_local());
    assert!(config.warnings().is_empty());
}

#[test]
fn the_backend_of_the_cipher_can_be_chosen() {
    let directory = keys();
    let chosen = |name| {
        let chosen = format!("[crypto]\nbackend = \"{name}\"\n\n[steering]");
        load(directory.path(), &changed(LOCAL, "[steering]", &chosen))
    };
    let auto = chosen("auto").unwrap();
    assert_eq!(auto.plan().crypto, BackendChoice::Auto);
    for backend in Backend::ALL {
        match (backend.available(), chosen(backend.name())) {
            (Ok(available), config) => {
                let choice = config.unwrap().plan().crypto;
                assert_eq!(choice, BackendChoice::Only(available));
            }
            (Err(missing), config) => {
                let refused = config.unwrap_err().to_string();
                assert!(refused.contains(&missing.to_string()), "{refused}");
            }
        }
    }
}

#[test]
fn the_control_socket_has_a_path() {
    let directory = keys();
    let plan = |section: &str| {
        let text = changed(LOCAL, "[steering]", &format!("{section}\n[steering]"));
        load(directory.path(), &text).map(|config| config.into_plan().control)
    };
    assert_eq!(plan("").unwrap(), None);
    let default = Some(DEFAULT_SOCKET.into());
    assert_eq!(plan("[control]").unwrap(), default);
    let beside = Some(directory.file("c.sock"));
    assert_eq!(plan("[control]\nsocket = \"c.sock\"").unwrap(), beside);
    for path in ["", &format!("/{}", "x".repeat(107))] {
        let section = format!("[control]\nsocket = \"{path}\"");
        refused(
            plan(&section),
            "12:",
            "control.socket: expected a path of 1 to 107 bytes",
        );
    }
}

#[test]
fn a_gateway_becomes_a_plan() {
    let directory = keys();
    let config = load(directory.path(), LOCAL).unwrap();
    let plan = config.plan();
    assert_eq!(plan.nic.mode, NicMode::Skb);
    assert_eq!(plan.http, Some("127.0.0.1:9464".parse().unwrap()));
    assert!(plan.peerings[0].clamp_mss);
    assert_eq!(plan.peerings[0].path_mtu_age, Duration::from_secs(600));
    let workers: Vec<_> = plan.workers().map(|(_, worker)| worker).collect();
    assert_eq!([workers[0].id, workers[1].id], [0, 1]);
    assert_eq!((workers[0].core, workers[0].spin), (Some(0), true));
    assert_eq!((workers[1].core, workers[1].spin), (None, false));
    let [first, second] = [&workers[0].tunnels[0], &workers[1].tunnels[0]];
    assert_eq!(first.peering, 0);
    assert_eq!(
        first.encapsulation,
        Encapsulation::Udp { source_port: 4501 }
    );
    assert_eq!(first.replay_window, 1024);
    assert_eq!(first.outbound.spi, Spi::new(4097).unwrap());
    assert_eq!(first.outbound.key.cipher(), Cipher::Aes128Gcm);
    assert_eq!(first.inbound.key_file, directory.file("in-0.key"));
    assert_eq!(second.encapsulation, Encapsulation::Esp);
    assert_eq!(second.replay_window, 4096);
}

#[test]
fn an_absent_file_is_named() {
    let error = causeway::config::Config::load("/nowhere/demux.toml".as_ref()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/demux.toml: the configuration cannot be read: No such file"),
        "{error}"
    );
}

/// Each bad configuration: the change to a good one, then line and sentence of the refusal. Among
/// them a worker that would have no SA for a peering's traffic.
/// Standard: fallback-sa
#[test]
fn bad_configurations_are_refused_with_line_and_sentence() {
    let cases = [
        // The schema.
        (
            REMOTE,
            "[vpc]",
            "[vpc",
            "4:5:",
            "unclosed table, expected `]`",
        ),
        (
            REMOTE,
            "name = \"eth0\"",
            "nam = \"eth0\"",
            "2:1:",
            "nic: unknown field `nam`, expected `name` or `mode`",
        ),
        (
            REMOTE,
            "name = \"eth0\"",
            "name = 7",
            "2:8:",
            "nic.name: invalid type: integer `7`, expected a string",
        ),
        (
            LOCAL,
            "\"skb\"",
            "\"fast\"",
            "3:8:",
            "nic.mode: unknown variant `fast`, expected one of `auto`, `driver`, `skb`",
        ),
        (
            LOCAL,
            "[steering]",
            "[crypto]\nbackend = \"openssl\"\n[steering]",
            "12:11:",
            "crypto.backend: unknown variant `openssl`, expected one of `auto`, `rustcrypto`, `aws-lc`, `ipsec-mb`",
        ),
        (
            LOCAL,
            "spi = 4097, ",
            "",
            "34:12:",
            "gateway.worker.tunnel.outbound: missing field `spi`",
        ),
        (
            LOCAL,
            "spi = 4097",
            "spi = 4294967296",
            "34:20:",
            "gateway.worker.tunnel.outbound.spi: invalid value: integer `4294967296`, expected u32",
        ),
        (
            LOCAL,
            "core = 0",
            "cores = 0",
            "25:1:",
            "gateway.worker: unknown field `cores`, expected one of `core`, `spin`, `tunnel`",
        ),
        // Values of their own.
        (
            REMOTE,
            "[vpc]",
            "[vpc]\ncluster = \"the east\"",
            "5:",
            "vpc.cluster: \"the east\" is not a name: expected 1 to 63 letters, digits, '-', '_' or '.'",
        ),
        (
            LOCAL,
            "clamp-mss = true",
            "path-mtu-age = 86401",
            "18:",
            "peering[0].path-mtu-age: expected 0 to 86400 seconds, got 86401; 0 has ICMP from the path ignored",
        ),
        (
            REMOTE,
            "\"eth0\"",
            "\"a/b\"",
            "2:",
            "nic.name: \"a/b\" cannot be an interface's name",
        ),
        (
            LOCAL,
            "127.0.0.1:9464",
            "localhost",
            "6:",
            "http.listen: \"localhost\" is not an address and a port; write it as \"127.0.0.1:9464\"",
        ),
        (
            REMOTE,
            "\"10.1.0.0/24\"",
            "\"10.1.0.0/33\"",
            "5:",
            "vpc.prefixes[0]: \"10.1.0.0/33\" is not an IP prefix",
        ),
        (
            REMOTE,
            "\"10.1.0.0/24\"",
            "\"10.1.0.7/24\"",
            "5:",
            "vpc.prefixes[0]: 10.1.0.7/24 has bits set behind its length; did you mean 10.1.0.0/24?",
        ),
        (
            REMOTE,
            "\"10.1.0.0/24\"",
            "",
            "5:",
            "vpc.prefixes: is empty",
        ),
        (
            REMOTE,
            "\"10.1.0.101\"",
            "\"gateway-1.example\"",
            "17:",
            "gateway[0].address: \"gateway-1.example\" is not an IP address",
        ),
        (
            REMOTE,
            "\"10.1.0.101\"",
            "\"224.0.0.1\"",
            "17:",
            "gateway[0].address: 224.0.0.1 cannot be a gateway's address",
        ),
        // Prefixes.
        (
            REMOTE,
            "10.3.0.0/16",
            "10.1.0.0/16",
            "12:",
            "peering[0].prefixes[1]: 10.1.0.0/16 overlaps 10.1.0.0/24 of [vpc] (line 5)",
        ),
        (
            REMOTE,
            "10.3.0.0/16",
            "10.2.0.0/24",
            "12:",
            "peering[0].prefixes[1]: 10.2.0.0/24 overlaps 10.2.0.0/24 of peering \"vpc-2\" (line 12)",
        ),
        (
            REMOTE,
            "[[gateway]]",
            "[[peering]]\nname = \"vpc-3\"\nprefixes = [\"10.3.7.0/24\"]\ngateways = [\"gateway-2\"]\n[[gateway]]",
            "17:",
            "peering[1].prefixes[0]: 10.3.7.0/24 overlaps 10.3.0.0/16 of peering \"vpc-2\" (line 12); every address must belong to one place",
        ),
        // Names and clusters.
        (
            REMOTE,
            "name = \"gateway-2\"",
            "name = \"gateway-1\"",
            "20:",
            "gateway[1].name: \"gateway-1\" is the name of gateway[0] already (line 16)",
        ),
        (
            REMOTE,
            "name = \"vpc-2\"",
            "name = \"vpc 2\"",
            "11:",
            "peering[0].name: \"vpc 2\" is not a name",
        ),
        (
            REMOTE,
            "\"gateway-2\"]",
            "\"gateway-3\"]",
            "13:",
            "peering[0].gateways[1]: there is no gateway \"gateway-3\"; there are: gateway-1, gateway-2",
        ),
        (
            REMOTE,
            "\"gateway-2\"]",
            "\"gateway-1\"]",
            "13:",
            "peering[0].gateways[1]: \"gateway-1\" is named twice",
        ),
        (
            REMOTE,
            "\"gateway-1\", \"gateway-2\"",
            "",
            "13:",
            "peering[0].gateways: is empty; name the gateways",
        ),
        (
            REMOTE,
            "10.1.0.102",
            "10.1.0.101",
            "21:",
            "gateway[1].address: 10.1.0.101 is the address of another gateway already (line 17)",
        ),
        (
            REMOTE,
            "address = \"10.1.0.102\"\n",
            "",
            "19:",
            "gateway[1]: has neither an address nor workers",
        ),
        (
            LOCAL,
            "address = \"10.1.0.101\"\n",
            "",
            "20:",
            "gateway[0]: has workers but no address",
        ),
        // Workers and tunnels.
        (
            LOCAL,
            "peering = \"vpc-2\"",
            "peering = \"vpc-3\"",
            "29:",
            "gateway[0].worker[0].tunnel[0].peering: there is no peering \"vpc-3\"; there are: vpc-2",
        ),
        (
            LOCAL,
            "peering = \"vpc-2\"",
            "peering = \"vpc-3\"",
            "24:",
            "gateway[0].worker[0]: has no tunnel for peering \"vpc-2\", which its gateway serves",
        ),
        (
            LOCAL,
            "[[gateway.worker]]\n\n",
            "",
            "38:",
            "gateway[0].worker[0].tunnel[1].peering: this worker has a tunnel for \"vpc-2\" already",
        ),
        (
            LOCAL,
            "[[gateway]]",
            "[[peering]]\nname = \"vpc-3\"\nprefixes = [\"10.3.0.0/16\"]\ngateways = [\"gateway-1\"]\n[[gateway]]",
            "28:",
            "gateway[0].worker[0]: has no tunnel for peering \"vpc-3\", which its gateway serves",
        ),
        (
            LOCAL,
            "peer = \"10.2.0.101\"",
            "peer = \"10.1.0.101\"",
            "30:",
            "gateway[0].worker[0].tunnel[0].peer: is the gateway's own address",
        ),
        (
            LOCAL,
            "source-port = 4501",
            "source-port = 0",
            "32:",
            "gateway[0].worker[0].tunnel[0].source-port: expected a UDP port from 1 to 65535, got 0",
        ),
        (
            LOCAL,
            "\"esp\"",
            "\"esp\"\nsource-port = 4500",
            "43:",
            "gateway[0].worker[1].tunnel[0].source-port: ESP right over IP has no port",
        ),
        // SPIs.
        (
            LOCAL,
            "spi = 4097",
            "spi = 0",
            "34:",
            "gateway[0].worker[0].tunnel[0].outbound.spi: 0 is reserved",
        ),
        (
            LOCAL,
            "spi = 8193",
            "spi = 255",
            "35:",
            "gateway[0].worker[0].tunnel[0].inbound.spi: 255 is reserved (RFC 4303 section 2.1); choose 256 to 4294967295",
        ),
        (
            LOCAL,
            "spi = 8194",
            "spi = 8193",
            "44:",
            "gateway[0].worker[1].tunnel[0].inbound.spi: 8193 is an inbound SPI of this host already (line 35)",
        ),
        (
            LOCAL,
            "spi = 4098",
            "spi = 4097",
            "43:",
            "gateway[0].worker[1].tunnel[0].outbound.spi: 4097 is used towards 10.2.0.101 already (line 34)",
        ),
    ];
    let directory = keys();
    for (good, from, to, line, sentence) in cases {
        let bad = changed(good, from, to);
        refused(load(directory.path(), &bad), line, sentence);
    }
}

#[test]
fn one_run_names_all_faults_in_the_order_of_the_file() {
    let directory = keys();
    let bad = changed(REMOTE, "10.1.0.102", "10.1.0.101");
    let bad = changed(&bad, "\"eth0\"", "\"\"");
    let bad = changed(&bad, "\"gateway-2\"]", "\"gateway-3\"]");
    let error = load(directory.path(), &bad).unwrap_err().to_string();
    let lines: Vec<_> = error
        .lines()
        .map(|line| line.split(':').nth(1).unwrap())
        .collect();
    assert_eq!(lines, ["2", "13", "21"], "{error}");
}

#[test]
fn replay_windows_are_those_that_an_sa_takes() {
    let directory = keys();
    for window in [0, 63, 64, 65, 4096, 16384, 16385, u32::MAX] {
        let text = changed(LOCAL, "= 1024", &format!("= {window}"));
        let key = Key::new(Cipher::Aes128Gcm, &[7; 20]).unwrap();
        let taken =
            InboundSa::new(InboundConfig::new(Spi::new(4097).unwrap(), key, window)).is_ok();
        let loaded = load(directory.path(), &text);
        if taken {
            assert_eq!(
                loaded.unwrap().plan().gateways[0].workers[0].tunnels[0].replay_window,
                window
            );
        } else {
            let sentence = format!(
                "gateway[0].worker[0].tunnel[0].replay-window: expected 64 to 16384 packets, got {window}"
            );
            refused(loaded, "33:", &sentence);
        }
    }
}

#[test]
fn limits_of_the_kernel_tables_are_named() {
    let directory = keys();
    let mut workers = LOCAL.to_owned();
    for _ in 0..63 {
        workers.push_str("[[gateway.worker]]\n");
    }
    let over = workers.matches('\n').count();
    refused(
        load(directory.path(), &workers),
        &format!("{over}:"),
        "gateway[0].worker[64]: is one too many; one host runs at most 64 workers",
    );
    let mut peerings = REMOTE.to_owned();
    for number in 0..16 {
        peerings.push_str(&format!(
            "[[peering]]\nname = \"p-{number}\"\nprefixes = [\"10.4.{number}.0/24\"]\ngateways = [\"gateway-1\"]\n"
        ));
    }
    refused(
        load(directory.path(), &peerings),
        "82:",
        "peering: there are 17 of them; one host takes at most 16",
    );
    refused(
        load(
            directory.path(),
            &REMOTE[..REMOTE.find("[[peering]]").unwrap()],
        ),
        "1:",
        "peering: there is none; write a [[peering]] section",
    );
    let many: Vec<_> = (0..4097)
        .map(|number| {
            format!(
                "\"172.{}.{}.{}/32\"",
                16 + (number >> 16),
                number >> 8 & 255,
                number & 255
            )
        })
        .collect();
    refused(
        load(
            directory.path(),
            &changed(REMOTE, "\"10.3.0.0/16\"", &many.join(", ")),
        ),
        "12:",
        "peering.prefixes: all peerings together have 4098 prefixes; one host takes at most 4096",
    );
}
