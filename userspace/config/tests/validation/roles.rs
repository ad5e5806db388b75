//! Files of each role.

use causeway_api::status::Role;

use super::{LOCAL, REMOTE, keys, load, refused};

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
