//! The parser of envelopes: the same message however it is cut.

use std::sync::Arc;

use dray_soap::envelope::{Envelope, Reader, VALUE_BYTES_MAX, Wanted};
use dray_soap::fuzzing::Cuts;
use dray_soap::pick::Path;

use super::Choice;

/// Windows in a row that change nothing, at most.
const STILL_MAX: u32 = 3;

fn reader() -> Reader {
    let known = [("w".to_owned(), "urn:example:wms".to_owned())].into();
    let path = |text: &str| Path::new(text, &known);
    let paths = ["w:BatchNo", "w:Head/@id", "w:Next"].map(|text| path(text).expect("a path"));
    let wanted = [
        Wanted {
            root: Some((Some(0), "PutMovements".into())),
            paths: paths.to_vec(),
        },
        Wanted {
            root: None,
            paths: vec![path("Key").expect("a path")],
        },
    ];
    Reader::new(&["urn:example:wms".to_owned()], Arc::new(wanted))
}

/// As an agent does, with windows that grow only where nothing was taken.
fn read(bytes: &[u8], mut cuts: Cuts) -> Result<Envelope, String> {
    let mut reader = reader();
    let (mut at, mut until, mut still) = (0, 0, 0);
    loop {
        let end = until == bytes.len();
        let (taken, done) = reader
            .read(&bytes[at..until], end)
            .map_err(|fault| fault.0)?;
        assert!(taken <= until - at, "no more than was given");
        at += taken;
        if done {
            assert!(end && at == bytes.len(), "all is read");
            return reader.finish();
        }
        still = if taken > 0 || !end { 0 } else { still + 1 };
        assert!(still <= STILL_MAX, "it goes on");
        if taken == 0 {
            until = bytes.len().min(until.saturating_add(cuts.next_length()));
        }
    }
}

pub(super) fn check(case: &[u8], choice: Choice) {
    let whole = read(case, Cuts::new(None));
    let cut = read(case, choice.cuts());
    assert_eq!(
        format!("{whole:?}"),
        format!("{cut:?}"),
        "cut otherwise it is something else"
    );
    let at_once = reader().whole(case);
    assert_eq!(format!("{whole:?}"), format!("{at_once:?}"));
    match whole {
        Err(reason) => assert!(!reason.is_empty(), "it says why"),
        Ok(envelope) => {
            assert!(envelope.version.is_some(), "it is a SOAP message");
            assert!(
                envelope.root.is_none() || envelope.fault.is_none(),
                "a Body holds one element"
            );
            let mut kept = envelope.values.iter().flatten();
            assert!(kept.all(|value| value.len() <= VALUE_BYTES_MAX));
        }
    }
}
