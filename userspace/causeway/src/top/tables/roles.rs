//! A row for each role, and one for each that does not answer.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::{number_of, rate_of_drops};
use crate::status::Status;
use crate::top::figures::{age, or_unknown, short, sum};
use crate::top::model::Role;
use crate::top::table::{Cell, Table, Tone, number, words};

pub fn table(roles: &[Role], now: Instant) -> Table {
    Table {
        title: "ROLES".to_owned(),
        columns: vec![
            words("#", 0),
            words("ROLE", 0),
            words("STATE", 0),
            number("RECEIVED/s", 2),
            number("TO WORKER/s", 2),
            number("TO GATEWAY/s", 2),
            number("DROP/s", 1),
            number("PUNT/s", 3),
            words("NIC", 4),
            number("UP", 5),
            words("ASKED AT", 6),
        ],
        rows: roles
            .iter()
            .enumerate()
            .map(|(place, role)| row(place, role, now))
            .collect(),
    }
}

/// What is wrong with those that do not answer.
pub fn troubles(roles: &[Role]) -> Table {
    let row = |(place, role): (usize, &Role)| {
        let trouble = role.trouble.as_ref()?;
        let cells = [
            number_of(place).into(),
            (&role.endpoint).into(),
            Cell::new(trouble, Tone::Bad),
        ];
        Some(cells.into())
    };
    Table {
        title: "NO ANSWER".to_owned(),
        columns: vec![words("#", 0), words("ASKED AT", 0), words("TROUBLE", 0)],
        rows: roles.iter().enumerate().filter_map(row).collect(),
    }
}

fn row(place: usize, role: &Role, now: Instant) -> Vec<Cell> {
    let pace = role.pace();
    let rate = |counter: fn(&Status) -> u64| or_unknown(pace.map(|pace| pace.of(counter)), short);
    let drops = |status: &Status| sum(status.steering.drops.values().copied());
    let status = role.status();
    vec![
        number_of(place).into(),
        name(status).into(),
        state(role, now),
        rate(|status| status.steering.received).into(),
        rate(|status| status.steering.to_worker).into(),
        rate(|status| status.steering.to_gateway).into(),
        rate_of_drops(pace.map(|pace| pace.of(drops))),
        rate(|status| sum(status.steering.punts.values().copied())).into(),
        or_unknown(status, |status| {
            format!("{} {}", status.nic.name, status.nic.xdp_mode.name())
        })
        .into(),
        or_unknown(status.and_then(uptime), age).into(),
        (&role.endpoint).into(),
    ]
}

/// The role, its cluster, and whose gateway it is.
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
    let silent = role.seen().map(|at| now.saturating_duration_since(at));
    match (&role.trouble, role.status(), silent) {
        (Some(_), _, Some(silent)) => {
            Cell::new(format!("gone {}", age(silent.as_secs())), Tone::Bad)
        }
        (Some(_), ..) => Cell::new("no answer", Tone::Bad),
        (None, None, _) => Cell::new("asked", Tone::Dim),
        (None, Some(status), _) if status.ready => Cell::new("ready", Tone::Good),
        (None, Some(_), _) => Cell::new("not ready", Tone::Warn),
    }
}

fn uptime(status: &Status) -> Option<u64> {
    let since = UNIX_EPOCH.checked_add(Duration::from_secs(status.since))?;
    let up = since.elapsed().ok()?;
    (status.since > 0).then_some(up.as_secs())
}
