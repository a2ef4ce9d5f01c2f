//! Records through a mapper: the events that they become, and what is said of those that become none.

mod bodies;
mod checks;
mod records;
mod sentences;
mod site;
