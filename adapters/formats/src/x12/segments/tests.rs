use super::*;

const ISA: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*U*00401*000000001*0*P*:~";

/// All segments as text, or what is wrong; cut into windows of every length up to 40.
fn check(file: &str, expected: Result<&[&str], &str>) {
    for cut in (1..40).chain([usize::MAX]) {
        let found = segments(file.as_bytes(), cut);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "in windows of {cut}"),
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            (found, _) => panic!("{found:?} in windows of {cut}"),
        }
    }
}

fn segments(file: &[u8], cut: usize) -> Result<Vec<String>, String> {
    let (mut segments, mut found) = (Segments::new(), Vec::new());
    let (mut at, mut read) = (0, 0);
    loop {
        let end = read == file.len();
        match segments
            .next(&file[at..read], end)
            .map_err(|fault| fault.0)?
        {
            Found::Segment(bytes) => {
                let segment = segments.segment().expect("it was found");
                let elements =
                    (0..segment.len()).map(|index| String::from_utf8_lossy(segment.element(index)));
                found.push(format!(
                    "{} {}",
                    segment.line,
                    elements.collect::<Vec<_>>().join("|")
                ));
                at += bytes;
            }
            Found::More(bytes) if end => {
                at += bytes;
                assert_eq!(at, file.len());
                return Ok(found);
            }
            Found::More(bytes) => {
                at += bytes;
                read = read.saturating_add(cut).min(file.len());
            }
        }
    }
}

fn isa_shown(line: u64) -> String {
    format!("{line} {}", ISA.trim_end_matches('~').replace('*', "|"))
}

#[test]
fn separators_are_those_of_the_isa() {
    check(&format!("{ISA}GS*OW*A~"), Ok(&[&isa_shown(1), "1 GS|OW|A"]));
    let other = ISA.replace('*', "|").replace(":~", ">\n");
    check(
        &format!("{other}GS|OW|A\n"),
        Ok(&[&isa_shown(1).replace(':', ">"), "2 GS|OW|A"]),
    );
}

#[test]
fn line_ends_between_and_within_segments_are_passed_over() {
    check(
        &format!("{ISA}\r\nGS*OW*A~\r\n\r\nST*94\r\n0*1~\n"),
        Ok(&[&isa_shown(1), "2 GS|OW|A", "4 ST|940|1"]),
    );
}

#[test]
fn a_byte_order_mark_between_segments_is_passed_over_however_the_file_is_cut() {
    check(
        &format!("\u{feff}{ISA}IEA*0*1~\r\n\u{feff}{ISA}\u{feff}\nIEA*0*1~"),
        Ok(&[&isa_shown(1), "1 IEA|0|1", &isa_shown(2), "3 IEA|0|1"]),
    );
}

#[test]
fn several_interchanges_each_have_their_separators() {
    let second = ISA.replace('*', "+").replace(":~", ":!");
    check(
        &format!("{ISA}IEA*0*1~\n{second}IEA+0+1!"),
        Ok(&[
            &isa_shown(1),
            "1 IEA|0|1",
            &isa_shown(2).replace('*', "|"),
            "2 IEA|0|1",
        ]),
    );
}

#[test]
fn a_binary_segment_carries_anything() {
    check(
        &format!("{ISA}BIN*7*a~b*c\nd~SE*1~"),
        Ok(&[&isa_shown(1), "1 BIN|7|a~b*c\nd", "2 SE|1"]),
    );
    check(
        &format!("{ISA}BDS*ASC*3*~*~~SE*1~"),
        Ok(&[&isa_shown(1), "1 BDS|ASC|3|~*~", "1 SE|1"]),
    );
    check(&format!("{ISA}BIN*x*abc~"), Err("no number"));
    check(&format!("{ISA}BIN*99*abc~"), Err("the file is cut"));
}

#[test]
fn an_isa_may_have_short_elements_or_no_last_one() {
    check(
        "ISA*00**00**ZZ*A*ZZ*B*200101*1200*U*00401*1*0*P*:~GS*A~",
        Ok(&[
            "1 ISA|00||00||ZZ|A|ZZ|B|200101|1200|U|00401|1|0|P|:",
            "1 GS|A",
        ]),
    );
    check(
        "ISA*00**00**ZZ*A*ZZ*B*200101*1200*U*00401*1*0*P*~\nGS*A~\n",
        Ok(&[
            "1 ISA|00||00||ZZ|A|ZZ|B|200101|1200|U|00401|1|0|P|",
            "2 GS|A",
        ]),
    );
}

#[test]
fn what_is_no_interchange_is_refused_by_its_line() {
    check(
        "\nST*940*0001~",
        Err("line 2: the file does not begin with an ISA"),
    );
    check("ISA*00*~", Err("fewer than 16"));
    check(
        &format!("{ISA}GS*OW"),
        Err("line 1: the last segment is not ended"),
    );
    check(&ISA.replace(":~", ":A"), Err("line 1"));
    check("", Ok(&[]));
}

#[test]
fn components_and_repetitions_are_apart() {
    let text = ISA.replace("*U*00401", "*^*00501") + "N1*ST*a:b^c:d~";
    let mut segments = Segments::new();
    let Ok(Found::Segment(first)) = segments.next(text.as_bytes(), true) else {
        panic!("no ISA")
    };
    let found = segments.next(&text.as_bytes()[first..], true);
    assert!(matches!(found, Ok(Found::Segment(_))));
    let segment = segments.segment().expect("found");
    let repetitions: Vec<_> = segment.repetitions(2).collect();
    assert_eq!(repetitions, [&b"a:b"[..], b"c:d"]);
    let components: Vec<_> = segment.components(2).collect();
    assert_eq!(components, [&b"a"[..], b"b^c", b"d"]);
    assert_eq!(segment.element(9), b"");
}

#[test]
fn limits_are_told() {
    check(
        &format!("{ISA}N1{}~", "*".repeat(1_001)),
        Err("more than 1000 elements"),
    );
    let long = format!("{ISA}N1*{}~", "a".repeat(SEGMENT_BYTES_MAX + 1));
    let found = segments(long.as_bytes(), 1_000);
    assert!(found.is_err_and(|what| what.contains("no end within")));
}
