//! A decoder over a file that is cut at any place.
//!
//! What must hold: nothing panics; the same records, bad records and verdict whichever way the file is cut, in both passes, and read on from any
//! ordinal; no more bytes taken than given, and all of them at the end; ordinals that join; cells that are parts of the text;
//! [`REJECT_BYTES_MAX`] bytes of a bad record; progress with each call. That memory and time are bounded is for libFuzzer's limits.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use dray_adapter::REJECT_BYTES_MAX;
use dray_formats::edi::Receipt;
use dray_formats::packed::{Decoder, Packed};
use dray_formats::{BadRecord, FieldAt, Gather, GoodRecord, Sink, Tally};

use super::Choice;

/// Calls in a row that neither take bytes nor find anything nor get more, at most: one may settle what the file is packed with, one what it
/// is encoded in.
const STILL_CALLS_MAX: u32 = 3;

/// Where a file is cut: xorshift, mostly in short pieces.
struct Cuts(Option<u32>);

impl Cuts {
    fn next(&mut self) -> usize {
        let Some(state) = &mut self.0 else {
            return usize::MAX;
        };
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        let most = [1, 3, 16, 200][*state as usize % 4];
        1 + (*state >> 8) as usize % most
    }
}

/// What a pass found, without keeping it: there may be millions.
#[derive(Debug)]
struct Told {
    next: u64,
    count: u64,
    bad: u64,
    hash: DefaultHasher,
    /// Only from this ordinal on.
    from: u64,
    /// The first of them in words, if somebody wants them.
    words: Option<Vec<String>>,
}

impl Told {
    fn from(from: u64, first: u64, words: bool) -> Self {
        Self {
            next: first,
            count: 0,
            bad: 0,
            hash: DefaultHasher::new(),
            from,
            words: words.then(Vec::new),
        }
    }

    fn take(&mut self, ordinal: u64, is_bad: bool, what: &dyn Fn() -> String) -> bool {
        assert_eq!(ordinal, self.next, "ordinals join");
        self.next += 1;
        if ordinal < self.from {
            return false;
        }
        self.count += 1;
        self.bad += u64::from(is_bad);
        (ordinal, is_bad).hash(&mut self.hash);
        if let Some(words) = self.words.as_mut().filter(|words| words.len() < 50) {
            words.push(what());
        }
        true
    }
}

impl Sink for Told {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        false
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        assert!(
            record.fields.len() <= record.shape.columns.len(),
            "a name for each cell"
        );
        let cell = |field: &FieldAt| {
            (*field != FieldAt::NULL).then(|| {
                let part = record.text.get(field.start as usize..field.end as usize);
                part.expect("a cell is a part of the text")
            })
        };
        let cells: Vec<Option<&str>> = record.fields.iter().map(cell).collect();
        let what = || format!("{} {}: {cells:?}", record.line, record.shape.record_type);
        if self.take(record.ordinal, false, &what) {
            (record.line, &record.shape.record_type, &cells).hash(&mut self.hash);
            record
                .raw
                .unwrap_or(record.text.as_bytes())
                .hash(&mut self.hash);
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        let length = bad.raw.len();
        assert!(
            length <= REJECT_BYTES_MAX && length as u64 <= bad.raw_bytes,
            "{length} of {} bytes",
            bad.raw_bytes
        );
        assert_eq!(
            bad.raw_sha256.is_some(),
            (length as u64) < bad.raw_bytes,
            "what is cut is told by its hash"
        );
        assert!(!bad.reason.is_empty(), "it says why");
        let what = || format!("{}! {} {:?}", bad.line, bad.reason, bad.raw.escape_ascii());
        if self.take(bad.ordinal, true, &what) {
            (bad.line, bad.reason, bad.raw, bad.raw_bytes, bad.raw_sha256).hash(&mut self.hash);
        }
    }
}

/// Runs a decoder to the file's end; what is full is emptied.
fn run<S: Sink>(
    decoder: &mut Decoder,
    file: &[u8],
    mut cuts: Cuts,
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) -> Result<u64, String> {
    let (mut at, mut until, mut still) = (0, 0, 0);
    loop {
        let (end, ordinal) = (until == file.len(), decoder.ordinal());
        let decoded = decoder
            .decode(&file[at..until], end, sink)
            .map_err(|fault| {
                assert!(!fault.0.is_empty(), "it says why");
                fault.0
            })?;
        assert!(decoded.bytes <= until - at, "no more than was given");
        at += decoded.bytes;
        if decoded.done {
            assert!(end && at == file.len(), "all is read");
            return Ok(decoder.ordinal());
        }
        let full = sink.full();
        still += 1;
        if decoded.bytes > 0 || decoder.ordinal() > ordinal {
            still = 0;
        }
        if full {
            emptied(sink);
        } else if until < file.len() {
            until = file.len().min(until.saturating_add(cuts.next()));
            still = 0;
        }
        assert!(still <= STILL_CALLS_MAX, "it goes on");
    }
}

/// Checks that all of it holds; what is told of EDI, and whether the file was taken.
pub(crate) fn hold(formats: &[Packed], file: &[u8], choice: Choice) -> Option<(Receipt, bool)> {
    let format = &formats[choice.format % formats.len()];
    let cuts = || Cuts(Some(0x9E37_79B9 ^ u32::from(choice.cuts)));
    let skip = choice.skip;

    let mut decoder = format.decoder(0);
    let mut whole = Told::from(0, 0, false);
    let verdict = run(&mut decoder, file, Cuts(None), &mut whole, |_| ());

    let mut cut_decoder = format.decoder(0);
    let mut cut = Told::from(0, 0, false);
    let cut_verdict = run(&mut cut_decoder, file, cuts(), &mut cut, |_| ());
    if cut_verdict != verdict
        || cut.count != whole.count
        || cut.hash.finish() != whole.hash.finish()
    {
        let shown = |cuts| {
            let mut told = Told::from(0, 0, true);
            let verdict = run(&mut format.decoder(0), file, cuts, &mut told, |_| ());
            (told.words.unwrap_or_default(), verdict)
        };
        panic!(
            "cut otherwise it is something else:\n{:#?}\n{:#?}",
            shown(Cuts(None)),
            shown(cuts())
        );
    }

    let receipt = decoder.receipt();
    assert_eq!(
        receipt,
        cut_decoder.receipt(),
        "what is told does not depend on cuts"
    );

    let mut tally = Tally::new(u64::MAX);
    let counted = run(&mut format.decoder(0), file, cuts(), &mut tally, |_| ());
    assert_eq!(counted, verdict, "both passes agree");
    assert_eq!(
        (tally.records + tally.rejects, tally.rejects),
        (whole.count, whole.bad),
        "both passes agree"
    );

    let mut rest = Told::from(skip, skip, false);
    let read_on = run(&mut format.decoder(skip), file, cuts(), &mut rest, |_| ());
    assert_eq!(read_on, verdict, "read on from {skip}");
    assert_eq!(
        rest.count,
        whole.count.saturating_sub(skip),
        "read on from {skip}"
    );

    let few = || Gather::with_limits(2, usize::MAX);
    let (mut gather, mut gathered) = (few(), 0);
    let count = |gather: &Gather| (gather.records.len() + gather.rejects.len()) as u64;
    let batches = run(&mut format.decoder(0), file, cuts(), &mut gather, |full| {
        gathered += count(full);
        *full = few();
    });
    assert_eq!(batches, verdict, "a few at a time");
    // Of a file that is refused nothing is sent, however much of it was found.
    if verdict.is_ok() {
        assert_eq!(gathered + count(&gather), whole.count, "a few at a time");
    }
    receipt.map(|receipt| (receipt, verdict.is_ok()))
}
