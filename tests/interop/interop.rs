//! Causeway's ESP against that of others.

mod scapy;
mod tshark;
mod tunnel;
