//! Files of each role.

use causeway_api::status::Role;

use super::{LOCAL, REMOTE, changed, keys, load, refused};

const REMOTE_GATEWAY: &str = "\n[[gateway]]\nname = \"far\"\naddress = \"10.1.0.109\"\n";

#[test]
fn each_role_accepts_its_own_files() {
    let directory = keys();
    let remote = load(directory.path(), REMOTE).unwrap();
    remote.for_role(Role::Demux).unwrap();
    refused(
        remote.for_role(Role::Gateway),
        "15:",
        "gateway[0]: has no workers; `causeway gateway` runs one local gateway",
    );
    refused(
        remote.for_role(Role::Gateway),
        "19:",
        "gateway[1]: is one too many; `causeway gateway` runs exactly one gateway",
    );

    let local = load(directory.path(), LOCAL).unwrap();
    local.for_role(Role::Gateway).unwrap();
    local.for_role(Role::Demux).unwrap();
}

#[test]
fn a_demux_does_not_mix_placements() {
    let directory = keys();
    let mixed = load(directory.path(), &format!("{LOCAL}{REMOTE_GATEWAY}")).unwrap();
    refused(
        mixed.for_role(Role::Demux),
        "46:",
        "gateway[1]: is remote while gateway[0] (line 20) is local; a demux has only local",
    );
}

/// The demux of the VPC is told to its gateways, and has the family of their addresses.
#[test]
fn the_own_demux_is_a_setting_of_a_gateway() {
    let directory = keys();
    let with = |demux: &str| {
        let prefixes = "prefixes = [\"10.1.0.0/24\"]\n";
        let text = changed(LOCAL, prefixes, &format!("{prefixes}demux = \"{demux}\"\n"));
        load(directory.path(), &text)
    };
    let gateway = with("10.1.0.100").unwrap();
    gateway.for_role(Role::Gateway).unwrap();
    assert_eq!(gateway.plan().demux, Some([10, 1, 0, 100].into()));
    let message = "vpc.demux: is a setting of a gateway; remove it here";
    refused(gateway.for_role(Role::Demux), "10:", message);
    for (demux, message) in [
        (
            "fd00:1::100",
            "vpc.demux: fd00:1::100 and the gateway's address 10.1.0.101 are of different families",
        ),
        ("demux", "vpc.demux: \"demux\" is not an IP address"),
        (
            "224.0.0.1",
            "vpc.demux: 224.0.0.1 cannot be the address of a gateway or demux",
        ),
    ] {
        refused(with(demux), "10:", message);
    }
}
