//! Interoperability of Causeway's ESP with scapy and tshark.

mod scapy;
mod tshark;
mod tunnel;
