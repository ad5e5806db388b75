//! `causeway top`: readings of roles, rates between readings, tables and the screen.

mod endpoints;
mod model;
mod old_status;
mod role;
mod screen;
mod terminal;
