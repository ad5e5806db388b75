//! The answer to a query from the maps of the running XDP program.

use causeway_api::control::Answer;
use causeway_api::explain::{Query, Trace};
use causeway_api::status::Table;
use causeway_demux::{Live, ProgramError, skew};
use causeway_steering::Bucket;

use super::answer::answer as answer_from;
use super::names::Names;
use super::recorder::BucketEntries;
use crate::program_tables::ProgramTables;

impl BucketEntries for Live<'_> {
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket> {
        Live::entry(self, peering, bucket)
    }

    fn now(&self) -> u32 {
        skew::now()
    }
}

/// Answers a query from the maps of the role's program. `tables` has the table of each peering.
pub fn answer(
    query: &Query,
    program: &ProgramTables,
    tables: Vec<Table>,
    mut names: Names,
) -> Answer {
    for (peering, table) in names.peerings.iter_mut().zip(tables) {
        peering.table = Some(table.into());
    }
    let result: Result<Trace, ProgramError> = program.with_program(|program| {
        let live = program.live(query.queue)?;
        let trace = answer_from(query, &live, &names);
        live.finish().map(|()| trace)
    });
    match result {
        Ok(trace) => Answer::Explained(trace),
        Err(error) => Answer::Refused(error.to_string()),
    }
}
