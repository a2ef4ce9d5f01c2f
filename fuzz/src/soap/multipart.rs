//! A message of several parts. A case is its content type in a line, and the body.

use std::cell::Cell;

use dray_formats::xml::Walk;
use dray_soap::fuzzing::{Cuts, joined};

use super::{Choice, first_line};

/// Bytes of what is made, at most.
const BYTES_MAX: u64 = 256 * 1024;

pub(super) fn check(case: &[u8], choice: Choice) {
    let (content_type, body) = first_line(case);
    let join = |cuts| joined(&content_type, body, cuts, BYTES_MAX, std::env::temp_dir());
    let Some(whole) = join(Cuts::new(None)) else {
        return;
    };
    let cut = join(choice.cuts()).expect("the same type");
    assert_eq!(whole, cut, "cut otherwise it is something else");
    match whole {
        Err(reason) => assert!(!reason.is_empty(), "it says why"),
        Ok(message) => {
            assert!(message.len() as u64 <= BYTES_MAX);
            // An Include may be the root element, and then its part is the message.
            let elements = Cell::new(0);
            let walked = Walk::whole([].into(), &message, &mut |_, _| {
                elements.set(elements.get() + 1);
                Ok(())
            });
            assert!(walked.is_ok() || elements.get() == 0, "{walked:?}");
        }
    }
}
