//! Lines that are not whole yet, however they are cut.

use crate::support::{Logs, acking, cells, texts, work};

#[test]
fn a_last_line_without_its_end_waits_and_is_completed_later() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntw");
    assert_eq!(work(&mut agent, 1), ["app.log:1: one"]);
    agent.nothing_more("the second line is not whole");
    logs.append("app.log", "o");
    agent.nothing_more("the second line is not whole yet");
    logs.append("app.log", "\nthree\n");
    assert_eq!(
        work(&mut agent, 3)[1..],
        ["app.log:2: two", "app.log:3: three"]
    );
}

#[test]
fn a_line_that_waits_is_completed_after_a_restart() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntw");
    work(&mut agent, 1);
    agent.kill();
    logs.append("app.log", "o\n");
    agent.reopen(logs.source());
    assert_eq!(work(&mut agent, 2), ["app.log:1: one", "app.log:2: two"]);
}

/// Written a byte at a time, and read after each: the same as at once.
fn byte_by_byte(settings: &str, content: &[u8], restarts: bool) {
    let logs = Logs::new(settings);
    logs.create("app.log", content);
    let mut agent = logs.agent();
    agent.finish(1, acking());
    let (whole, ids) = (texts(&agent), agent.log.clone());

    let logs = Logs::new(settings);
    logs.create("app.log", b"");
    let mut agent = logs.agent();
    for byte in content {
        logs.append("app.log", [*byte]);
        agent.finish(0, acking());
        if restarts {
            agent.reopen(logs.source());
        }
    }
    assert_eq!(texts(&agent), whole, "{settings}");
    assert_eq!(agent.log, ids, "{settings}: the ids are the same");
}

#[test]
fn lines_are_the_same_however_multi_byte_characters_quotes_and_line_ends_are_split() {
    let csv = "format.kind = \"csv\"\nformat.columns = [\"A\", \"B\"]\nformat.header = true\n";
    let text =
        "\u{FEFF}A,B\r\nGrüße,日本\r\n\"two\r\nlines\",\"a \"\"b\"\"\"\r\nbad\r\n\r\n\"x\",y\n";
    for restarts in [false, true] {
        byte_by_byte(csv, text.as_bytes(), restarts);
        let json = "format.kind = \"json-lines\"\nformat.fields = { A = \"/a\" }\n";
        byte_by_byte(
            json,
            "{\"a\":\"ü\"}\r\n\n{\"a\":2}\n{\"a\"\n".as_bytes(),
            restarts,
        );
        let fixed = "format.kind = \"fixed\"\nformat.record = [{ field = [{ name = \"A\", width = 2 }] }]\n";
        byte_by_byte(fixed, "äb\r\ncd\r\n\r\nefg\n".as_bytes(), restarts);
        let wide = format!("{csv}format.encoding = \"utf-16\"\n");
        let units = "\u{FEFF}A,B\r\n\u{10A},日\r\n\"a\nb\",c\n".encode_utf16();
        let units: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        byte_by_byte(&wide, &units, restarts);
    }
}

#[test]
fn a_header_is_remembered_across_batches_restarts_and_files() {
    let logs = Logs::new("format.kind = \"csv\"\nformat.skip_rows = 1\n");
    let mut agent = logs.agent();
    logs.create("app.log", "# made by WMS\nSKU,QTY\n");
    agent.nothing_more("there is only a header");
    agent.reopen(logs.source());
    logs.append("app.log", "A,1\n");
    work(&mut agent, 1);
    agent.reopen(logs.source());
    logs.append("app.log", "B,2\nC\n");
    work(&mut agent, 3);
    logs.rename("app.log", "app.log.1");
    logs.create("app.log", "# made by WMS\nSKU,QTY,SITE\nD,4,N\n");
    assert_eq!(
        work(&mut agent, 4),
        [
            "app.log:3: A,1",
            "app.log:4: B,2",
            "app.log:5! decode",
            "app.log:3: D,4,N"
        ]
        .map(|line| line.replace(',', "|"))
    );
}

#[test]
fn a_line_longer_than_a_record_may_be_is_one_dead_letter_wherever_it_is_cut() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    let long = "x".repeat(1_500_000);
    logs.create("app.log", format!("one\n{long}"));
    work(&mut agent, 1);
    logs.append("app.log", &long);
    work(&mut agent, 1);
    agent.reopen(logs.source());
    logs.append("app.log", "\ntwo\n");
    assert_eq!(
        work(&mut agent, 3),
        ["app.log:1: one", "app.log:2! decode", "app.log:3: two"]
    );
    agent.reopen(logs.source());
    logs.append("app.log", "three\n");
    work(&mut agent, 4);
    assert_eq!(cells(&agent), ["one", "!", "two", "three"]);
}

#[test]
fn many_lines_written_while_they_are_read_are_each_read_once() {
    let logs = Logs::new("");
    logs.create("app.log", "");
    let mut agent = logs.agent();
    let mut expected = Vec::new();
    for round in 0..50 {
        let lines: Vec<String> = (0..1_000).map(|line| format!("{round}-{line}")).collect();
        logs.append("app.log", lines.join("\n") + "\n");
        expected.extend(lines);
        agent.poll();
        agent.append();
    }
    agent.finish(expected.len(), acking());
    assert_eq!(cells(&agent), expected);
}
