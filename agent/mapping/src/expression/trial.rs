//! A run of an expression on made-up records, before there is a true one: the engine knows a filter's name only when it comes to it.
//!
//! What stands in a branch that such records don't take is not found.

use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, Expression, Value, context};

/// Every column of a record holds one of these.
const TEXTS: [&str; 2] = ["", "1"];

/// A record that has every column.
#[derive(Debug)]
struct Anything(&'static str);

impl Object for Anything {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from(self.0))
    }
}

/// Finds names that mean nothing to the engine. Other errors may be those of the made-up values.
pub(super) fn run(expression: &Expression<'_, '_>) -> Result<(), Error> {
    for text in TEXTS {
        let record = Value::from_object(Anything(text));
        match expression.eval(context! { rec => record }) {
            Err(error) if is_unknown(error.kind()) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_unknown(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
    )
}
