//! A run of an expression on made-up records, before there is a true one: the engine knows a filter's name only when it comes to it.
//!
//! Every column of such a record holds the same text: none, a number, or one that the expression itself names, so that it takes branches like
//! `rec.TYPE == 'SHIP'`. What stands in a branch that no such record takes is not found.

use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, Expression, Value, context};

/// Texts that an expression names and that are tried, at most.
const NAMED_MAX: usize = 16;

/// A record that has every column.
#[derive(Debug)]
struct Anything(String);

impl Object for Anything {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from(self.0.as_str()))
    }
}

/// Finds names that mean nothing to the engine. Other errors may be those of the made-up values.
pub(super) fn run(source: &str, expression: &Expression<'_, '_>) -> Result<(), Error> {
    for text in ["", "1"].into_iter().chain(named(source)) {
        let record = Value::from_object(Anything(text.to_owned()));
        match expression.eval(context! { rec => record }) {
            Err(error) if is_unknown(error.kind()) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Texts in quotation marks. One in which another kind of mark stands may be taken apart; it is only tried.
fn named(source: &str) -> impl Iterator<Item = &str> {
    let marked = source.split(['\'', '"']).skip(1).step_by(2);
    marked.take(NAMED_MAX)
}

fn is_unknown(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
    )
}
