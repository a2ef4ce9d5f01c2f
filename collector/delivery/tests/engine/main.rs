//! The engine against targets that are really there, over a store in memory.

mod any_order;
mod conversing;
mod delivering;
mod documentation;
mod erps;
mod in_doubt;
mod misbehaving;
mod refusing;
mod sharing;
mod showing_who;
mod signing_in;
mod soap;
mod support;
