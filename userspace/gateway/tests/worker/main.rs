//! The worker whole, over NICs in memory: two gateways back to back, and the network around them
//! played by the tests.

mod bursts;
mod control;
mod families;
mod held;
mod inward;
mod laws;
mod lifetime;
mod marks;
mod model;
mod neighbours;
mod out;
mod packet;
mod path;
mod profile;
mod rekey;
mod settings;
mod side;
mod standstill;
mod tags;
