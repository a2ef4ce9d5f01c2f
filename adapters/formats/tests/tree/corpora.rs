//! Every file of the corpora's folders xml, json and idoc decodes to what stands in it.

use crate::{corpus, format, told};

fn check(path: &str, toml: &str, expected: &[&str]) {
    let Some(file) = corpus(path) else { return };
    for chunk in [usize::MAX, 1, 13] {
        assert_eq!(
            told(&format(toml), &file, chunk),
            Ok(expected.iter().map(|told| (*told).to_owned()).collect()),
            "{path}"
        );
    }
}

#[test]
fn xml_files_decode_to_what_they_hold() {
    let trade = |record: &str| {
        format!(
            "kind = \"xml\"\nrecord = \"{record}\"\n[fields]\nISIN = \"isin\"\nQTY = \"quantity\"\nPRICE = \"price\"\nCUSTOMER = \"customer\""
        )
    };
    let trades = [
        "XYZ0001·5·11.39·Customer1",
        "XYZ0002·2·72.99·Customer2",
        "XYZ0003·9·99.99·Customer3",
    ];
    for (path, record, lines) in [
        ("xml/spring-batch/input.xml", "/records/trade", [3, 9, 15]),
        (
            "xml/spring-batch/input-nested.xml",
            "/records/trades/trade",
            [4, 10, 16],
        ),
    ] {
        let expected: Vec<String> = trades
            .iter()
            .zip(lines)
            .map(|(trade, line)| format!("{line}: {trade}"))
            .collect();
        check(
            path,
            &trade(record),
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    check(
        "xml/omniparser/2_multiple_objects.input.xml",
        "kind = \"xml\"\nrecord = \"/l:library/l:books/book\"\nnamespaces = { l = \"...\" }\n[fields]\nPUBLISHER = \"../header/publisher\"\nTITLE = \"@title\"\nPRICE = \"@price\"\nAUTHOR = \"author\"\nYEAR = \"year\"",
        &[
            "7: Scholastic Press·Harry Potter and the Philosopher's Stone·9.99·J. K. Rowling·1997",
            "11: Scholastic Press·Harry Potter and the Chamber of Secrets·10.99·J. K. Rowling·1998",
            "21: Harper & Brothers·Goodnight Moon·5.99·Margaret Wise Brown·1947",
            "25: Harper & Brothers·-·3.99·Unknown·1900",
        ],
    );
}

/// The footer stands behind the books: no stream can give it to them, and that is said.
#[test]
fn a_footer_of_a_file_is_told_to_stand_behind_its_records() {
    let Some(file) = corpus("xml/omniparser/2_multiple_objects.input.xml") else {
        return;
    };
    let toml = "kind = \"xml\"\nrecord = \"//book\"\n[fields]\nFOOTER = \"../footer\"";
    let said = told(&format(toml), &file, 7).expect_err("it stands behind");
    assert!(
        said.starts_with("line 15: \"../footer\", column FOOTER, stands behind records"),
        "{said}"
    );
}

#[test]
fn json_files_decode_to_what_they_hold() {
    check(
        "json/omniparser/1_single_object.input.json",
        "kind = \"json\"\nrecord = \"/items\"\n[fields]\nORDER = \"../order_id\"\nTRACKING = \"../tracking_number\"\nSKU = \"item_sku\"\nPRICE = \"/item_price\"\nQTY = \"number_purchased\"",
        &[
            "5: 1234567·1z9999999999999999·ab123·12.34·5",
            "10: 1234567·1z9999999999999999·ck763-23·3.12·2",
        ],
    );
    check(
        "json/omniparser/2_multiple_objects.input.json",
        "kind = \"json\"\nrecord = \"/publishers/*/books\"\n[fields]\nPUBLISHER = \"../name\"\nTITLE = \"title\"\nPRICE = \"price\"\nAUTHOR = \"author\"\nYEAR = \"year\"",
        &[
            "6: Scholastic Press·Harry Potter and the Philosopher's Stone·9.99·J. K. Rowling·1997",
            "12: Scholastic Press·Harry Potter and the Chamber of Secrets·10.99·J. K. Rowling·1998",
            "23: Harper & Brothers·Goodnight Moon·5.99·Margaret Wise Brown·1947",
            "29: Harper & Brothers·Brown Bear, Brown Bear, What Do You See·3.99·-·-",
        ],
    );
    let Some(file) = corpus("json/omniparser/sample.log") else {
        return;
    };
    let toml = "kind = \"json-lines\"\n[fields]\nSEVERITY = \"severity\"\nSOURCE = \"source\"\nMESSAGE = \"message\"";
    let told = told(&format(toml), &file, 50).expect("lines");
    let text = String::from_utf8(file).expect("UTF-8");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(told.len(), lines.len());
    for (told, line) in told.iter().zip(&lines) {
        let expected = ["severity", "source", "message"]
            .map(|name| line[name].as_str().expect("a text").to_owned());
        assert!(
            told.ends_with(&format!(": {}", expected.join("·"))),
            "{told}"
        );
    }
}

#[test]
fn idocs_decode_to_what_they_hold() {
    let toml = "kind = \"idoc\"\nrecords = [\"E1EDL20\"]\ncontrol = [\"DOCNUM\", \"MESTYP\", \"IDOCTYP\", \"SNDPRN\", \"MANDT\"]\n[[segment]]\nname = \"E1EDL20\"\n\
        field = [{ name = \"VBELN\" }, { name = \"NTGEW\" }, { name = \"GEWEI\" }, { name = \"INCO1\" }, { name = \"INCO2\" }, { name = \"LGNUM\" }]";
    check(
        "idoc/module-ballerinax-sap.jco/Avon.xml",
        toml,
        &["20 E1EDL20: Avon·82·KGM·Route·01·-·Avon·DESADV·DELVRY03·YOUR_SAP·800"],
    );
    check(
        "idoc/module-ballerinax-sap.jco/back.xml",
        toml,
        &["20 E1EDL20: back·40·KGM·Security·01·-·back·DESADV·DELVRY03·YOUR_SAP·800"],
    );
}
