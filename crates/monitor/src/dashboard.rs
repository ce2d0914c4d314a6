//! `monitor dashboard`: the web page. HTML written on the server, one style sheet, one script that is only
//! comfort.
//!
//! [`routes`] says who may see and do what. [`server`] listens; for each request `serve` asks the routes, finds
//! out who is asking ([`visitor`]), and puts the frame around what a page of [`pages`] says. A page gets its
//! request as a [`request::Cx`], answers with a [`reply::Reply`], reads from the store
//! ([`rastro_store::dashboard`]) and writes sentences, tables and [`charts`]. Each of its parts may fail
//! alone: the rest of the page stays.

pub mod app;
pub mod assets;
mod away;
pub mod charts;
pub mod config;
pub mod frame;
pub mod layout;
pub mod pages;
pub mod replica;
pub mod reply;
pub mod request;
mod responses;
pub mod routes;
mod serve;
pub mod server;
pub mod visitor;
mod watchdog;
pub mod words;

pub use config::DashboardConfig;
pub use server::{Dashboard, run};
