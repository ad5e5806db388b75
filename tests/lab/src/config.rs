//! The configuration files and keys of the roles, in one folder per role.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::http;
use crate::options::{Encapsulation, Options, Placement};
use crate::tool::{self, write_private};
use crate::topology::{self, NIC, Node, Site, gateway_name, gateway_site, peer_vpc};

/// The name of the control socket in a role's folder.
pub const SOCKET: &str = "control.sock";

/// The path of a role's configuration file.
pub fn path(folder: &Path, role: Site) -> PathBuf {
    home(folder, role).join("causeway.toml")
}

/// Makes the folder of each role, with its configuration and keys.
pub fn write_all(options: &Options, folder: &Path) -> Result<()> {
    let steering_key = tool::hex(&tool::random::<16>()?);
    let cores = cores()?;
    for vpc in [1, 2] {
        for role in topology::roles(options, vpc) {
            let home = home(folder, role);
            fs::create_dir(&home)?;
            write_private(&home.join("steering.key"), &format!("{steering_key}\n"))?;
            write_private(&path(folder, role), &text(options, role, &cores))?;
        }
    }
    for number in 1..=options.gateways {
        for vpc in [1, 2] {
            make_key(options, folder, (vpc, number), 0)?;
        }
    }
    Ok(())
}

/// Makes the key of an epoch of the SA from gateway `number` of `vpc` to its peer. Only the sender has the reservation of
/// sequence numbers next to the key file.
pub fn make_key(
    options: &Options,
    folder: &Path,
    (vpc, number): (u8, u8),
    epoch: u32,
) -> Result<()> {
    let home = |vpc| home(folder, gateway_site(options, vpc, number));
    let outbound = home(vpc).join(outbound_key(number, epoch));
    tool::run(
        Command::new(&options.causeway)
            .args(["key", "new", "--cipher", &options.cipher.to_string()])
            .arg(&outbound),
    )?;
    let inbound = home(peer_vpc(vpc)).join(inbound_key(number, epoch));
    let key = fs::read_to_string(&outbound).with_context(|| {
        format!(
            "cannot read {}, which `causeway key new` has written",
            outbound.display()
        )
    })?;
    write_private(&inbound, &key)
}

/// The name of the sender's key file of an epoch.
pub fn outbound_key(number: u8, epoch: u32) -> String {
    format!("{}-outbound-{epoch}.key", gateway_name(number))
}

/// The name of the receiver's key file of an epoch.
pub fn inbound_key(number: u8, epoch: u32) -> String {
    format!("{}-inbound-{epoch}.key", gateway_name(number))
}

/// The SPI of the outbound SA of gateway `number` of `vpc` in an epoch. The configuration has epoch 0.
pub fn spi(vpc: u8, number: u8, epoch: u32) -> u32 {
    (epoch << 16) + u32::from(vpc) * 0x1000 + u32::from(number)
}

/// A role's folder.
pub fn home(folder: &Path, role: Site) -> PathBuf {
    folder.join(role.to_string())
}

fn text(options: &Options, role: Site, cores: &[usize]) -> String {
    let vpc = role.vpc;
    // The configuration of a gateway host has its own gateway only; the configuration of a demux has all.
    let gateways: Vec<u8> = match role.node {
        Node::Gateway(number) => vec![number],
        _ => (1..=options.gateways).collect(),
    };
    // On a gateway host a standby is listed as the cluster, because only the demux assigns buckets.
    let in_cluster = match role.node {
        Node::Gateway(_) => gateways.len(),
        _ => usize::from(options.gateways - options.standby),
    };
    let names: Vec<_> = gateways[..in_cluster]
        .iter()
        .map(|number| format!("\"{}\"", gateway_name(*number)))
        .collect();
    let mut text = format!(
        "[nic]\nname = \"{NIC}\"\nmode = \"{mode}\"\n\n\
         [http]\nlisten = \"{listen}\"\n\n\
         [control]\nsocket = \"{SOCKET}\"\n\n\
         [vpc]\nprefixes = [{own}]\n{own_demux}\n\
         [steering]\nkey-file = \"steering.key\"\n\n\
         {rescale}[[peering]]\nname = \"{peering}\"\nprefixes = [{theirs}]\n\
         gateways = [{names}]\nclamp-mss = {clamp}\n{demux}",
        mode = options.nic_mode,
        listen = http::ADDRESS,
        own = prefixes(options, vpc),
        own_demux = own_demux(options, role),
        peering = peering(vpc),
        theirs = prefixes(options, peer_vpc(vpc)),
        names = names.join(", "),
        clamp = options.clamp_mss,
        rescale = match role.node {
            Node::Demux => "[rescale]\nstate = \"tables.json\"\n\n",
            _ => "",
        },
        demux = demux(options, role),
    );
    for number in gateways {
        let gateway_site = gateway_site(options, vpc, number);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[gateway]]\nname = \"{}\"\naddress = \"{}\"\n",
            gateway_name(number),
            gateway_site.address(options.outer)
        );
        if gateway_site == role {
            text += &worker(options, role, number, cores);
        }
    }
    text
}

/// The setting for the peer's demux. Only a demux has it.
fn demux(options: &Options, role: Site) -> String {
    match role.node {
        Node::Demux => {
            let family = options.inner.families()[0];
            let peer = Site::demux(peer_vpc(role.vpc)).address(family);
            format!("demux = \"{peer}\"\n")
        }
        _ => String::new(),
    }
}

fn own_demux(options: &Options, role: Site) -> String {
    match role.node {
        Node::Gateway(_) => {
            let demux = Site::demux(role.vpc).address(options.outer);
            format!("demux = \"{demux}\"\n")
        }
        _ => String::new(),
    }
}

fn worker(options: &Options, role: Site, number: u8, cores: &[usize]) -> String {
    let vpc = role.vpc;
    // The two gateways of a pair are on different cores, if there are two.
    let core = cores[usize::from(number + vpc) % cores.len()];
    // Gateways on one host have the same address and different source ports.
    let source_port = match (options.encapsulation, options.placement) {
        (Encapsulation::Esp, _) => String::new(),
        (Encapsulation::Udp, Placement::Remote) => "source-port = 4500\n".to_owned(),
        (Encapsulation::Udp, Placement::Local) => {
            format!("source-port = {}\n", 4499 + u16::from(number))
        }
    };
    format!(
        "[[gateway.worker]]\ncore = {core}\n\
         [[gateway.worker.tunnel]]\npeering = \"{peering}\"\npeer = \"{peer}\"\n\
         encapsulation = \"{encapsulation}\"\n{source_port}\
         outbound = {{ spi = {spi_out}, key-file = \"{key_out}\" }}\n\
         inbound = {{ spi = {spi_in}, key-file = \"{key_in}\" }}\n",
        peering = peering(vpc),
        peer = gateway_site(options, peer_vpc(vpc), number).address(options.outer),
        encapsulation = options.encapsulation,
        spi_out = spi(vpc, number, 0),
        key_out = outbound_key(number, 0),
        spi_in = spi(peer_vpc(vpc), number, 0),
        key_in = inbound_key(number, 0),
    )
}

/// The prefixes of a VPC, as a list of TOML strings.
fn prefixes(options: &Options, vpc: u8) -> String {
    let families = options.inner.families().iter();
    let prefixes = families.map(|family| format!("\"{}\"", topology::prefix(vpc, *family)));
    prefixes.collect::<Vec<_>>().join(", ")
}

pub fn peering(vpc: u8) -> String {
    format!("vpc-{}", peer_vpc(vpc))
}

/// The subcommand of `causeway` that runs the role.
pub fn subcommand(role: Site) -> &'static str {
    match role.node {
        Node::Gateway(_) => "gateway",
        _ => "demux",
    }
}

/// The cores on which this process may run.
fn cores() -> Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None).context("cannot read the CPU affinity")?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Family, Inner};

    #[test]
    fn a_gateway_host_has_one_tunnel_and_the_demux_none() {
        let options = Options::new("c", "x");
        let gateway = text(&options, Site::gateway(1, 2), &[0, 1]);
        assert_eq!(gateway.matches("[[gateway]]").count(), 1);
        assert!(gateway.contains("gateways = [\"gateway-2\"]"));
        assert_eq!(gateway.matches("[[gateway.worker.tunnel]]").count(), 1);
        assert!(gateway.contains("peer = \"10.2.0.102\""));
        assert!(
            gateway.contains("outbound = { spi = 4098, key-file = \"gateway-2-outbound-0.key\"")
        );
        assert!(gateway.contains("inbound = { spi = 8194, key-file = \"gateway-2-inbound-0.key\""));
        let demux = text(&options, Site::demux(1), &[0, 1]);
        assert_eq!(demux.matches("[[gateway]]").count(), 3);
        assert!(!demux.contains("worker"));
    }

    #[test]
    fn prefixes_use_the_inner_families_and_endpoints_the_outer_family() {
        let options = Options {
            inner: Inner::Both,
            outer: Family::Ipv6,
            ..Options::new("c", "x")
        };
        let gateway = text(&options, Site::gateway(1, 2), &[0]);
        assert!(gateway.contains("prefixes = [\"10.1.0.0/24\", \"fd00:10:1::/64\"]"));
        assert!(gateway.contains("prefixes = [\"10.2.0.0/24\", \"fd00:10:2::/64\"]"));
        assert!(gateway.contains("address = \"fd00:10:1::102\""));
        assert!(gateway.contains("peer = \"fd00:10:2::102\""));
    }

    #[test]
    fn local_gateways_share_an_address_and_differ_in_port_and_spi() {
        let options = Options {
            placement: Placement::Local,
            ..Options::new("c", "x")
        };
        let demux = text(&options, Site::demux(2), &[0]);
        assert_eq!(demux.matches("address = \"10.2.0.100\"").count(), 3);
        for port in 4500..4503 {
            assert!(demux.contains(&format!("source-port = {port}\n")));
        }
        assert!(demux.contains("spi = 8193") && demux.contains("spi = 4099"));
    }
}
