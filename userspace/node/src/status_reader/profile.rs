//! The profile of a worker in the status document.

use causeway_gateway::{Bursts, Rings, Stages};

use causeway_api::status;

pub fn bursts(bursts: &Bursts) -> Vec<status::Burst> {
    let classes = Bursts::BOUNDS.iter().zip(&bursts.0);
    classes
        .map(|(&most, &count)| status::Burst {
            most: (most < u64::MAX).then_some(most),
            count,
        })
        .collect()
}

pub fn stages(stages: &Stages) -> Vec<status::Stage> {
    let stages = stages.iter();
    stages
        .map(|(stage, share)| status::Stage {
            stage: stage.name().to_owned(),
            packets: share.packets,
            ns: share.nanoseconds,
        })
        .collect()
}

pub fn rings(rings: &Rings) -> status::Rings {
    let ring = |entries, room| status::Ring { entries, room };
    status::Rings {
        samples: rings.samples,
        receive: ring(rings.receive, rings.room.receive),
        fill: ring(rings.fill, rings.room.fill),
        transmit: ring(rings.transmit, rings.room.transmit),
    }
}
