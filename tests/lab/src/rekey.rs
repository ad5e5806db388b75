//! New keys for a running lab, by the commands of `causeway local sa`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::topology::{gateway_name, gateway_site, peer_vpc};
use crate::{Lab, Site, config, tool};

impl Lab {
    /// Replaces the key of the SA from gateway `number` of `vpc` to its peer by the key of the next epoch.
    ///
    /// The key is made, installed at the peer and switched to. The peer retires the SA of the epoch before after
    /// `grace`, in whole seconds.
    pub fn rekey(&self, vpc: u8, number: u8, epoch: u32, grace: Duration) -> Result<()> {
        config::make_key(self.options(), &self.folder(), (vpc, number), epoch)?;
        let far = gateway_site(self.options(), peer_vpc(vpc), number);
        let inbound = config::inbound_key(number, epoch);
        self.local(far, "install", |command| {
            new_sa(command, (vpc, number, epoch), peer_vpc(vpc), &inbound);
        })?;
        self.switch_sa(vpc, number, epoch)?;
        self.local(far, "retire", |command| {
            command
                .args(["--spi", &config::spi(vpc, number, epoch - 1).to_string()])
                .args(["--after", &grace.as_secs().to_string()]);
        })?;
        Ok(())
    }

    /// Switches gateway `number` of `vpc` to the key of this epoch, which must exist.
    pub fn switch_sa(&self, vpc: u8, number: u8, epoch: u32) -> Result<()> {
        let near = gateway_site(self.options(), vpc, number);
        let outbound = config::outbound_key(number, epoch);
        self.local(near, "switch", |command| {
            new_sa(command, (vpc, number, epoch), vpc, &outbound);
        })?;
        Ok(())
    }

    /// `causeway local sa list` of a role.
    pub fn list_sas(&self, role: Site) -> Result<String> {
        self.local(role, "list", |_| {})
    }

    fn local(
        &self,
        role: Site,
        action: &str,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<String> {
        let mut command = Command::new(&self.options().causeway);
        let home = config::home(&self.folder(), role);
        command
            .args(["local", "--socket", config::SOCKET, "sa", action])
            .current_dir(home);
        arguments(&mut command);
        tool::run(&mut command).with_context(|| format!("cannot {action} an SA of {role}"))
    }
}

/// The arguments that describe an outbound SA of gateway `number` of `vpc`, for the end in VPC `at`.
fn new_sa(command: &mut Command, (vpc, number, epoch): (u8, u8, u32), at: u8, key_file: &str) {
    command
        .args(["--gateway", &gateway_name(number)])
        .args(["--peering", &config::peering(at)])
        .args(["--spi", &config::spi(vpc, number, epoch).to_string()])
        .args(["--key-file", key_file]);
}
