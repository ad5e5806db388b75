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
        let sender = (vpc, number);
        let spi = |epoch| config::spi(vpc, number, epoch).to_string();
        let key = config::make_key(self.options(), &self.folder(), sender, epoch)?;
        let gateway = gateway_name(number);
        let new = |command: &mut Command, vpc: u8, file| {
            command
                .args(["--gateway", &gateway, "--peering", &config::peering(vpc)])
                .args(["--spi", &spi(epoch)])
                .arg("--key-file")
                .arg(file);
        };
        let near = carrier(self.options(), vpc, number);
        let far = carrier(self.options(), other(vpc), number);
        self.local(far, "install", |command| {
            new(command, other(vpc), &key.inbound)
        })?;
        self.local(near, "switch", |command| new(command, vpc, &key.outbound))?;
        self.local(far, "retire", |command| {
            command
                .args(["--spi", &spi(epoch - 1)])
                .args(["--after", &grace.as_secs().to_string()]);
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
        command
            .args(["local", "--socket"])
            .arg(config::socket(&self.folder(), role))
            .args(["sa", action]);
        arguments(&mut command);
        tool::run(&mut command).with_context(|| format!("{role} does not {action} an SA"))
    }
}
