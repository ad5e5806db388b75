//! The starts and ends of faults.

use causeway_rescale::coordinator::Input;

use super::{SimEvent, World};
use crate::gateway::Process;
use crate::link::{Time, US};
use crate::schedule::Fault;

impl World {
    pub(super) fn begin_fault(&mut self, fault: Fault) {
        self.print_log(|| format!("{fault:?}"));
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
        self.add_event(self.now + after, SimEvent::FaultEnds(fault));
    }

    pub(super) fn end_fault(&mut self, fault: Fault) {
        self.print_log(|| format!("end of {fault:?}"));
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
                self.run_demux(site);
            }
            Fault::Freeze(site, _) => {
                self.sites[site].demux.is_frozen = false;
                self.sites[site].demux.receive(Input::Tick);
                self.run_demux(site);
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
        self.add_event(served, SimEvent::ProcessRequests(site, gateway, life));
        for worker in 0..self.schedule.workers {
            self.sites[site].gateways[gateway].workers[worker].is_awake = true;
            let soon = self.now + self.random.below(300 * US);
            self.add_event(soon, SimEvent::Run(site, gateway, worker, life));
        }
    }
}
