//! A row for each place and reason of dropped packets.

use super::cells::{drop_rate, role_number};
use crate::top::figures::short;
use crate::top::model::Role;
use crate::top::table::{Cell, Table, number_column, text_column};
use causeway_api::status::Reasons;

/// Packets that one place dropped for one reason.
struct Dropped<'a> {
    role: usize,
    place: String,
    reason: &'a str,
    rate: Option<f64>,
    total: u64,
}

/// The rows with the highest rate first, then those with the highest total.
pub fn table(roles: &[Role]) -> Table {
    let mut all = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        collect(index, role, &mut all);
    }
    all.sort_by(|a, b| {
        let rate = |dropped: &Dropped<'_>| dropped.rate.unwrap_or(0.0);
        let order = rate(b).total_cmp(&rate(a));
        order.then(b.total.cmp(&a.total))
    });
    Table {
        title: "DROPS".to_owned(),
        columns: vec![
            text_column("#", 0),
            text_column("WHERE", 1),
            text_column("REASON", 0),
            number_column("PACKETS/s", 0),
            number_column("PACKETS", 0),
        ],
        rows: all.iter().map(row).collect(),
    }
}

fn collect<'a>(index: usize, role: &'a Role, all: &mut Vec<Dropped<'a>>) {
    let Some(status) = role.status() else {
        return;
    };
    let rates = role.rates();
    let mut add = |place: &str, counts: &'a Reasons, rates: Option<_>| {
        let rates: Option<std::collections::BTreeMap<String, f64>> = rates;
        for (reason, &total) in counts {
            all.push(Dropped {
                role: index,
                place: place.to_owned(),
                reason,
                rate: rates.as_ref().and_then(|rates| rates.get(reason).copied()),
                total,
            });
        }
    };
    let drops = rates.map(|rates| rates.per_reason(|status| &status.steering.drops));
    add("XDP program", &status.steering.drops, drops);
    for worker in &status.workers {
        let name = format!("{} worker {}", worker.gateway, worker.worker);
        let rates = rates.and_then(|rates| rates.of_worker(worker));
        let drops = rates.map(|rates| rates.per_reason(|worker| &worker.drops));
        add(&name, &worker.drops, drops);
        let drops = rates.map(|rates| rates.per_reason(|worker| &worker.kernel_drops));
        add(&format!("{name}'s socket"), &worker.kernel_drops, drops);
    }
}

fn row(dropped: &Dropped<'_>) -> Vec<Cell> {
    vec![
        role_number(dropped.role).into(),
        (&dropped.place).into(),
        dropped.reason.into(),
        drop_rate(dropped.rate),
        short(dropped.total as f64).into(),
    ]
}
