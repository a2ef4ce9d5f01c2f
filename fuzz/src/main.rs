//! Looks for bytes that a decoder can't stand: libFuzzer over every decoder, and over what is called and asked by SOAP, on a stable
//! compiler.
//!
//! `DRAY_FUZZ` names the target, one of [`checks::TARGETS`] or [`soap::TARGETS`]; `fuzz/run` builds and runs it. What must hold is in
//! [`checks`], which a test of dray-formats includes as well, and in [`soap`], with a test of dray-soap: they replay `fuzz/cases`, so
//! that what was found once stays found.
//!
//! libFuzzer's limit on a single allocation needs the address sanitizer, and that needs a nightly compiler. So the allocator has the limit:
//! all memory that a case holds together is at most [`MEMORY_BYTES_MAX`].
#![no_main]

mod checks;
mod soap;

use std::alloc::System;
use std::sync::OnceLock;

use cap::Cap;
use libfuzzer_sys::fuzz_target;

/// A case is at most 16 KiB. What a decoder keeps besides is bounded whatever the file's size, and far below this.
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, MEMORY_BYTES_MAX);

fn target() -> &'static str {
    static TARGET: OnceLock<String> = OnceLock::new();
    TARGET.get_or_init(|| {
        let named = std::env::var("DRAY_FUZZ").unwrap_or_default();
        assert!(
            checks::TARGETS.contains(&named.as_str()) || is_soap(&named),
            "DRAY_FUZZ is \"{named}\"; name one of {:?} or {:?}",
            checks::TARGETS,
            soap::TARGETS
        );
        named
    })
}

fn is_soap(target: &str) -> bool {
    soap::TARGETS.contains(&target)
}

fn check(target: &str, input: &[u8]) {
    match is_soap(target) {
        true => soap::check(target, input),
        false => checks::check(target, input),
    }
}

/// A panic ends the run, but in `calamine`: there it is caught, and the file is at fault.
fn end_at_panics() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let caught = |place: &std::panic::Location<'_>| place.file().contains("/calamine-");
        if !panic.location().is_some_and(caught) {
            end(panic);
        }
    }));
}

fuzz_target!(init: end_at_panics(), |input: &[u8]| check(target(), input));
