//! From the log to a target, in order per key.
