//! One pass over a file in memory, as all examples of rates make it.

use dray_formats::{Format, Sink, Window};

/// Decodes all of it; what is full is emptied by `emptied`.
pub(crate) fn pass<S: Sink>(
    format: &Format,
    file: &[u8],
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) {
    let mut decoder = format.decoder(0);
    let mut window = Window::default();
    let mut rest = file;
    loop {
        let decoded = decoder
            .decode(window.bytes(), rest.is_empty(), sink)
            .expect("records");
        window.take(decoded.bytes);
        if decoded.done {
            return;
        }
        if sink.full() {
            emptied(sink);
        } else {
            let space = window.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            window.filled(count);
            rest = &rest[count..];
        }
    }
}
