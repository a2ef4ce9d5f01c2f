//! The engine against targets that are really there, over a store in memory.

mod any_order;
mod conversing;
mod delivering;
mod documentation;
mod misbehaving;
mod odata;
mod refusing;
mod sharing;
mod showing_who;
mod signing_in;
mod support;
