//! Archives that another program makes: Python's `gzip` and `zipfile`.

use std::process::Command;

use dray_formats::packed::{Compression, Packing};
use dray_formats::{FileFault, Format, FormatConfig, Tally};

/// A file that Python makes: `make` is given `io`, `gzip`, `zipfile` and `rows`, and leaves its bytes in `made`.
fn made(make: &str) -> Vec<u8> {
    let program = format!(
        "import sys, io, gzip, zipfile\nrows = b'A|B\\n' + b'1|2\\n' * 5000\n\
         class Pipe(io.RawIOBase):\n    def __init__(self): self.bytes = b''\n    def writable(self): return True\n\
         \x20   def write(self, b): self.bytes += bytes(b); return len(b)\n{make}\nsys.stdout.buffer.write(made)"
    );
    let output = Command::new("python3").args(["-c", &program]).output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "python3 is needed for this test ({error}); install it, e.g. `apt-get install python3`"
        )
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}

/// How many records, or why not; in windows of one length and another.
fn read(compression: Compression, file: &[u8]) -> Result<u64, String> {
    let config: FormatConfig =
        toml::from_str("kind = \"csv\"\ndelimiter = \"|\"").expect("a format");
    let format = Format::new(&config, &|_| Err("no text is named".into()))
        .expect("a format")
        .packed(Packing {
            compression,
            ..Packing::default()
        });
    let read = [file.len() + 1, 5_000].map(|step| {
        let (mut decoder, mut tally) = (format.decoder(0), Tally::new(0));
        let (mut at, mut until) = (0, 0);
        loop {
            until = file.len().min(until + step);
            let decoded = decoder.decode(&file[at..until], until == file.len(), &mut tally);
            let decoded = decoded.map_err(|FileFault(said)| said)?;
            at += decoded.bytes;
            if decoded.done {
                return Ok(tally.records);
            }
        }
    });
    assert_eq!(read[0], read[1]);
    read.into_iter().next().expect("two")
}

#[test]
fn pythons_archives_are_read() {
    let rows = 5_000;
    for (make, files) in [
        ("made = gzip.compress(rows)", 1),
        (
            "b = io.BytesIO(); g = gzip.GzipFile('name.csv', 'wb', fileobj=b); g.write(rows); g.close(); made = b.getvalue()",
            1,
        ),
        (
            "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED)\nz.mkdir('sub')\nz.writestr('sub/a.csv', rows)\nz.writestr('b.csv', rows, zipfile.ZIP_STORED); z.close(); made = b.getvalue()",
            2,
        ),
        // Into a pipe, with descriptors; then with zip64 fields, and a comment.
        (
            "b = Pipe(); z = zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED)\nfor n in 'abc': z.writestr(n, rows)\nz.comment = b'of the night'; z.close(); made = b.bytes",
            3,
        ),
        (
            "b = Pipe(); z = zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED)\nwith z.open('a', 'w', force_zip64=True) as f: f.write(rows)\nz.close(); made = b.bytes",
            1,
        ),
        (
            "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED)\nwith z.open('ü.csv', 'w', force_zip64=True) as f: f.write(rows)\nz.close(); made = b.getvalue()",
            1,
        ),
    ] {
        let file = made(make);
        assert_eq!(read(Compression::Auto, &file), Ok(files * rows), "{make}");
    }
}

#[test]
fn pythons_archives_that_lie_are_refused() {
    for (make, words) in [
        ("made = gzip.compress(rows)[:-9]", "ends in its middle"),
        (
            "b = Pipe(); z = zipfile.ZipFile(b, 'w', zipfile.ZIP_STORED); z.writestr('a', rows); z.close(); made = b.bytes",
            "says only behind its data",
        ),
        (
            "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w'); z.writestr('../../etc/a', rows); z.close(); made = b.getvalue()",
            "leads out",
        ),
        (
            "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w', zipfile.ZIP_LZMA); z.writestr('a', rows); z.close(); made = b.getvalue()",
            "method 14 (LZMA)",
        ),
        (
            "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w'); z.writestr('a', rows); z.close()\nb.seek(0); y = zipfile.ZipFile(b, 'a'); y.writestr('b', rows); y.close(); made = b.getvalue()[:-1]",
            "ends in its middle",
        ),
    ] {
        let said = read(Compression::Auto, &made(make)).expect_err(make);
        assert!(said.contains(words), "{said}");
    }
}
