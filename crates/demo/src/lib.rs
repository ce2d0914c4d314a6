//! What `make demo` shows: a stream of Brazilian conversion events, sent through a running gateway, and the account of
//! what became of them.
//!
//! [`people`] and [`stream`] invent the events, [`client`] sends them, [`run`] follows them through the database to the
//! stand-in for Meta, and [`account`] compares what each of these says.

pub mod account;
pub mod client;
pub mod people;
pub mod run;
pub mod stream;
