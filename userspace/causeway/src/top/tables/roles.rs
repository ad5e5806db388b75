//! A row for each role, and a row for each role that does not answer.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::cells::{drop_rate, role_number};
use crate::top::figures::{age, or_unknown, short, sum};
use crate::top::model::Role;
use crate::top::table::{Cell, Table, Tone, number_column, text_column};
use causeway_api::status::Status;

pub fn table(roles: &[Role], now: Instant) -> Table {
    Table {
        title: "ROLES".to_owned(),
        columns: vec![
            text_column("#", 0),
            text_column("ROLE", 0),
            text_column("STATE", 0),
            number_column("RECEIVED/s", 2),
            number_column("TO WORKER/s", 2),
            number_column("TO GATEWAY/s", 2),
            number_column("DROP/s", 1),
            number_column("PUNT/s", 3),
            text_column("NIC", 4),
            number_column("UP", 5),
            text_column("ENDPOINT", 6),
        ],
        rows: roles
            .iter()
            .enumerate()
            .map(|(index, role)| row(index, role, now))
            .collect(),
    }
}

/// The errors of the roles that do not answer.
pub fn errors(roles: &[Role]) -> Table {
    let row = |(index, role): (usize, &Role)| {
        let error = role.error.as_ref()?;
        let cells = [
            role_number(index).into(),
            (&role.endpoint).into(),
            Cell::new(error, Tone::Bad),
        ];
        Some(cells.into())
    };
    Table {
        title: "NO ANSWER".to_owned(),
        columns: vec![
            text_column("#", 0),
            text_column("ENDPOINT", 0),
            text_column("ERROR", 0),
        ],
        rows: roles.iter().enumerate().filter_map(row).collect(),
    }
}

fn row(index: usize, role: &Role, now: Instant) -> Vec<Cell> {
    let rates = role.rates();
    let rate = |counter: fn(&Status) -> u64| {
        or_unknown(rates.map(|rates| rates.per_second(counter)), short)
    };
    let drops = |status: &Status| sum(status.steering.drops.values().copied());
    let status = role.status();
    vec![
        role_number(index).into(),
        name(status).into(),
        state(role, now),
        rate(|status| status.steering.received).into(),
        rate(|status| status.steering.to_worker).into(),
        rate(|status| status.steering.to_gateway).into(),
        drop_rate(rates.map(|rates| rates.per_second(drops))),
        rate(|status| sum(status.steering.punts.values().copied())).into(),
        or_unknown(status, |status| {
            format!("{} {}", status.nic.name, status.nic.xdp_mode.name())
        })
        .into(),
        or_unknown(status.and_then(uptime), age).into(),
        (&role.endpoint).into(),
    ]
}

/// The role, its cluster, and its gateways.
fn name(status: Option<&Status>) -> String {
    let Some(status) = status else {
        return "?".to_owned();
    };
    let mut name = status.role.name().to_owned();
    if let Some(cluster) = &status.cluster {
        name = format!("{name} {cluster}");
    }
    let mut gateways: Vec<_> = status
        .workers
        .iter()
        .map(|worker| &worker.gateway)
        .collect();
    gateways.dedup();
    match gateways[..] {
        [] => name,
        [gateway] => format!("{name} {gateway}"),
        [first, ..] => format!("{name} {first} and {} more", gateways.len() - 1),
    }
}

fn state(role: &Role, now: Instant) -> Cell {
    let silent = role.last_seen().map(|at| now.saturating_duration_since(at));
    match (&role.error, role.status(), silent) {
        (Some(_), _, Some(silent)) => {
            Cell::new(format!("no answer {}", age(silent.as_secs())), Tone::Bad)
        }
        (Some(_), ..) => Cell::new("no answer", Tone::Bad),
        (None, None, _) => Cell::new("waiting", Tone::Dim),
        (None, Some(status), _) if status.ready => Cell::new("ready", Tone::Good),
        (None, Some(status), _) => {
            let first = status.not_ready.first();
            let word = first.map_or("not ready", |first| first.reason.name());
            Cell::new(word, Tone::Warn)
        }
    }
}

fn uptime(status: &Status) -> Option<u64> {
    let since = UNIX_EPOCH.checked_add(Duration::from_secs(status.since))?;
    let up = since.elapsed().ok()?;
    (status.since > 0).then_some(up.as_secs())
}
