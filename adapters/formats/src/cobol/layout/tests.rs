use super::*;
use crate::cobol::code_page::CodePage;
use crate::cobol::copybook;

fn layout(copybook: &str) -> Layout {
    let records = copybook::parse(copybook).expect("a copybook");
    Layout::new(&records[0]).expect("a layout")
}

/// What a record says: `NAME=value` for each cell, and its bytes.
fn read(layout: &Layout, bytes: &[u8], text: &Text) -> Result<(String, usize), String> {
    let mut cells = Cells::default();
    let length = layout.read(bytes, text, &mut cells)?;
    let said = layout.columns.iter().zip(&cells.fields).map(|(name, at)| {
        format!(
            "{name}={}",
            cells.text[at.start as usize..at.end as usize].trim_end()
        )
    });
    Ok((said.collect::<Vec<_>>().join(" "), length))
}

fn check(copybook: &str, bytes: &[u8], expected: Result<&str, &str>) {
    match (read(&layout(copybook), bytes, &Text::Latin), expected) {
        (Ok((found, length)), Ok(expected)) => {
            assert_eq!(found, expected);
            assert_eq!(length, bytes.len(), "{copybook}");
        }
        (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
        (found, _) => panic!("{found:?}"),
    }
}

#[test]
fn fields_become_cells_and_filler_none() {
    let book = "01 R. 05 A PIC X(3). 05 FILLER PIC X. 05 B PIC S9(3)V9. 05 C PIC 9(3)P(2).";
    check(book, b"ab -012M123", Ok("A=ab B=-12.4 C=12300"));
    check(book, b"ab -    000", Ok("A=ab B= C=0"));
    check(book, b"a\x00\x00-\x00\x00\x00\x00000", Ok("A=a B= C=0"));
    check(
        book,
        b"ab -01x2123",
        Err("B at byte 5: byte 3 (0x78) is no digit"),
    );
    check(
        book,
        b"ab -012M12",
        Err("C ends at byte 11, and there are 10"),
    );
}

#[test]
fn ebcdic_is_read_with_its_numbers() {
    let layout =
        layout("01 R. 05 A PIC X(3). 05 P PIC S9(3)V99 COMP-3. 05 Z PIC S99. 05 B PIC S9(4) COMP.");
    let text = Text::Ebcdic(Box::new(CodePage::Cp273.characters()));
    let found = read(&layout, b"\xC1\xC0\x40\x01\x23\x4D\xF1\xD2\xFF\xF4", &text);
    assert_eq!(found, Ok(("A=Aä P=-12.34 Z=-12 B=-12".into(), 10)));
}

#[test]
fn what_occurs_has_its_number_and_may_depend_on_a_count() {
    let nested = "01 R. 05 N PIC 9. 05 G OCCURS 0 TO 2 DEPENDING ON N. 10 M PIC 9. 10 H OCCURS 0 TO 2 DEPENDING ON M PIC X.";
    check(
        nested,
        b"21a2bc",
        Ok("N=2 G(1).M=1 G(1).H(1)=a G(1).H(2)= G(2).M=2 G(2).H(1)=b G(2).H(2)=c"),
    );
    check(
        nested,
        b"0",
        Ok("N=0 G(1).M= G(1).H(1)= G(1).H(2)= G(2).M= G(2).H(1)= G(2).H(2)="),
    );
    check(nested, b"", Err("cut"));
    let book =
        "01 R. 05 N PIC 9. 05 G OCCURS 0 TO 2 DEPENDING ON N. 10 S PIC X(2). 05 E PIC X OCCURS 2.";
    check(book, b"0yz", Ok("N=0 G(1).S= G(2).S= E(1)=y E(2)=z"));
    check(book, b"1abyz", Ok("N=1 G(1).S=ab G(2).S= E(1)=y E(2)=z"));
    check(
        book,
        b"2abcdyz",
        Ok("N=2 G(1).S=ab G(2).S=cd E(1)=y E(2)=z"),
    );
    check(book, b"3abcdefyz", Err("N is 3, and 0 to 2 are possible"));
}

#[test]
fn bytes_that_are_redefined_have_all_their_meanings() {
    let book = "01 R. 05 A PIC X(4). 05 B REDEFINES A PIC 9(4). 05 C REDEFINES A. 10 D PIC 99. 10 E PIC X. 05 F PIC X.";
    check(book, b"1234z", Ok("A=1234 B=1234 D=12 E=3 F=z"));
    check(book, b"12x4z", Ok("A=12x4 B= D=12 E=x F=z"));
    let longer = "01 R. 05 A PIC X. 05 B REDEFINES A PIC X(3). 05 C PIC X.";
    check(longer, b"abcd", Ok("A=a B=abc C=d"));
}

#[test]
fn names_that_are_shared_have_their_groups() {
    check(
        "01 R. 05 FROM-IT. 10 NAME PIC X. 05 TO-IT. 10 NAME PIC X. 10 CITY PIC X.",
        b"abc",
        Ok("FROM-IT.NAME=a TO-IT.NAME=b CITY=c"),
    );
}

#[test]
fn layouts_that_cannot_be_are_told_by_their_line() {
    for (copybook, words) in [
        (
            "01 R.\n 05 G PIC X OCCURS 2 DEPENDING ON N.\n 05 N PIC 9.",
            "line 2: G depends on N",
        ),
        (
            "01 R.\n 05 A PIC X.\n 05 B PIC X.\n 05 C REDEFINES A PIC X.",
            "line 4: C redefines A",
        ),
        (
            "01 R.\n 05 A PIC X(9) OCCURS 5000.",
            "line 2: A makes more than 4096 cells",
        ),
        ("01 R.\n 05 FILLER PIC X.", "line 1: R makes 0 cells"),
        (
            "01 R.\n 05 A PIC X(32767) OCCURS 40.",
            "line 1: R has up to 1310680 bytes",
        ),
    ] {
        let records = copybook::parse(copybook).expect("a copybook");
        let said = Layout::new(&records[0]).expect_err(copybook);
        assert!(said.contains(words), "{said}");
    }
}
