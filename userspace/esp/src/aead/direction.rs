/// The direction of an SA: it either seals or opens packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The SA seals: outbound.
    Seal,
    /// The SA opens: inbound.
    Open,
}
