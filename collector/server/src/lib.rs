//! The collector: one log, many readers.
