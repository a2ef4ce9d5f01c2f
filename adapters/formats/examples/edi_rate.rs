//! How fast EDI files are cut into segments and decoded, in memory, one thread.
//!
//! `cargo run --release -p dray-formats --example edi_rate`

#[path = "rate/pass.rs"]
mod pass;

use std::time::{Duration, Instant};

use dray_formats::{Format, FormatConfig, Found, Gather, Tally, edifact, x12};
use pass::pass;

const DOCUMENTS: usize = 4_000;
const LINES: usize = 50;

/// Warehouse shipping orders.
fn orders_of_x12() -> String {
    let mut file = String::from(
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*U*00401*000000009*0*P*:~\nGS*OW*A*B*20200101*1200*7*X*004010~\n",
    );
    for document in 1..=DOCUMENTS {
        file += &format!(
            "ST*940*{document:09}~\nW05*N*SO-{document:07}*PO-{document:07}~\nN1*ST*ATLANTA TECHNOLOGY STORE {document}*9*{document:013}~\nN3*27 HARVARD STREET~\nN4*CHICAGO*IL*60601*US~\nN1*SF*WAREHOUSE 7*91*WH7~\nN9*PO*4500{document:06}~\nG62*10*20261123~\nW66*PP*M***UPSN~\n"
        );
        for line in 1..=LINES {
            file += &format!(
                "LX*{line}~\nW01*{}*CA*{:012}*VN*SKU-{:06}*UP*{:012}~\nG69*PALLET OF SOMETHING GOOD~\nN9*LI*{line:06}~\n",
                line * 3,
                line * 7919,
                line * 31,
                line * 7919
            );
        }
        file += &format!(
            "W76*{}*500*LB*24*CF~\nSE*{}*{document:09}~\n",
            LINES,
            11 + 4 * LINES
        );
    }
    file + &format!("GE*{DOCUMENTS}*7~\nIEA*1*000000009~\n")
}

/// Orders.
fn orders_of_edifact() -> String {
    let mut file =
        String::from("UNA:+.? '\nUNB+UNOC:3+5400110000009:14+5013546107732:14+261123:1237+9'\n");
    for document in 1..=DOCUMENTS {
        file += &format!(
            "UNH+{document}+ORDERS:D:96A:UN:EAN008'\nBGM+220+PO-{document:07}+9'\nDTM+137:20261123:102'\nDTM+2:20261130:102'\nNAD+BY+5400110000009::9'\nNAD+SU+5013546107732::9++ATLANTA TECHNOLOGY'\nNAD+DP+{document:013}::9'\n"
        );
        for line in 1..=LINES {
            file += &format!(
                "LIN+{line}++{:013}:EN'\nPIA+1+SKU-{:06}:SA'\nIMD+F++:::SOMETHING GOOD, 5?'x7'\nQTY+21:{}:PCE'\nPRI+AAA:12.80:CT'\n",
                line * 7919,
                line * 31,
                line * 3
            );
        }
        file += &format!(
            "UNS+S'\nCNT+2:{LINES}'\nUNT+{}+{document}'\n",
            10 + 5 * LINES
        );
    }
    file + &format!("UNZ+{DOCUMENTS}+9'\n")
}

fn cut(file: &[u8], mut next: impl FnMut(&[u8]) -> Found) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Found::Segment(bytes) = next(&file[at..]) {
        at += bytes;
        count += 1;
    }
    count
}

fn main() {
    for (kind, file) in [("x12", orders_of_x12()), ("edifact", orders_of_edifact())] {
        let file = file.as_bytes();
        let rate = |time: Duration| file.len() as f64 / time.as_secs_f64() / 1e6;
        let start = Instant::now();
        let segments = if kind == "x12" {
            let mut segments = x12::Segments::new();
            cut(file, |rest| segments.next(rest, true).expect("segments"))
        } else {
            let mut segments = edifact::Segments::default();
            cut(file, |rest| segments.next(rest, true).expect("segments"))
        };
        let cut = start.elapsed();
        let config: FormatConfig = toml::from_str(&format!("kind = \"{kind}\"")).expect("a format");
        let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
        let mut tally = Tally::new(0);
        let start = Instant::now();
        pass(&format, file, &mut tally, |_| ());
        let counted = start.elapsed();
        let mut gather = Gather::default();
        let mut records = 0;
        let start = Instant::now();
        pass(&format, file, &mut gather, |gather| {
            records += gather.records.len();
            gather.records.clear();
        });
        records += gather.records.len();
        let gathered = start.elapsed();
        assert_eq!((tally.records, tally.rejects), (records as u64, 0));
        assert_eq!(records, DOCUMENTS * (LINES + 1));
        println!(
            "{kind}, {} MB, {segments} segments, {records} records: cut {:.0} MB/s, pass 1 {:.0} MB/s, pass 2 {:.0} MB/s, {:.2} M records/s",
            file.len() / 1_000_000,
            rate(cut),
            rate(counted),
            rate(gathered),
            records as f64 / gathered.as_secs_f64() / 1e6
        );
    }
}
