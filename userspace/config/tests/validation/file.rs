//! Valid files become plans.

use std::net::Ipv4Addr;
use std::time::Duration;

use causeway_api::control::DEFAULT_SOCKET;
use causeway_config::{Encapsulation, NicMode};
use causeway_esp::{Backend, BackendChoice, Cipher, Spi};

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
fn the_aead_backend_is_read() {
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
fn the_path_of_the_control_socket_is_resolved_and_bounded() {
    let directory = keys();
    let plan = |section: &str| {
        let text = changed(LOCAL, "[steering]", &format!("{section}\n[steering]"));
        load(directory.path(), &text).map(|config| config.into_plan().control)
    };
    assert_eq!(plan("").unwrap(), None);
    let default = Some(DEFAULT_SOCKET.into());
    assert_eq!(plan("[control]").unwrap(), default);
    let beside = Some(directory.path().join("c.sock"));
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
    assert_eq!(first.inbound.key_file, directory.path().join("in-0.key"));
    assert_eq!(second.encapsulation, Encapsulation::Esp);
    assert_eq!(second.replay_window, 4096);
}

#[test]
fn the_error_names_a_missing_file() {
    let error = causeway_config::Config::load("/nowhere/demux.toml".as_ref()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/demux.toml: the configuration cannot be read: No such file"),
        "{error}"
    );
}
