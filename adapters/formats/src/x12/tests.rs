use crate::edi::tests::{check, fault, refused};

const ISA: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*U*00401*000000009*0*P*:~";

/// Documents of a set, each a list of segments between blanks, in an interchange; `_` is a blank.
fn file(documents: &[&str]) -> Vec<u8> {
    let mut file = format!("{ISA}\nGS*OW*A*B*20200101*1200*7*X*004010~\n");
    for (number, document) in documents.iter().enumerate() {
        let segments: Vec<String> = document
            .split_whitespace()
            .map(|segment| segment.replace('_', " "))
            .collect();
        let set = &segments[0];
        file += &format!("ST*{set}*{:04}~\n", number + 1);
        for segment in &segments[1..] {
            file += &format!("{segment}~\n");
        }
        file += &format!("SE*{}*{:04}~\n", segments.len() + 1, number + 1);
    }
    file += &format!("GE*{}*7~\nIEA*1*000000009~\n", documents.len());
    file.into_bytes()
}

const PLAIN: &str = "kind = \"x12\"";
/// Only some columns, so that a line here is not longer than the file.
const FEW: &str = r#"
kind = "x12"
[[record]]
type = "940"
replace = true
columns = ["ST02", "W0502", "N104[ST]", "N401[ST]", "W7601"]
[[record]]
type = "940.line"
replace = true
columns = ["LX01", "W0101", "SKU = W0104/VN", "N902[LI]"]
"#;

#[test]
fn a_shipping_order_becomes_a_header_and_its_lines() {
    let document = "940 W05*N*SO-1 N1*SF*We*9*1 N4*Kiel N1*ST*You*9*2 N3*Street N4*Bern \
        N1*ST*Other*9*3 N4*Rom LX*1 W01*5*EA**UP*0123*VN*SKU-1 N9*LI*10 N9*LI*11 W01*6*EA**VN*SKU-2 LX*2 W01*7*EA W76*18";
    let header = "940.ST02=0001 940.W0502=SO-1 940.N104[ST]=2 940.N401[ST]=Bern 940.W7601=18";
    check(
        FEW,
        &file(&[document]),
        &[
            "3 940 ST02=0001 W0502=SO-1 N104[ST]=2 N401[ST]=Bern W7601=18",
            &format!("13 940.line {header} LX01=1 W0101=5 SKU=SKU-1 N902[LI]=10"),
            &format!("16 940.line {header} LX01=1 W0101=6 SKU=SKU-2"),
            &format!("18 940.line {header} LX01=2 W0101=7"),
        ],
    );
}

#[test]
fn built_in_sets_need_no_settings() {
    check(
        PLAIN,
        &file(&[
            "997 AK1*OW*7 AK2*940*0001 AK3*W01*8*LX*8 AK4*2*355*7*XX AK5*R*5 AK2*940*0002 AK5*A AK9*P*2*2*1",
        ]),
        &[
            "3 997 ISA06=SENDER ISA08=RECEIVER ISA13=000000009 GS02=A GS03=B GS06=7 ST02=0001 AK101=OW AK102=7 AK901=P AK902=2 AK903=2 AK904=1",
            "5 997.document 997.ISA06=SENDER 997.ISA08=RECEIVER 997.ISA13=000000009 997.GS02=A 997.GS03=B 997.GS06=7 997.ST02=0001 997.AK101=OW 997.AK102=7 997.AK901=P 997.AK902=2 997.AK903=2 997.AK904=1 AK201=940 AK202=0001 AK501=R AK502=5",
            "6 997.segment 997.ISA06=SENDER 997.ISA08=RECEIVER 997.ISA13=000000009 997.GS02=A 997.GS03=B 997.GS06=7 997.ST02=0001 997.AK101=OW 997.AK102=7 997.AK901=P 997.AK902=2 997.AK903=2 997.AK904=1 997.document.AK201=940 997.document.AK202=0001 997.document.AK501=R 997.document.AK502=5 AK301=W01 AK302=8 AK303=LX AK304=8",
            "7 997.element 997.ISA06=SENDER 997.ISA08=RECEIVER 997.ISA13=000000009 997.GS02=A 997.GS03=B 997.GS06=7 997.ST02=0001 997.AK101=OW 997.AK102=7 997.AK901=P 997.AK902=2 997.AK903=2 997.AK904=1 997.document.AK201=940 997.document.AK202=0001 997.document.AK501=R 997.document.AK502=5 997.segment.AK301=W01 997.segment.AK302=8 997.segment.AK303=LX 997.segment.AK304=8 AK401=2 AK402=355 AK403=7 AK404=XX",
            "9 997.document 997.ISA06=SENDER 997.ISA08=RECEIVER 997.ISA13=000000009 997.GS02=A 997.GS03=B 997.GS06=7 997.ST02=0001 997.AK101=OW 997.AK102=7 997.AK901=P 997.AK902=2 997.AK903=2 997.AK904=1 AK201=940 AK202=0002 AK501=A",
        ],
    );
}

#[test]
fn a_broken_document_is_one_bad_record_and_takes_no_other_with_it() {
    let good = "940 W05*N*SO-1";
    for (bad, words) in [
        (
            "940 N1*ST*x",
            "document 0002 (940): the document has no W05, which it must have",
        ),
        (
            "940 W05*N*x W05*N*y",
            "segment 3 (W05) is one too many: it may stand once in the document",
        ),
        (
            "940 W05*N*x N3*Street",
            "segment 3 (N3) stands outside of the loops that may hold it: N1",
        ),
        (
            "940 W05*N*x W01*1*EA",
            "segment 3 (W01) stands outside of the loops that may hold it: LX",
        ),
        (
            "940 W05*N*x LX*1 N9*LI*1",
            "the loop of LX that begins at segment 3 has no W01",
        ),
        (
            "940 W05*N*x LX*1 W76*1",
            "the loop of LX that begins at segment 3 has no W01",
        ),
        ("214 B10*1", "no loops are known for set 214"),
        (
            "856 BSN*00*1 HL*1**S HL*2*9*O",
            "segment 4 (HL) belongs to number 9, which none before it has",
        ),
        (
            "856 BSN*00*1 HL*1**S HL*1*1*O",
            "segment 4 (HL) has number 1, which one before it has",
        ),
        (
            "856 BSN*00*1 HL*1**S HL*2*1*X",
            "segment 4 (HL) has a value for which set 856 has no loop",
        ),
        (
            "856 BSN*00*1 HL***S",
            "segment 3 (HL) has no number of 1 to 16 characters",
        ),
        ("940 W05*N*x N1*ST*\u{e9}", "(fine)"),
    ] {
        let expected = format!("5! {words}");
        let third = "8 940 ST02=0003 W0502=SO-1";
        let bytes = file(&[good, bad, good]);
        let line = 7 + bad.split_whitespace().count();
        let third = third.replacen('8', &line.to_string(), 1);
        let second = if words == "(fine)" {
            "6 940 ST02=0002 W0502=x"
        } else {
            &expected.replacen('5', "6", 1)
        };
        check(FEW, &bytes, &["3 940 ST02=0001 W0502=SO-1", second, &third]);
    }
}

#[test]
fn bytes_that_are_no_text_make_the_document_bad_and_are_named() {
    let mut bytes = file(&["940 W05*N*x N1*ST*Mxller", "940 W05*N*y"]);
    let at = bytes
        .windows(3)
        .position(|three| three == b"Mxl")
        .expect("there")
        + 1;
    bytes[at] = 0xFC;
    check(
        FEW,
        &bytes,
        &[
            "3! document 0001 (940): segment 3 (N1): byte 8 (0xFC) means nothing in utf-8",
            "7 940 ST02=0002 W0502=y",
        ],
    );
    let latin = FEW
        .replace("kind", "encoding = \"iso-8859-1\"\nkind")
        .replace("N104[ST]", "N102[ST]");
    check(
        &latin,
        &bytes,
        &[
            "3 940 ST02=0001 W0502=x N102[ST]=Müller",
            "7 940 ST02=0002 W0502=y",
        ],
    );
}

/// Scenario 29 of the file scenarios: separators of the ISA, wrapped lines, two interchanges, a binary segment, and envelopes.
#[test]
fn an_x12_file_is_read_however_its_sender_writes_it() {
    let toml = format!(
        "{FEW}\n[[set]]\nset = \"102\"\nloops = \"BGN! (ORI BDS)\"\n[[record]]\ntype = \"102\"\ncolumns = [\"BGN02\"]"
    );
    let one = String::from_utf8(file(&["940 W05*N*SO-1 LX*1 W01*5*EA**VN*SKU-1"])).expect("text");
    let other = one
        .replace('*', "|")
        .replace('~', "\u{1d}")
        .replace(":\u{1d}", ">\u{1d}")
        .replace("SO-1", "S*O~1");
    let wrapped: Vec<String> = (0..one.len().div_ceil(80))
        .map(|at| {
            one.replace('\n', "")
                .chars()
                .skip(at * 80)
                .take(80)
                .collect()
        })
        .collect();
    let binary =
        String::from_utf8(file(&["102 BGN*00*7 ORI*x BDS*ASC*9*a~b*c~SE*9"])).expect("text");
    let both = [one.as_str(), &other, &wrapped.join("\r\n"), &binary].concat();
    check(
        &toml,
        both.as_bytes(),
        &[
            "3 940 ST02=0001 W0502=SO-1",
            "6 940.line 940.ST02=0001 940.W0502=SO-1 LX01=1 W0101=5 SKU=SKU-1",
            "12 940 ST02=0001 W0502=S*O~1",
            "15 940.line 940.ST02=0001 940.W0502=S*O~1 LX01=1 W0101=5 SKU=SKU-1",
            "20 940 ST02=0001 W0502=SO-1",
            "21 940.line 940.ST02=0001 940.W0502=SO-1 LX01=1 W0101=5 SKU=SKU-1",
            "23 102 BGN02=7",
        ],
    );
    for (from, to, words) in [
        ("SE*5*", "SE*6*", "SE01 counts 6 segments, and there are 5"),
        ("GE*1*7", "GE*1*8", "GE02 is 8, but GS06"),
        (
            "IEA*1*000000009",
            "IEA*1*000000001",
            "IEA02 is 000000001, but ISA13",
        ),
        (
            "IEA*1*000000009~\n",
            "",
            "is not ended by IEA: the file is cut",
        ),
    ] {
        refused(&toml, one.replace(from, to).as_bytes(), words);
    }
    refused(&toml, b"", "the file is empty");
}

/// Scenario 30: the tree of an 856, from the shipment to its items.
#[test]
fn the_tree_of_a_ship_notice_becomes_items_with_all_above_them() {
    let toml = r#"
kind = "x12"
records = ["856.shipment", "856.pack", "856.item"]
[[record]]
type = "856"
replace = true
columns = ["BSN02"]
[[record]]
type = "856.shipment"
replace = true
columns = ["REF02[BM]", "N104[ST]"]
[[record]]
type = "856.order"
replace = true
columns = ["PRF01"]
[[record]]
type = "856.tare"
replace = true
columns = ["MAN02[GM]"]
[[record]]
type = "856.pack"
replace = true
columns = ["MAN02[GM]"]
[[record]]
type = "856.item"
replace = true
columns = ["LIN02/UP", "SN102"]
"#;
    let document = "856 BSN*00*SHIP-1 HL*1**S REF*BM*B1 N1*ST*You*9*2 HL*2*1*O PRF*PO-1 HL*3*2*T MAN*GM*T1 HL*4*3*P MAN*GM*P1 \
        HL*5*4*I LIN**UP*111 SN1**1*EA HL*6*4*I LIN*1*SK*x*UP*222 SN1**2*EA HL*7*1*O PRF*PO-2 HL*8*7*I LIN**UP*333 SN1**3*EA CTT*8";
    let above = "856.BSN02=SHIP-1 856.shipment.REF02[BM]=B1 856.shipment.N104[ST]=2";
    check(
        toml,
        &file(&[document]),
        &[
            "5 856.shipment 856.BSN02=SHIP-1 REF02[BM]=B1 N104[ST]=2",
            &format!("12 856.pack {above} 856.order.PRF01=PO-1 856.tare.MAN02[GM]=T1 MAN02[GM]=P1"),
            &format!(
                "14 856.item {above} 856.order.PRF01=PO-1 856.tare.MAN02[GM]=T1 856.pack.MAN02[GM]=P1 LIN02/UP=111 SN102=1"
            ),
            &format!(
                "17 856.item {above} 856.order.PRF01=PO-1 856.tare.MAN02[GM]=T1 856.pack.MAN02[GM]=P1 LIN02/UP=222 SN102=2"
            ),
            &format!("22 856.item {above} 856.order.PRF01=PO-2 LIN02/UP=333 SN102=3"),
        ],
    );
}

#[test]
fn sets_without_loops_are_segments_where_that_is_wanted() {
    let toml = "kind = \"x12\"\notherwise = \"segments\"";
    check(
        toml,
        &file(&["214 B10*1**SCAC"]),
        &[
            "3 segment SET=214 DOCUMENT=0001 NUMBER=1 TAG=ST 01=214 02=0001",
            "4 segment SET=214 DOCUMENT=0001 NUMBER=2 TAG=B10 01=1 03=SCAC",
            "5 segment SET=214 DOCUMENT=0001 NUMBER=3 TAG=SE 01=3 02=0001",
        ],
    );
    let wide = format!("214 B10{}1", "*".repeat(100));
    check(
        toml,
        &file(&[&wide]),
        &["3! segment 2 (B10) has more than 99 elements"],
    );
}

#[test]
fn a_configured_set_has_loops_columns_and_segments_of_its_own() {
    let toml = r#"
kind = "x12"
[[set]]
set = "214"
loops = "B10! L11 (N1 N3 N4) (LX+ L11 status:(AT7 MS1 MS2) AT8)"
[[record]]
type = "214"
columns = ["B1001", "B1003", "CITY = N401[CN]", "K101#2"]
segments = ["K1"]
[[record]]
type = "214.status"
columns = ["AT701", "MS101", "LX01", "AT803", "LX.L1101"]
"#;
    check(
        toml,
        &file(&[
            "214 B10*1**SCAC L11*x K1*a K1*b N1*CN*You N4*Bern LX*1 L11*y AT7*D1 MS1*Rom AT8*G*K*4 AT7*X1",
        ]),
        &[
            "3 214 B1001=1 B1003=SCAC CITY=Bern K101#2=b",
            "12 214.status 214.B1001=1 214.B1003=SCAC 214.CITY=Bern 214.K101#2=b LX01=1 AT803=4 LX.L1101=y AT701=D1 MS101=Rom",
            "15 214.status 214.B1001=1 214.B1003=SCAC 214.CITY=Bern 214.K101#2=b LX01=1 AT803=4 LX.L1101=y AT701=X1",
        ],
    );
}

#[test]
fn a_configuration_is_checked_in_words() {
    fault(PLAIN, &["(fine)"]);
    let record = |record: &str, columns: &str| {
        format!("{PLAIN}\n[[record]]\ntype = \"{record}\"\ncolumns = [{columns}]")
    };
    fault(
        &record("940.line", "\"W0115\", \"PALLET = LX01\""),
        &["two columns are called"],
    );
    fault(
        &record("940.lines", ""),
        &[
            "record.0.type",
            "there is no record \"940.lines\"; set 940 has 940, 940.line",
        ],
    );
    fault(
        &record("214", ""),
        &["the sets are 810, 846, 850", "[[flow.source.format.set]]"],
    );
    fault(
        &record("940", "\"W0502\""),
        &["record.0.columns.0", "two columns are called W0502"],
    );
    fault(
        &record("940", "\"W0506\", \"ABC01\""),
        &[
            "record.0.columns.1",
            "ABC is not among the segments",
            "segments = [\"ABC\"]",
        ],
    );
    fault(
        &record("940", "\"W0101\""),
        &["W01 is not among the segments of the loop of ST"],
    );
    fault(
        &record("940", "\"w05\""),
        &["record.0.columns.0", "\"w\" is no segment"],
    );
    fault(
        &format!("{PLAIN}\nrecords = [\"940.x\"]"),
        &["records.0", "set 940 has 940, 940.line"],
    );
    fault(
        &format!("encoding = \"shift_jis\"\n{PLAIN}"),
        &["encoding: encoding = \"shift_jis\""],
    );
    fault(
        &format!("{PLAIN}\n[[set]]\nset = \"214\"\nloops = \"B10 (LX\""),
        &["set.0.loops", "not closed"],
    );
    fault(
        &format!("{PLAIN}\n[[set]]\nset = \"\"\nloops = \"B10\""),
        &["set.0.set"],
    );
    fault(
        &format!("{PLAIN}\notherwise = \"x\""),
        &["unknown variant `x`"],
    );
}
