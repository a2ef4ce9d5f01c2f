//! A site in a box: real agent, real collector, real files, and a target that checks what arrives.
//!
//! Scenarios, the demo and the bench stand on the same parts: [`drops`] makes what a legacy system would drop, [`site`] runs
//! the processes as [`daemon`]s and kills them, [`mod@line`] or a [`namespace`] is the network between them, [`disk`] cuts
//! their power, [`clock`] tells them the time, [`target`] is the ERP, [`verdict`] says what was lost, doubled or out
//! of order. [`wms`] is what calls and asks over SOAP, [`postgres`] a database, [`tryton`] and [`cap`] are
//! ERPs.

pub mod cap;
pub mod clock;
pub mod counter;
pub mod daemon;
pub mod database;
pub mod disk;
pub mod drops;
pub mod families;
pub mod frozen;
pub mod line;
pub mod load;
pub mod mariadb;
pub mod namespace;
pub mod peer;
pub mod places;
pub mod postgres;
pub mod site;
pub mod target;
pub mod tryton;
pub mod verdict;
pub mod wms;
