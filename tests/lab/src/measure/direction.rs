//! The directions of traffic between the VPCs.

use serde::Serialize;

use crate::Site;

/// One direction between the first hosts of the VPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// VPC 1 sends.
    There,
    /// VPC 2 sends.
    Back,
}

impl Direction {
    /// The sending and the receiving host.
    pub fn ends(self) -> (Site, Site) {
        let (one, two) = (Site::host(1, 1), Site::host(2, 1));
        match self {
            Self::There => (one, two),
            Self::Back => (two, one),
        }
    }
}

/// The directions in which a load runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// From VPC 1, or from a client to its server.
    There,
    /// From VPC 2, or from a server to its client.
    Back,
    /// Both at the same time.
    Both,
}

impl Directions {
    /// Whether the load runs in this direction.
    pub fn include(self, direction: Direction) -> bool {
        self == Self::Both || self == direction.into()
    }
}

impl From<Direction> for Directions {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::There => Self::There,
            Direction::Back => Self::Back,
        }
    }
}

/// A measurement for each direction; `None` if it failed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct PerDirection<T> {
    /// VPC 1 sends; `null` if not measured.
    pub there: Option<T>,
    /// VPC 2 sends; `null` if not measured.
    pub back: Option<T>,
}
