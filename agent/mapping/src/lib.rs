//! Records become events, by a table compiled once.
