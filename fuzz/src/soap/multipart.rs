//! A message of several parts. A case is its content type in a line, and the body.

use std::cell::Cell;

use dray_formats::FileFault;
use dray_formats::xml::{Node, Walk};
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
            let walked = walk(&message, &mut |_, _| {
                elements.set(elements.get() + 1);
                Ok(())
            });
            assert!(walked.is_ok() || elements.get() == 0, "{walked:?}");
        }
    }
}

/// As who reads a message does: a reference that nothing explains is its record's fault.
fn walk(
    message: &[u8],
    visit: &mut impl FnMut(Node<'_>, &str) -> Result<(), String>,
) -> Result<(), FileFault> {
    let mut walk = Walk::new([].into()).passing_unknown();
    let mut taken = 0;
    loop {
        let decoded = walk.decode(&message[taken..], true, visit)?;
        if decoded.done {
            return Ok(());
        }
        taken += decoded.bytes;
    }
}
