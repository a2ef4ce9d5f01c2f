use super::*;

/// A tree in one line: name, times, bytes; groups in brackets.
fn shown(item: &Item) -> String {
    let times = match &item.occurs {
        Some(Occurs {
            min,
            max,
            depends_on: Some(on),
        }) => format!("[{min}..{max} by {on}]"),
        Some(Occurs { max, .. }) => format!("[{max}]"),
        None => String::new(),
    };
    let over = item
        .redefines
        .as_ref()
        .map_or(String::new(), |of| format!("={of}"));
    let what = match &item.what {
        What::Group(items) => format!(
            "({})",
            items.iter().map(shown).collect::<Vec<_>>().join(" ")
        ),
        What::Field(field) => format!(":{}", field.bytes()),
    };
    format!("{}{over}{times}{what}", item.name)
}

fn check(text: &str, expected: Result<&str, &str>) {
    let found = parse(text).map(|records| records.iter().map(shown).collect::<Vec<_>>().join(" "));
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
        (found, _) => panic!("{text}\n{found:?}"),
    }
}

#[test]
fn a_copybook_is_read_with_its_columns_comments_and_clauses() {
    check(
        "000100*  A comment.                                                     COPY0001
000200 01  SHIPMENT.                                                    COPY0002
000300     05  SHIP-NO         PIC X(10).
           05  WEIGHT          PIC S9(7)V99 USAGE IS COMP-3.
           05  PIECES          PIC S9(4) COMP VALUE ZERO.
             88  NO-PIECES     VALUE 0.
           05  FILLER          PIC X(3) VALUE 'A.B'.
           05  AMOUNT          PIC S9(5)V99
                               SIGN IS LEADING SEPARATE CHARACTER.
           05  LINE-COUNT      PICTURE IS 9(3).
           05  LINES           OCCURS 1 TO 50 TIMES
                               DEPENDING ON LINE-COUNT INDEXED BY LX.
               10  SKU         PIC X(12).
               10  QTY         PIC 9(5)V9(3).
           05  WHEN-SHIPPED    PIC 9(8).
           05  SHIPPED REDEFINES WHEN-SHIPPED.
               10  YYYY        PIC 9(4).
               10             PIC 9(4).
",
        Ok(
            "SHIPMENT(SHIP-NO:10 WEIGHT:5 PIECES:2 FILLER:3 AMOUNT:8 LINE-COUNT:3 \
            LINES[1..50 by LINE-COUNT](SKU:12 QTY:8) WHEN-SHIPPED:8 SHIPPED=WHEN-SHIPPED(YYYY:4 FILLER:4))",
        ),
    );
}

#[test]
fn groups_hand_down_usage_and_sign() {
    check(
        "01 R. 05 G COMP-3. 10 A PIC S9(5). 10 B PIC X(4). 05 H SIGN TRAILING SEPARATE. 10 C PIC S9(5). 10 D PIC 9(5).",
        Ok("R(G(A:3 B:4) H(C:6 D:5))"),
    );
}

#[test]
fn binary_numbers_take_two_four_or_eight_bytes() {
    check(
        "01 R. 05 A PIC 9(4) COMP. 05 B PIC S9(5) BINARY. 05 C PIC S9(9) COMP-5. 05 D PIC S9(10) COMP-4. 05 T PIC 9 COMP OCCURS 3.",
        Ok("R(A:2 B:4 C:4 D:8 T[3]:2)"),
    );
}

#[test]
fn several_records_and_one_without_level_01_are_read() {
    check(
        "01 A. 05 X PIC X. 01 B PIC 9(3). 77 C PIC X(2).",
        Ok("A(X:1) B:3 C:2"),
    );
    check("05 A. 10 X PIC X.", Ok("A(X:1)"));
}

#[test]
fn what_would_change_bytes_unseen_is_refused_by_its_line() {
    check(
        "01 R.\n 05 A PIC S9(4) COMP SYNC.",
        Err("line 2: SYNCHRONIZED"),
    );
    check("01 R.\n 05 A COMP-1.", Err("line 2: COMP-1 can't be read"));
    check("01 R. 05 A PIC X.\n66 B RENAMES A.", Err("line 2: RENAMES"));
    check("01 R. 05 A PIC N(4).", Err("double-byte"));
    check("01 R. 05 A PIC X OCCURS 1 TO 5.", Err("needs DEPENDING ON"));
    check(
        "01 R. 05 A PIC X OCCURS 5 TO 2 DEPENDING ON B.",
        Err("OCCURS 5 TO 2"),
    );
}

#[test]
fn broken_copybooks_are_told_by_their_line() {
    check("", Err("describes nothing"));
    check(
        "01 R.\n 05 A PIC X",
        Err("line 2: what begins with 05 is not ended"),
    );
    check("01 R.\n 05 A.", Err("line 2: A has neither"));
    check(
        "01 R PIC X.\n 05 A PIC X.",
        Err("line 1: R has a PICTURE and items"),
    );
    check("01 R.\n AB A PIC X.", Err("line 2: \"AB\" is no level"));
    check(
        "01 R.\n 10 A PIC X.\n 05 B PIC X.",
        Err("line 3: B has level 05, but its group's items have 10"),
    );
    check(
        "01 R.\n 05 A PIC X.\n50 B PIC X.",
        Err("line 3: \"50\" is no level"),
    );
    check("01 R. 05 A OCCURS x.", Err("no number"));
}
