//! A watched folder as a source.
