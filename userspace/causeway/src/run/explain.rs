//! Where a packet would go by the kernel's own tables, for `causeway explain`.

use causeway_demux::{Live, ProgramError, moves};
use causeway_steering::Bucket;

use super::rescale::Rescale;
use super::view::View;
use crate::control::Answer;
use crate::explain::{Look, Names, Question, Story};

impl Look for Live<'_> {
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket> {
        Live::entry(self, peering, bucket)
    }

    fn now(&self) -> u32 {
        moves::now()
    }
}

/// Answers a question from the maps of the role's program.
pub fn answer(question: &Question, view: &View, rescale: &Rescale, names: &Names) -> Answer {
    let mut names = Names {
        gateways: view.gateways(),
        live: true,
        ..names.clone()
    };
    for (peering, table) in names.peerings.iter_mut().zip(rescale.tables()) {
        peering.table = Some(table.into());
    }
    let told: Result<Story, ProgramError> = view.of_program(|program| {
        let live = program.live(question.queue)?;
        let story = question.answer(&live, &names);
        live.finish().map(|()| story)
    });
    match told {
        Ok(story) => Answer::Explained(story),
        Err(error) => Answer::Refused(error.to_string()),
    }
}
