//! The tables of the view, from the model of the roles.

mod cells;
mod drops;
mod gateways;
mod roles;
mod sort;
mod stages;
mod worker_rows;
mod workers;

use std::time::Instant;

use super::model::Role;
use super::table::Table;
pub use sort::Sort;

/// All tables that have a row.
pub fn tables(roles: &[Role], sort: Sort, now: Instant) -> Vec<Table> {
    let mut tables = vec![roles::table(roles, now), roles::errors(roles)];
    tables.extend(gateways::tables(roles));
    let workers = worker_rows::worker_rows(roles, sort);
    tables.extend([
        workers::table(&workers),
        stages::table(&workers),
        drops::table(roles),
    ]);
    tables.retain(|table| !table.rows.is_empty());
    tables
}
