//! The engine against targets that are really there, over a store in memory.

mod any_order;
mod conversing;
mod delivering;
mod demanding;
mod documentation;
mod forgetting;
mod holding;
mod keeping;
mod misbehaving;
mod refusing;
mod sharing;
mod showing_who;
mod signing_in;
mod support;
