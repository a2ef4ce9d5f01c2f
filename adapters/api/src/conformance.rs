//! The suite that every source runs.
