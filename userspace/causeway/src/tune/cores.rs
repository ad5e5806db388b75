//! Sets of cores, as the kernel writes them: `0-3,8`.

use std::collections::BTreeSet;
use std::fmt;

/// A set of cores by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cores(BTreeSet<usize>);

impl Cores {
    /// Cores of the largest kernel there is (CONFIG_NR_CPUS of x86-64).
    pub const MOST: usize = 8192;

    /// Reads the kernel's list format; `None` for anything else. Where the kernel has no list it
    /// writes an empty line, or `(null)`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "(null)" {
            return Some(Self::default());
        }
        let mut cores = BTreeSet::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            cores.extend(first..=last);
        }
        Some(Self(cores))
    }

    /// The cores in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().copied()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is among them.
    pub fn contains(&self, core: usize) -> bool {
        self.0.contains(&core)
    }

    /// Whether all are among those.
    pub fn is_within(&self, those: &Self) -> bool {
        self.0.is_subset(&those.0)
    }

    /// These but those.
    pub fn without(&self, those: &Self) -> Self {
        Self(&self.0 - &those.0)
    }

    /// These and those.
    pub fn with(&self, those: &Self) -> Self {
        Self(&self.0 | &those.0)
    }

    /// What these and those have in common.
    pub fn common(&self, those: &Self) -> Self {
        Self(&self.0 & &those.0)
    }
}

fn number(text: &str) -> Option<usize> {
    // Not even the sign that `parse` takes.
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&core| core < Cores::MOST)
}

impl FromIterator<usize> for Cores {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> Self {
        Self(cores.into_iter().collect())
    }
}

/// The kernel's list format.
impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cores = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cores.next() {
            let mut last = first;
            while let Some(next) = cores.next_if_eq(&(last + 1)) {
                last = next;
            }
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}
