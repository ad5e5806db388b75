//! Counts numbered packets as they arrive.

/// The arrivals of one flow.
#[derive(Clone, Debug, Default)]
struct Flow {
    /// One bit per sequence number.
    seen: Vec<u64>,
    /// The highest number that has arrived, plus one.
    next: u64,
}

/// The arrivals of all flows. Order is judged within each flow only.
#[derive(Clone, Debug)]
pub struct Tally {
    flows: Vec<Flow>,
    packets_per_flow: u64,
    /// Distinct packets.
    pub received: u64,
    /// Distinct packets that arrived after a later packet of their flow.
    pub reordered: u64,
    /// Duplicates.
    pub duplicated: u64,
    /// Packets with an unknown flow or number.
    pub foreign: u64,
}

impl Tally {
    /// Expects numbers 0 to `packets_per_flow` - 1 on each flow.
    pub fn new(flows: usize, packets_per_flow: u64) -> Self {
        Self {
            flows: vec![Flow::default(); flows],
            packets_per_flow,
            received: 0,
            reordered: 0,
            duplicated: 0,
            foreign: 0,
        }
    }

    /// Counts an arrival.
    pub fn record(&mut self, flow: usize, number: u64) {
        let Some(flow) = self
            .flows
            .get_mut(flow)
            .filter(|_| number < self.packets_per_flow)
        else {
            self.foreign += 1;
            return;
        };
        let (index, bit) = ((number / 64) as usize, 1 << (number % 64));
        if flow.seen.len() <= index {
            flow.seen.resize(index + 1, 0);
        }
        if flow.seen[index] & bit != 0 {
            self.duplicated += 1;
            return;
        }
        flow.seen[index] |= bit;
        self.received += 1;
        if number < flow.next {
            self.reordered += 1;
        } else {
            flow.next = number + 1;
        }
    }

    /// The number of flows with an arrival.
    pub fn flows_seen(&self) -> usize {
        self.flows.iter().filter(|flow| flow.next > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_model_of_plain_sets(arrivals in prop::collection::vec((0usize..4, 0u64..100), 0..300)) {
            let mut tally = Tally::new(3, 90);
            let mut seen: Vec<(usize, u64)> = Vec::new();
            let (mut reordered, mut foreign) = (0, 0);
            for &(flow, number) in &arrivals {
                tally.record(flow, number);
                if flow >= 3 || number >= 90 {
                    foreign += 1;
                } else {
                    let later = seen.iter().any(|&(f, n)| f == flow && n > number);
                    let before = seen.contains(&(flow, number));
                    reordered += u64::from(later && !before);
                    seen.push((flow, number));
                }
            }
            let distinct: HashSet<_> = seen.iter().collect();
            prop_assert_eq!(tally.received, distinct.len() as u64);
            prop_assert_eq!(tally.duplicated, (seen.len() - distinct.len()) as u64);
            prop_assert_eq!((tally.reordered, tally.foreign), (reordered, foreign));
        }
    }
}
