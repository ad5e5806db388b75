//! The order of the rows of workers.

/// The sort key of the rows of workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By role, then in the role's own order.
    #[default]
    Name,
    /// Bits per second, highest first.
    Traffic,
    /// Share of time in which the worker did not sleep, highest first.
    Busy,
    /// Drops per second, highest first.
    Drops,
}

impl Sort {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Traffic => "traffic",
            Self::Busy => "busy",
            Self::Drops => "drops",
        }
    }

    /// The next key; after the last one the first.
    pub const fn next(self) -> Self {
        match self {
            Self::Name => Self::Traffic,
            Self::Traffic => Self::Busy,
            Self::Busy => Self::Drops,
            Self::Drops => Self::Name,
        }
    }
}
