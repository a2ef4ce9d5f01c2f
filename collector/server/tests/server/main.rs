//! The collector in this process, with its real store, and real clients over loopback.
#![allow(missing_docs)]

mod admin;
mod blocks;
mod enrolment;
mod feed;
mod governed;
mod owners;
mod remembered;
mod renewal;
mod replays;
mod support;
mod uplink;
