//! The workers of all roles, in the order of the rows.

use super::cells::role_number;
use super::sort::Sort;
use crate::top::figures::sum;
use crate::top::model::{Role, WorkerRates};
use crate::top::table::Cell;
use causeway_api::status::Worker;

pub struct WorkerRow<'a> {
    role: usize,
    pub worker: &'a Worker,
    pub rates: Option<WorkerRates<'a>>,
}

impl WorkerRow<'_> {
    /// The cells that identify the worker: role, gateway, worker.
    pub fn name(&self) -> [Cell; 3] {
        [
            role_number(self.role).into(),
            (&self.worker.gateway).into(),
            self.worker.worker.to_string().into(),
        ]
    }

    /// Drops per second, by the worker and by the kernel at the worker's sockets.
    pub fn drops(&self) -> Option<f64> {
        let all = |worker: &Worker| -> u64 {
            let drops = worker.drops.values().chain(worker.kernel_drops.values());
            sum(drops.copied())
        };
        self.rates.map(|rates| rates.per_second(all))
    }

    /// Inner bits per second, sealed and opened.
    fn bits(&self) -> f64 {
        let bytes = |worker: &Worker| sum([worker.sealed.bytes, worker.opened.bytes]);
        self.rates
            .map_or(0.0, |rates| rates.per_second(bytes) * 8.0)
    }
}

/// The workers of all roles, sorted.
pub fn worker_rows(roles: &[Role], sort: Sort) -> Vec<WorkerRow<'_>> {
    let mut rows = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        let rates = role.rates();
        let workers = role.status().map_or(&[][..], |status| &status.workers);
        rows.extend(workers.iter().map(|worker| WorkerRow {
            role: index,
            worker,
            rates: rates.and_then(|rates| rates.of_worker(worker)),
        }));
    }
    let key = |row: &WorkerRow<'_>| match sort {
        Sort::Name => 0.0,
        Sort::Traffic => row.bits(),
        Sort::Busy => row.rates.map_or(0.0, |rates| rates.busy()),
        Sort::Drops => row.drops().unwrap_or(0.0),
    };
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    rows
}
