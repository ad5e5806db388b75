//! What goes wrong, and when it is over.

use causeway_rescale::coordinator::Input;

use super::{Happening, World};
use crate::gateway::Process;
use crate::link::{Time, US};
use crate::schedule::Fault;

impl World {
    pub(super) fn fail(&mut self, fault: Fault) {
        self.note(|| format!("{fault:?}"));
        let after = match fault {
            Fault::Kill(site, gateway, after) => {
                self.sites[site].lives[gateway] += 1;
                self.sites[site].gateways[gateway].process = Process::Dead;
                after
            }
            Fault::Stop(site, gateway, after) => {
                let now = self.now;
                let at = &mut self.sites[site].gateways[gateway];
                if at.process != Process::Runs {
                    return;
                }
                at.process = Process::Stopped;
                at.workers
                    .iter_mut()
                    .for_each(|worker| worker.last_run = now);
                self.sites[site].lives[gateway] += 1;
                after
            }
            Fault::Cut(site, gateway, after) => {
                let tunnels = &mut self.sites[site].tunnels[gateway];
                tunnels.iter_mut().for_each(|link| link.is_down = true);
                after
            }
            Fault::Restart(site, after) => {
                self.sites[site].demux.stop();
                self.sites[site].wake = Time::MAX;
                after
            }
            Fault::Freeze(site, after) => {
                self.sites[site].demux.is_frozen = true;
                after
            }
        };
        self.at(self.now + after, Happening::Right(fault));
    }

    pub(super) fn repair(&mut self, fault: Fault) {
        self.note(|| format!("over: {fault:?}"));
        let now = self.now;
        match fault {
            Fault::Kill(site, gateway, _) => {
                if self.sites[site].gateways[gateway].process == Process::Dead {
                    self.sites[site].lives[gateway] += 1;
                    self.sites[site].gateways[gateway].restart(now);
                }
            }
            Fault::Stop(site, gateway, _) => self.resume(site, gateway),
            Fault::Cut(site, gateway, _) => {
                let tunnels = &mut self.sites[site].tunnels[gateway];
                tunnels.iter_mut().for_each(|link| link.is_down = false);
            }
            Fault::Restart(site, _) => {
                self.sites[site].demux.start(now, &mut self.random);
                self.sites[site].wake = Time::MAX;
                self.work(site);
            }
            Fault::Freeze(site, _) => {
                self.sites[site].demux.is_frozen = false;
                self.sites[site].demux.hear(Input::Tick);
                self.work(site);
            }
        }
    }

    fn resume(&mut self, site: usize, gateway: usize) {
        let at = &mut self.sites[site].gateways[gateway];
        if at.process != Process::Stopped {
            return;
        }
        at.process = Process::Runs;
        let life = self.sites[site].lives[gateway];
        let served = self.now + self.random.below(300 * US);
        self.at(served, Happening::Serve(site, gateway, life));
        for worker in 0..self.schedule.workers {
            self.sites[site].gateways[gateway].workers[worker].is_awake = true;
            let soon = self.now + self.random.below(300 * US);
            self.at(soon, Happening::Run(site, gateway, worker, life));
        }
    }
}
