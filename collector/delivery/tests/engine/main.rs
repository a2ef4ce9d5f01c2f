//! The engine against targets that are really there, over a store in memory.

mod any_order;
mod breaking;
mod budgeting;
mod conversing;
mod delivering;
mod demanding;
mod documentation;
mod erps;
mod fitting;
mod forgetting;
mod hiding;
mod holding;
mod in_doubt;
mod keeping;
mod misbehaving;
mod odata;
mod own_preset;
mod phasing;
mod refusing;
mod replaying;
mod shadowing;
mod sharing;
mod showing_who;
mod signing_in;
mod soap;
mod support;
