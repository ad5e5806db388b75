//! `causeway top`: figures from looks, tables from figures, screens from tables.

mod asked;
mod model;
mod older;
mod role;
mod screen;
mod terminal;
