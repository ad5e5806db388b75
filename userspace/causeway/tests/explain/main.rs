//! `causeway explain`: what it reads, and that it tells the program's own story.

#[path = "../support/binary.rs"]
mod binary;
mod captures;
mod command;
mod stories;
#[path = "../support/mod.rs"]
mod support;
mod words;
