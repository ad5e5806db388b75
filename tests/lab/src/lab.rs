//! The lab itself: what a test or a run holds in its hands.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::distance::Distance;
pub use crate::role::Final;
use crate::role::Role;
use crate::status::{Status, Worker};
use crate::{Ground, Options, Process, Site, config, netns, topology, wiring};

/// Two VPCs and what runs in them. Dropping it removes everything.
#[derive(Debug)]
pub struct Lab {
    options: Options,
    configured: bool,
    roles: Vec<Role>,
    distance: Option<Distance>,
    ground: Ground,
}

impl Lab {
    /// Removes what killed runs left, then builds namespaces, links and routes.
    /// Needs root; the roles are not started yet.
    pub fn new(options: Options) -> Result<Self> {
        options.check()?;
        let mut lab = Self {
            options,
            configured: false,
            roles: Vec::new(),
            distance: None,
            ground: Ground::claim()?,
        };
        wiring::build(&lab.options, lab.id()).context("cannot build the lab")?;
        let delay = lab.options.delay;
        if !delay.is_zero() {
            let ends = [1, 2].map(|vpc| lab.namespace(Site::switch(vpc)));
            lab.distance = Some(Distance::start(&ends, delay)?);
        }
        Ok(lab)
    }

    /// The part of all names that is this lab's own.
    pub fn id(&self) -> &str {
        self.ground.id()
    }

    /// What it was asked to be.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The leftovers that were removed before this lab was built.
    pub fn swept(&self) -> &[String] {
        self.ground.swept()
    }

    /// Configuration, keys and logs, readable by root only.
    pub fn folder(&self) -> PathBuf {
        self.ground.folder()
    }

    /// All machines of a VPC, its switch first.
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

    /// The name under `/run/netns`.
    pub fn namespace(&self, site: Site) -> String {
        site.namespace(self.id())
    }

    /// A role's configuration file. It is written when roles are first started.
    pub fn config_file(&self, role: Site) -> PathBuf {
        config::path(&self.folder(), role)
    }

    /// Writes configuration files and keys, once. A test may edit them afterwards.
    pub fn configure(&mut self) -> Result<()> {
        if !self.configured {
            config::write_all(&self.options, &self.folder())
                .context("cannot write the configuration of the roles")?;
            self.configured = true;
        }
        Ok(())
    }

    /// Starts every role that does not run and waits until all are ready.
    pub fn start_roles(&mut self) -> Result<()> {
        // A demux that runs sends markers through the gateways: into the void where one does not yet.
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
                "{site} is no role of this lab"
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
            .with_context(|| format!("{site} does not run"))
    }

    fn take_role(&mut self, site: Site) -> Result<Role> {
        let index = self.roles.iter().position(|role| role.site == site);
        index
            .map(|index| self.roles.remove(index))
            .with_context(|| format!("{site} does not run"))
    }

    /// What a role answers to `GET` of a path.
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
        serde_json::from_str(&body).with_context(|| format!("/status of {role} is not as expected"))
    }

    /// `GET /metrics` of a role.
    pub fn metrics(&self, role: Site) -> Result<String> {
        self.get(role, "/metrics")
    }

    /// The workers of a VPC's gateways as they stand now, in the order of the
    /// gateways, whichever machine carries them.
    pub fn workers(&self, vpc: u8) -> Result<Vec<Worker>> {
        let mut workers = Vec::new();
        for site in topology::roles(&self.options, vpc) {
            workers.extend(self.status(site)?.workers);
        }
        in_order(workers, self.options.gateways)
    }

    /// Fails if a role has ended that nobody stopped.
    pub fn check_roles(&mut self) -> Result<()> {
        for role in &mut self.roles {
            let site = role.site;
            let process = role.process();
            if let Some(status) = process.ended()? {
                bail!(
                    "{site} ended by itself with {status}{}",
                    process.last_words()
                );
            }
        }
        Ok(())
    }

    /// Stops all roles with SIGTERM, the demuxes first so that nothing new
    /// reaches the gateways, and gives the last words of each. One that does
    /// not stop within 5 s is killed.
    pub fn stop_roles(&mut self) -> Vec<Final> {
        let (demuxes, gateways): (Vec<_>, Vec<_>) = std::mem::take(&mut self.roles)
            .into_iter()
            .partition(|role| role.site.node == topology::Node::Demux);
        let mut finals = Vec::new();
        for group in [demuxes, gateways] {
            group.iter().for_each(Role::ask_to_stop);
            finals.extend(group.into_iter().map(Role::finish));
        }
        finals
    }

    /// Stops one role with SIGTERM.
    pub fn stop_role(&mut self, site: Site) -> Result<Final> {
        let role = self.take_role(site)?;
        role.ask_to_stop();
        Ok(role.finish())
    }

    /// Kills one role with SIGKILL, as a crash would.
    pub fn kill_role(&mut self, site: Site) -> Result<()> {
        self.take_role(site)?.process().kill().map(drop)
    }

    /// Sends a signal to a role, which goes on counting as running.
    pub fn signal_role(&self, site: Site, signal: Signal) -> Result<()> {
        self.role(site)?.signal(signal)
    }

    /// Starts a role whose process has died once more, while others hold the lab. It ends with the value.
    pub fn revive(&self, site: Site) -> Result<Process> {
        let command = Role::command(&self.options, &self.folder(), site);
        self.spawn(site, "again", &command)
    }

    /// Runs `work` on a thread inside a machine of the lab. Sockets made there stay there.
    pub fn inside<T: Send>(
        &self,
        site: Site,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        netns::enter(&self.namespace(site), work)
    }

    /// Starts a process on a machine of the lab; its output goes to files named after `name`.
    pub fn spawn(&self, site: Site, name: &str, command: &Command) -> Result<Process> {
        let name = format!("{site}-{name}");
        Process::start(&name, &self.namespace(site), &self.folder(), command)
    }
}

/// Puts workers in the order of their gateways; exactly one per gateway is expected.
pub(crate) fn in_order(workers: Vec<Worker>, gateways: u8) -> Result<Vec<Worker>> {
    (1..=gateways)
        .map(|number| {
            let name = topology::gateway_name(number);
            let mut mine = workers.iter().filter(|worker| worker.gateway == name);
            match (mine.next(), mine.next()) {
                (Some(worker), None) => Ok(worker.clone()),
                _ => bail!(
                    "expected one worker of {name}, the roles tell of {:?}",
                    workers.iter().map(|w| &w.gateway).collect::<Vec<_>>()
                ),
            }
        })
        .collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Killing comes before the ground's sweep, which cannot reap our children.
        self.roles.clear();
    }
}
