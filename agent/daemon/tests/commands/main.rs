//! What a person sees of the agent: its commands, its configuration's faults, and its documentation.

mod broken_configs;
mod discover;
mod documentation;
mod documented;
mod preview;
mod preview_calls;
mod redrive;
mod status;
mod suggest;
