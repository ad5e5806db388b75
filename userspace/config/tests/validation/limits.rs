//! Limits of the replay window and of the XDP program's tables.

use causeway_esp::{Cipher, InboundConfig, InboundSa, Key, Spi};

use super::{LOCAL, REMOTE, changed, keys, load, refused};

#[test]
fn replay_windows_have_the_limits_of_an_sa() {
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
            let message = format!(
                "gateway[0].worker[0].tunnel[0].replay-window: expected 64 to 16384 packets, got {window}"
            );
            refused(loaded, "33:", &message);
        }
    }
}

#[test]
fn limits_of_the_xdp_tables_are_checked() {
    let directory = keys();
    let mut workers = LOCAL.to_owned();
    for _ in 0..63 {
        workers.push_str("[[gateway.worker]]\n");
    }
    let over = workers.matches('\n').count();
    refused(
        load(directory.path(), &workers),
        &format!("{over}:"),
        "gateway[0].worker[64]: is one too many; one host supports at most 64 workers",
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
        "peering: there are 17 of them; one host supports at most 16",
    );
    refused(
        load(
            directory.path(),
            &REMOTE[..REMOTE.find("[[peering]]").unwrap()],
        ),
        "1:",
        "peering: there is none; add a [[peering]] section",
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
        "peering.prefixes: all peerings together have 4098 prefixes; one host supports at most 4096",
    );
}
