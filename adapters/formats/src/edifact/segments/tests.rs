use super::*;

/// All segments: `line TAG|a:b|c`, cut into windows of every length up to 40; or what is wrong.
fn check(file: &str, expected: Result<&[&str], &str>) {
    for cut in (1..40).chain([usize::MAX]) {
        match (read(file.as_bytes(), cut), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "in windows of {cut}"),
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            (found, _) => panic!("{found:?} in windows of {cut}"),
        }
    }
}

fn shown(segment: Segment<'_>) -> String {
    let element = |index: usize| {
        let next = segment.of.elements.get(index + 1);
        let end = next.copied().unwrap_or(segment.of.components.len());
        let parts = (0..end - segment.of.elements[index])
            .map(|part| String::from_utf8_lossy(segment.component(index, part)));
        parts.collect::<Vec<_>>().join(":")
    };
    let elements: Vec<String> = (0..segment.len()).map(element).collect();
    format!("{} {}", segment.line(), elements.join("|"))
}

fn read(file: &[u8], cut: usize) -> Result<Vec<String>, String> {
    let (mut segments, mut found) = (Segments::default(), Vec::new());
    let (mut at, mut there) = (0, 0);
    loop {
        let end = there == file.len();
        match segments
            .next(&file[at..there], end)
            .map_err(|fault| fault.0)?
        {
            Found::Segment(bytes) => {
                found.push(shown(segments.segment()));
                at += bytes;
            }
            Found::More(bytes) => {
                at += bytes;
                if end {
                    return Ok(found);
                }
                there = there.saturating_add(cut).min(file.len());
            }
        }
    }
}

#[test]
fn segments_have_elements_and_those_have_components() {
    check(
        "UNB+UNOC:3+A+B+260101:1200+9'UNH+1+ORDERS:D:96A'",
        Ok(&["1 UNB|UNOC:3|A|B|260101:1200|9", "1 UNH|1|ORDERS:D:96A"]),
    );
    check(
        "UNB+UNOC:3'\r\nFTX+AAI+++'\n",
        Ok(&["1 UNB|UNOC:3", "2 FTX|AAI|||"]),
    );
}

#[test]
fn a_byte_order_mark_between_segments_is_passed_over_however_the_file_is_cut() {
    check(
        "\u{feff}UNB+UNOC:3'UNZ+0+1'\n\u{feff}UNA:+.? '\r\n\u{feff}UNB+UNOC:3'",
        Ok(&["1 UNB|UNOC:3", "1 UNZ|0|1", "3 UNB|UNOC:3"]),
    );
}

#[test]
fn a_una_says_what_separates_what_and_each_interchange_may_have_its_own() {
    check(
        "UNA*|,\\ ~UNB|UNOC*3~UNZ|0|1~\nUNA:+.? '\nUNB+UNOC:3'",
        Ok(&["1 UNB|UNOC:3", "1 UNZ|0|1", "3 UNB|UNOC:3"]),
    );
}

#[test]
fn an_element_may_be_repeated_from_syntax_version_4_on() {
    let first = |file: &str| {
        let mut segments = Segments::default();
        let mut at = 0;
        while let Ok(Found::Segment(bytes)) = segments.next(&file.as_bytes()[at..], true) {
            at += bytes;
        }
        let segment = segments.segment();
        let parts =
            [(1, 0), (1, 1), (2, 0)].map(|(element, part)| segment.component(element, part));
        parts.map(|part| String::from_utf8_lossy(part).into_owned())
    };
    assert_eq!(first("UNB+UNOA:4'COM+a:TE*b:EM+c'"), ["a", "TE", "c"]);
    assert_eq!(first("UNB+UNOA:3'COM+a:TE*b:EM+c'"), ["a", "TE*b", "c"]);
    assert_eq!(
        first("UNA:+.?!'UNB+UNOA:4'COM+a:TE!b:EM+c*'"),
        ["a", "TE", "c*"]
    );
    assert_eq!(first("UNB+UNOA:4'COM+a?*:TE+c'"), ["a*", "TE", "c"]);
}

#[test]
fn what_is_released_stands_for_itself() {
    check(
        "UNB+A'FTX+it?'s 3?+4?:5??'",
        Ok(&["1 UNB|A", "1 FTX|it's 3+4:5?"]),
    );
}

#[test]
fn lines_that_are_wrapped_at_80_columns_are_joined() {
    check(
        "UNB+UN\r\nOC:3'\r\nUNH+\n1'",
        Ok(&["1 UNB|UNOC:3", "3 UNH|1"]),
    );
}

#[test]
fn line_ends_may_end_segments() {
    check("UNA:+.? \nUNB+A\nUNH+1\n", Ok(&["2 UNB|A", "3 UNH|1"]));
}

#[test]
fn what_is_no_interchange_or_is_cut_is_refused_by_its_line() {
    check(
        "BGM+220'",
        Err("line 1: the file begins with neither UNA nor UNB"),
    );
    check(
        "UNB+A'\nUNH+1",
        Err("line 2: the last segment is not ended"),
    );
    check("UNB+A'FTX+a?", Err("the last segment is not ended"));
    check("UNA:+", Err("line 1: UNA is cut"));
    check("", Ok(&[]));
    check("\n\n", Ok(&[]));
}

#[test]
fn limits_are_told() {
    check(
        &format!("UNB{}'", "+".repeat(2_001)),
        Err("more than 2000 components"),
    );
    let long = format!("UNB+{}'", "a".repeat(SEGMENT_BYTES_MAX + 1));
    assert!(read(long.as_bytes(), 1_000).is_err_and(|what| what.contains("no end within")));
}
