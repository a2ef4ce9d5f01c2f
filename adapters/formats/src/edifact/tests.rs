use crate::edi::tests::{check, fault, refused};

/// Messages of a type, each a list of segments between blanks, in an interchange; `_` is a blank.
fn file(unb: &str, messages: &[&str]) -> String {
    let mut file = format!("{unb}'\n");
    for (number, message) in messages.iter().enumerate() {
        let segments: Vec<String> = message
            .split_whitespace()
            .map(|segment| segment.replace('_', " "))
            .collect();
        file += &format!("UNH+M{}+{}:D:96A:UN'\n", number + 1, segments[0]);
        for segment in &segments[1..] {
            file += &format!("{segment}'\n");
        }
        file += &format!("UNT+{}+M{}'\n", segments.len() + 1, number + 1);
    }
    file + &format!("UNZ+{}+R9'\n", messages.len())
}

const UNB: &str = "UNB+UNOC:3+SENDER:14+RECEIVER:14+260101:1200+R9";
const PLAIN: &str = "kind = \"edifact\"";
const FEW: &str = r#"
kind = "edifact"
[[record]]
type = "ORDERS"
replace = true
columns = ["UNH01", "BGM02", "DTM01-2[137]", "NAD02-1[BY]", "NAD04-1[BY]", "NAD[BY].RFF01-2[VA]"]
[[record]]
type = "ORDERS.line"
replace = true
columns = ["LIN01", "LIN03-1", "SA = PIA02/SA", "QTY01-2[21]", "FTX04-1"]
"#;

#[test]
fn an_order_becomes_a_header_and_its_lines() {
    let message = "ORDERS BGM+220+PO-1+9 DTM+137:20260101:102 NAD+SU+1::9 RFF+VA:S NAD+BY+2::9++You?+Co RFF+VA:B \
        LIN+1++111:EN PIA+1+9:NB+X:SA QTY+21:5:PCE FTX+AAI+++it?'s_5?:1 LIN+2++222:EN QTY+59:1 QTY+21:6 UNS+S MOA+79:9 CNT+2:2";
    let header = "ORDERS.UNH01=M1 ORDERS.BGM02=PO-1 ORDERS.DTM01-2[137]=20260101 ORDERS.NAD02-1[BY]=2 ORDERS.NAD04-1[BY]=You+Co ORDERS.NAD[BY].RFF01-2[VA]=B";
    check(
        FEW,
        file(UNB, &[message]).as_bytes(),
        &[
            &format!(
                "2 {}",
                header
                    .replace("ORDERS.", "")
                    .replacen("UNH", "ORDERS UNH", 1)
            ),
            &format!(
                "9 ORDERS.line {header} LIN01=1 LIN03-1=111 SA=X QTY01-2[21]=5 FTX04-1=it's 5:1"
            ),
            &format!("13 ORDERS.line {header} LIN01=2 LIN03-1=222 QTY01-2[21]=6"),
        ],
    );
}

/// Scenario 31: UNA, the release character, groups, and the bytes of UNOC.
#[test]
fn an_edifact_file_is_read_however_its_sender_writes_it() {
    let message = "ORDERS BGM+220+P?+O+9 NAD+BY+2::9++M\u{fc}ller";
    let plain = file(UNB, &[message]);
    let grouped = plain
        .replace("UNH+", "UNG+ORDERS+S+R+260101:1200+G1+UN+D:96A'\nUNH+")
        .replace("UNZ+1", "UNE+1+G1'\nUNZ+1");
    let una = format!(
        "UNA|*,\\^~\n{}",
        plain
            .replace(':', "|")
            .replace('+', "*")
            .replace('\'', "~")
            .replace("P?*O", "P\\*O?")
    );
    let latin = |text: &str| -> Vec<u8> { text.chars().map(|letter| letter as u8).collect() };
    let bytes = [
        latin(&plain),
        latin(&grouped),
        latin(&una),
        latin("UNA:+.? '\n"),
        latin(&plain.replace('\n', "\r\n")),
    ]
    .concat();
    check(
        FEW,
        &bytes,
        &[
            "2 ORDERS UNH01=M1 BGM02=P+O NAD02-1[BY]=2 NAD04-1[BY]=Müller",
            "9 ORDERS UNH01=M1 BGM02=P+O NAD02-1[BY]=2 NAD04-1[BY]=Müller",
            "17 ORDERS UNH01=M1 BGM02=P*O? NAD02-1[BY]=2 NAD04-1[BY]=Müller",
            "24 ORDERS UNH01=M1 BGM02=P+O NAD02-1[BY]=2 NAD04-1[BY]=Müller",
        ],
    );
    for (from, to, words) in [
        ("UNT+4+", "UNT+5+", "UNT counts 5 segments, and there are 4"),
        ("UNE+1+G1", "UNE+1+G2", "UNE says G2, but element 5 of UNG"),
        ("UNZ+1+R9'", "", "is not ended by UNZ: the file is cut"),
    ] {
        refused(FEW, grouped.replace(from, to).as_bytes(), words);
    }
    refused(FEW, b"", "the file is empty");
}

#[test]
fn characters_are_those_of_the_syntax_identifier_or_configured() {
    let message = "ORDERS BGM+220+\u{fc}+9";
    let utf8 = |identifier: &str| file(&UNB.replace("UNOC", identifier), &[message]).into_bytes();
    let latin = |identifier: &str| -> Vec<u8> {
        file(&UNB.replace("UNOC", identifier), &[message])
            .chars()
            .map(|letter| letter as u8)
            .collect()
    };
    let fine = "2 ORDERS UNH01=M1 BGM02=ü";
    check(FEW, &utf8("UNOY"), &[fine]);
    check(FEW, &latin("UNOC"), &[fine]);
    check(FEW, &utf8("UNOC"), &["2 ORDERS UNH01=M1 BGM02=Ã¼"]);
    // UNOA promises ASCII.
    check(FEW, &utf8("UNOA"), &[fine]);
    check(FEW, &latin("UNOA"), &[fine]);
    check(
        FEW,
        &latin("UNOY"),
        &["2! document M1 (ORDERS): segment 2 (BGM): byte 9 (0xFC) means nothing in utf-8"],
    );
    check(
        FEW,
        &utf8("IATB"),
        &["2! the interchange's characters are called IATB"],
    );
    check(
        &format!("encoding = \"utf-8\"\n{FEW}"),
        &utf8("IATB"),
        &[fine],
    );
    check(
        FEW,
        file(&UNB.replace("UNOC", "IATB"), &["ORDERS BGM+220+x"]).as_bytes(),
        &["2 ORDERS UNH01=M1 BGM02=x"],
    );
}

#[test]
fn the_tree_of_a_dispatch_advice_becomes_lines_with_all_above_them() {
    let toml = r#"
kind = "edifact"
[[record]]
type = "DESADV"
replace = true
columns = ["BGM02"]
[[record]]
type = "DESADV.package"
replace = true
columns = ["CPS01", "SSCC = PCI.GIN02-1[BJ]"]
[[record]]
type = "DESADV.line"
replace = true
columns = ["LIN03-1", "QTY01-2[12]", "BATCH = PCI.GIN02-1[BX]"]
"#;
    let message = "DESADV BGM+351+D-1+9 DTM+137:20260101:102 CPS+1 PAC+2 CPS+2+1 PAC+1++201 PCI+33E GIN+BJ+S-1 \
        LIN+1++111:EN QTY+12:5 CPS+3+2 PAC+1 PCI+33E GIN+BJ+S-2 LIN+2++222:EN QTY+12:6 PCI+36E GIN+BX+B-7 \
        CPS+4+1 LIN+3++333:EN QTY+12:7 CNT+2:3";
    check(
        toml,
        file(UNB, &[message]).as_bytes(),
        &[
            "2 DESADV BGM02=D-1",
            "5 DESADV.package DESADV.BGM02=D-1 CPS01=1",
            "7 DESADV.package DESADV.BGM02=D-1 DESADV.package.up1.CPS01=1 CPS01=2 SSCC=S-1",
            "11 DESADV.line DESADV.BGM02=D-1 DESADV.package.up1.CPS01=1 DESADV.package.CPS01=2 DESADV.package.SSCC=S-1 LIN03-1=111 QTY01-2[12]=5",
            "13 DESADV.package DESADV.BGM02=D-1 DESADV.package.up2.CPS01=1 DESADV.package.up1.CPS01=2 DESADV.package.up1.SSCC=S-1 CPS01=3 SSCC=S-2",
            "17 DESADV.line DESADV.BGM02=D-1 DESADV.package.up2.CPS01=1 DESADV.package.up1.CPS01=2 DESADV.package.up1.SSCC=S-1 DESADV.package.CPS01=3 DESADV.package.SSCC=S-2 LIN03-1=222 QTY01-2[12]=6 BATCH=B-7",
            "21 DESADV.package DESADV.BGM02=D-1 DESADV.package.up1.CPS01=1 CPS01=4",
            "22 DESADV.line DESADV.BGM02=D-1 DESADV.package.up1.CPS01=1 DESADV.package.CPS01=4 LIN03-1=333 QTY01-2[12]=7",
        ],
    );
}

#[test]
fn a_broken_message_is_one_bad_record_and_takes_no_other_with_it() {
    let good = "ORDERS BGM+220+A";
    for (bad, words) in [
        (
            "ORDERS NAD+BY+1",
            "document M2 (ORDERS): the document has no BGM",
        ),
        ("ORDERS BGM+220 BGM+220", "segment 3 (BGM) is one too many"),
        (
            "ORDERS BGM+220 PIA+1+x:SA",
            "segment 3 (PIA) stands outside of the loops that may hold it: LIN",
        ),
        ("ORDRSP BGM+231", "no loops are known for set ORDRSP"),
        (
            "DESADV BGM+351 CPS+2+9",
            "segment 3 (CPS) belongs to number 9, which none before it has",
        ),
    ] {
        let line = 6 + bad.split_whitespace().count();
        check(
            FEW,
            file(UNB, &[good, bad, good]).as_bytes(),
            &[
                "2 ORDERS UNH01=M1 BGM02=A",
                &format!("5! {words}"),
                &format!("{line} ORDERS UNH01=M3 BGM02=A"),
            ],
        );
    }
}

#[test]
fn sets_without_groups_are_segments_where_that_is_wanted() {
    check(
        "kind = \"edifact\"\notherwise = \"segments\"",
        file(UNB, &["ORDRSP FTX+a?:b+c?:d:e?"])
            .replace("e?'", "e??'")
            .as_bytes(),
        &[
            "2 segment SET=ORDRSP DOCUMENT=M1 NUMBER=1 TAG=UNH 01=M1 02=ORDRSP:D:96A:UN",
            "3 segment SET=ORDRSP DOCUMENT=M1 NUMBER=2 TAG=FTX 01=a:b 02=c?:d:e??",
            "4 segment SET=ORDRSP DOCUMENT=M1 NUMBER=3 TAG=UNT 01=3 02=M1",
        ],
    );
}

#[test]
fn built_in_messages_need_no_settings() {
    fault(PLAIN, &["(fine)"]);
    let message = "INVRPT BGM+35+I-1+9 DTM+137:20260101:102 NAD+WH+7::9 LIN+1++111:EN QTY+145:300 LOC+18+A1 QTY+198:2";
    let header = "INVRPT.UNB02-1=SENDER INVRPT.UNB03-1=RECEIVER INVRPT.UNB05=R9 INVRPT.UNH01=M1 INVRPT.UNH02-3=96A INVRPT.BGM01=35 INVRPT.BGM02=I-1 INVRPT.BGM03=9 INVRPT.DTM01-2[137]=20260101 INVRPT.DTM01-3[137]=102 INVRPT.NAD02-1[WH]=7";
    let line = "LIN01=1 LIN03-1=111 LIN03-2=EN";
    let above = "INVRPT.line.LIN01=1 INVRPT.line.LIN03-1=111 INVRPT.line.LIN03-2=EN";
    check(
        PLAIN,
        file(UNB, &[message]).as_bytes(),
        &[
            &format!(
                "2 {}",
                header
                    .replace("INVRPT.", "")
                    .replacen("UNB", "INVRPT UNB", 1)
            ),
            &format!("6 INVRPT.line {header} {line}"),
            &format!(
                "7 INVRPT.quantity {header} {above} QTY01-1=145 QTY01-2=300 LOC01=18 LOC02-1=A1"
            ),
            &format!("9 INVRPT.quantity {header} {above} QTY01-1=198 QTY01-2=2"),
        ],
    );
}
