//! The lab as tests and runs use it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};

use crate::delay::DelayLine;
use crate::role::Role;
pub use crate::role::RoleExit;
use crate::status::{Status, Worker};
use crate::{Options, Process, Sandbox, Site, config, netns, topology, wiring};

/// Two VPCs with the processes in them. Dropping it removes everything.
#[derive(Debug)]
pub struct Lab {
    options: Options,
    configured: bool,
    roles: Vec<Role>,
    delay_line: Option<DelayLine>,
    sandbox: Sandbox,
}

impl Lab {
    /// Removes the leftovers of killed runs, then builds namespaces, links and routes. Starts no role. Needs root.
    pub fn new(options: Options) -> Result<Self> {
        options.check()?;
        let mut lab = Self {
            options,
            configured: false,
            roles: Vec::new(),
            delay_line: None,
            sandbox: Sandbox::claim()?,
        };
        wiring::build(&lab.options, lab.id()).context("cannot build the lab")?;
        let delay = lab.options.delay;
        if !delay.is_zero() {
            let ends = [1, 2].map(|vpc| lab.namespace(Site::switch(vpc)));
            lab.delay_line = Some(DelayLine::start(&ends, delay)?);
        }
        Ok(lab)
    }

    /// The id, which is a part of all names.
    pub fn id(&self) -> &str {
        self.sandbox.id()
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The ids of killed runs whose leftovers were removed.
    pub fn leftovers(&self) -> &[String] {
        self.sandbox.leftovers()
    }

    /// The folder of configuration, keys and logs, readable by root only.
    pub fn folder(&self) -> PathBuf {
        self.sandbox.folder()
    }

    /// All machines of a VPC, the switch first.
    pub fn sites(&self, vpc: u8) -> Vec<Site> {
        topology::sites(&self.options, vpc)
    }

    /// The roles of both VPCs, gateways before demuxes.
    pub fn role_sites(&self) -> Vec<Site> {
        let mut sites: Vec<_> = [1, 2]
            .into_iter()
            .flat_map(|vpc| topology::roles(&self.options, vpc))
            .collect();
        sites.sort_by_key(|site| std::cmp::Reverse(site.node));
        sites
    }

    /// The name of a machine's namespace under `/run/netns`.
    pub fn namespace(&self, site: Site) -> String {
        site.namespace(self.id())
    }

    /// A role's configuration file. The first start of a role writes it.
    pub fn config_file(&self, role: Site) -> PathBuf {
        config::path(&self.folder(), role)
    }

    /// Writes configuration files and keys, unless they are written already. A test may edit them afterwards.
    pub fn configure(&mut self) -> Result<()> {
        if !self.configured {
            config::write_all(&self.options, &self.folder())
                .context("cannot write the configuration of the roles")?;
            self.configured = true;
        }
        Ok(())
    }

    /// Starts each role that does not run and waits until all are ready.
    pub fn start_roles(&mut self) -> Result<()> {
        // A running demux sends markers through the gateways, so the gateways start first.
        let (demuxes, gateways): (Vec<_>, Vec<_>) = self
            .role_sites()
            .into_iter()
            .partition(|site| site.node == topology::Node::Demux);
        self.start(&gateways)?;
        self.start(&demuxes)
    }

    /// Starts one role and waits until it is ready.
    pub fn start_role(&mut self, site: Site) -> Result<()> {
        self.start(&[site])
    }

    fn start(&mut self, sites: &[Site]) -> Result<()> {
        self.configure()?;
        let mut started = Vec::new();
        for &site in sites {
            ensure!(
                self.role_sites().contains(&site),
                "{site} is not a role of this lab"
            );
            if self.roles.iter().all(|role| role.site != site) {
                started.push(Role::start(&self.options, self.id(), &self.folder(), site)?);
            }
        }
        for role in &mut started {
            role.wait_ready()?;
        }
        self.roles.append(&mut started);
        Ok(())
    }

    fn role(&self, site: Site) -> Result<&Role> {
        self.roles
            .iter()
            .find(|role| role.site == site)
            .with_context(|| format!("{site} is not running"))
    }

    fn take_role(&mut self, site: Site) -> Result<Role> {
        let index = self.roles.iter().position(|role| role.site == site);
        index
            .map(|index| self.roles.remove(index))
            .with_context(|| format!("{site} is not running"))
    }

    /// The body of a GET to a role.
    pub fn get(&self, site: Site, path: &str) -> Result<String> {
        let (code, body) = self
            .role(site)?
            .get(path)
            .with_context(|| format!("{site} does not answer"))?;
        ensure!(code == 200, "{site} answered {path} with {code}: {body}");
        Ok(body)
    }

    /// `GET /status` of a role.
    pub fn status(&self, role: Site) -> Result<Status> {
        let body = self.get(role, "/status")?;
        serde_json::from_str(&body).with_context(|| format!("cannot parse /status of {role}"))
    }

    /// `GET /metrics` of a role.
    pub fn metrics(&self, role: Site) -> Result<String> {
        self.get(role, "/metrics")
    }

    /// The status of each gateway's worker in a VPC, in the order of the gateways.
    pub fn workers(&self, vpc: u8) -> Result<Vec<Worker>> {
        let mut workers = Vec::new();
        for site in topology::roles(&self.options, vpc) {
            workers.extend(self.status(site)?.workers);
        }
        in_order(workers, self.options.gateways)
    }

    /// Fails if a role has ended that was not stopped.
    pub fn check_roles(&mut self) -> Result<()> {
        for role in &mut self.roles {
            let site = role.site;
            let process = role.process();
            if let Some(status) = process.exit_status()? {
                bail!(
                    "{site} ended unexpectedly with {status}{}",
                    process.output_tail()
                );
            }
        }
        Ok(())
    }

    /// Stops all roles with SIGTERM, and kills a role that does not stop within 5 s.
    ///
    /// The demuxes stop first, so that no new packets reach the gateways.
    pub fn stop_roles(&mut self) -> Vec<RoleExit> {
        let (demuxes, gateways): (Vec<_>, Vec<_>) = std::mem::take(&mut self.roles)
            .into_iter()
            .partition(|role| role.site.node == topology::Node::Demux);
        let mut exits = Vec::new();
        for group in [demuxes, gateways] {
            group.iter().for_each(Role::terminate);
            exits.extend(group.into_iter().map(Role::wait_exit));
        }
        exits
    }

    /// Stops one role with SIGTERM.
    pub fn stop_role(&mut self, site: Site) -> Result<RoleExit> {
        let role = self.take_role(site)?;
        role.terminate();
        Ok(role.wait_exit())
    }

    /// Kills one role with SIGKILL, like a crash.
    pub fn kill_role(&mut self, site: Site) -> Result<()> {
        self.take_role(site)?.process().kill().map(drop)
    }

    /// Sends a signal to a role. The lab still counts the role as running.
    pub fn signal_role(&self, site: Site, signal: Signal) -> Result<()> {
        self.role(site)?.signal(signal)
    }

    /// The process of a role.
    pub fn role_pid(&self, site: Site) -> Result<Pid> {
        Ok(self.role(site)?.pid())
    }

    /// Starts the process of a dead role again, without exclusive access to the lab. Dropping the value ends the process.
    pub fn restart(&self, site: Site) -> Result<Process> {
        let command = Role::command(&self.options, &self.folder(), site);
        self.spawn(site, "again", &command)
    }

    /// Runs `work` on a thread inside a machine of the lab. Sockets that it makes stay in that namespace.
    pub fn inside<T: Send>(
        &self,
        site: Site,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        netns::enter(&self.namespace(site), work)
    }

    /// Starts a process on a machine of the lab. Its output goes to files named after `name`.
    pub fn spawn(&self, site: Site, name: &str, command: &Command) -> Result<Process> {
        let name = format!("{site}-{name}");
        Process::start(&name, &self.namespace(site), &self.folder(), command)
    }
}

/// Sorts workers by gateway. Each gateway must have exactly one worker.
pub(crate) fn in_order(workers: Vec<Worker>, gateways: u8) -> Result<Vec<Worker>> {
    (1..=gateways)
        .map(|number| {
            let name = topology::gateway_name(number);
            let mut found = workers.iter().filter(|worker| worker.gateway == name);
            match (found.next(), found.next()) {
                (Some(worker), None) => Ok(worker.clone()),
                _ => bail!(
                    "expected one worker of {name}, got workers of {:?}",
                    workers.iter().map(|w| &w.gateway).collect::<Vec<_>>()
                ),
            }
        })
        .collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The roles are killed here, because the sandbox's sweep cannot reap child processes.
        self.roles.clear();
    }
}
