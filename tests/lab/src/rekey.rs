//! New keys for a running lab, by the commands that a person would type.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::topology::{carrier, gateway_name, other};
use crate::{Lab, Site, config, tool};

impl Lab {
    /// Gives the SA from gateway `number` of `vpc` to its peer the key of this epoch, which is one
    /// more than the last: made, installed at the peer, switched to; the last epoch's is retired
    /// after `grace`, in whole seconds.
    pub fn rekey(&self, vpc: u8, number: u8, epoch: u32, grace: Duration) -> Result<()> {
        config::make_key(self.options(), &self.folder(), (vpc, number), epoch)?;
        let far = carrier(self.options(), other(vpc), number);
        let inbound = config::inbound_key(number, epoch);
        self.local(far, "install", |command| {
            new_sa(command, (vpc, number, epoch), other(vpc), &inbound);
        })?;
        self.switch_sa(vpc, number, epoch)?;
        self.local(far, "retire", |command| {
            command
                .args(["--spi", &config::spi(vpc, number, epoch - 1).to_string()])
                .args(["--after", &grace.as_secs().to_string()]);
        })?;
        Ok(())
    }

    /// Lets gateway `number` of `vpc` send under the key of this epoch, which has been made.
    pub fn switch_sa(&self, vpc: u8, number: u8, epoch: u32) -> Result<()> {
        let near = carrier(self.options(), vpc, number);
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
        tool::run(&mut command).with_context(|| format!("{role} does not {action} an SA"))
    }
}

/// The arguments of an SA that gateway `number` of `vpc` sends with, for its end in VPC `at`.
fn new_sa(command: &mut Command, (vpc, number, epoch): (u8, u8, u32), at: u8, key_file: &str) {
    command
        .args(["--gateway", &gateway_name(number)])
        .args(["--peering", &config::peering(at)])
        .args(["--spi", &config::spi(vpc, number, epoch).to_string()])
        .args(["--key-file", key_file]);
}
