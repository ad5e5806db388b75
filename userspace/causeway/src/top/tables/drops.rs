//! A row for each reason for which somebody has dropped packets.

use super::{number_of, rate_of_drops};
use crate::status::Reasons;
use crate::top::figures::short;
use crate::top::model::Role;
use crate::top::table::{Cell, Table, number, words};

/// Packets that were dropped for one reason in one place.
struct Dropped<'a> {
    role: usize,
    place: String,
    reason: &'a str,
    rate: Option<f64>,
    total: u64,
}

/// Those that are being dropped now first, then those of which there were most.
pub fn table(roles: &[Role]) -> Table {
    let mut all = Vec::new();
    for (number, role) in roles.iter().enumerate() {
        collect(number, role, &mut all);
    }
    all.sort_by(|a, b| {
        let rate = |dropped: &Dropped<'_>| dropped.rate.unwrap_or(0.0);
        let order = rate(b).total_cmp(&rate(a));
        order.then(b.total.cmp(&a.total))
    });
    Table {
        title: "DROPS".to_owned(),
        columns: vec![
            words("#", 0),
            words("WHERE", 1),
            words("REASON", 0),
            number("PACKETS/s", 0),
            number("PACKETS", 0),
        ],
        rows: all.iter().map(row).collect(),
    }
}

fn collect<'a>(number: usize, role: &'a Role, all: &mut Vec<Dropped<'a>>) {
    let Some(status) = role.status() else {
        return;
    };
    let pace = role.pace();
    let mut add = |place: &str, counts: &'a Reasons, rates: Option<_>| {
        let rates: Option<std::collections::BTreeMap<String, f64>> = rates;
        for (reason, &total) in counts {
            all.push(Dropped {
                role: number,
                place: place.to_owned(),
                reason,
                rate: rates.as_ref().and_then(|rates| rates.get(reason).copied()),
                total,
            });
        }
    };
    let rates = pace.map(|pace| pace.of_each(|status| &status.steering.drops));
    add("XDP program", &status.steering.drops, rates);
    for worker in &status.workers {
        let name = format!("{} worker {}", worker.gateway, worker.worker);
        let pace = pace.and_then(|pace| pace.of_worker(worker));
        let rates = pace.map(|pace| pace.of_each(|worker| &worker.drops));
        add(&name, &worker.drops, rates);
        let rates = pace.map(|pace| pace.of_each(|worker| &worker.kernel_drops));
        add(&format!("{name}'s socket"), &worker.kernel_drops, rates);
    }
}

fn row(dropped: &Dropped<'_>) -> Vec<Cell> {
    vec![
        number_of(dropped.role).into(),
        (&dropped.place).into(),
        dropped.reason.into(),
        rate_of_drops(dropped.rate),
        short(dropped.total as f64).into(),
    ]
}
