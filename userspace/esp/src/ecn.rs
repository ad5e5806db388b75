//! Explicit congestion notification across the tunnel (RFC 6040).
//!
//! Encapsulation needs no code here: the outer header copies the inner field (section 4.1, normal mode).

/// The ECN bits of a TOS byte.
const MASK: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// The inner TOS byte after decapsulation (RFC 6040 section 4.2, figure 4): the DSCP is kept, the ECN fields
/// are combined. `None` for an outer CE over an inner packet that is not ECN-capable. Only a drop signals
/// congestion to the sender of such a packet.
#[inline]
pub(crate) fn decapsulate(inner_tos: u8, outer_tos: u8) -> Option<u8> {
    let ecn = match (inner_tos & MASK, outer_tos & MASK) {
        (NOT_ECT, CE) => return None,
        (NOT_ECT, _) => NOT_ECT,
        (CE, _) | (_, CE) => CE,
        (ECT_0, ECT_1) => ECT_1,
        (inner, _) => inner,
    };
    Some(inner_tos & !MASK | ecn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6040 figure 4, all sixteen cells: rows are the inner field, columns the outer field, in
    /// the order Not-ECT, ECT(0), ECT(1), CE.
    /// Standard: ecn-out, ecn-not-ect
    #[test]
    fn figure_4() {
        let fields = [NOT_ECT, ECT_0, ECT_1, CE];
        let table = [
            [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None],
            [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)],
            [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)],
            [Some(CE), Some(CE), Some(CE), Some(CE)],
        ];
        for (inner, row) in fields.into_iter().zip(table) {
            for (outer, expected) in fields.into_iter().zip(row) {
                assert_eq!(
                    decapsulate(inner, outer),
                    expected,
                    "{inner:02b} {outer:02b}"
                );
                let dscp = 0xb8;
                assert_eq!(
                    decapsulate(dscp | inner, outer),
                    expected.map(|ecn| dscp | ecn),
                    "the inner DSCP is kept (RFC 2983, uniform only for ECN)"
                );
            }
        }
    }
}
