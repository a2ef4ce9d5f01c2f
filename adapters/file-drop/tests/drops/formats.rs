//! Files of other formats than lines, in the folder.

use dray_adapter::conformance::Agent;

use crate::support::{Drops, work};

/// A warehouse shipping order of so many lines: one document, which is held until its end is checked.
fn order(lines: u64) -> String {
    let mut file = String::from(
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*U*00401*000000009*0*P*:~\n\
         GS*OW*A*B*20260101*1200*7*X*004010~\nST*940*0001~\nW05*N*SO-4711~\n",
    );
    // Each line carries its header: a document makes far more text than it has.
    let long = "x".repeat(55);
    file.push_str(&format!(
        "N1*ST*{long}*9*4711~\nN3*{long}*{long}~\nNTE*WHI*{long}~\nNTE*DEL*{long}~\n"
    ));
    for line in 1..=lines {
        file.push_str(&format!("LX*{line}~\nW01*{line}*EA**VN*SKU-{line:06}~\n"));
    }
    file.push_str(&format!(
        "SE*{}*0001~\nGE*1*7~\nIEA*1*000000009~\n",
        2 * lines + 7
    ));
    file
}

#[test]
fn documents_of_many_batches_are_handed_out_whole() {
    const LINES: u64 = 60_000;
    let drops = Drops::new("format.kind = \"x12\"\nformat.records = [\"940.line\"]\n");
    drops.put("a.txt", order(LINES));
    let mut agent = Agent::open(drops.source());
    let whole = usize::try_from(LINES).expect("it fits");
    let found = work(&mut agent, whole);
    assert_eq!(found.len(), whole);
    assert!(found[0].contains("SKU-000001"), "{}", found[0]);
    assert!(
        found[whole - 1].contains("SKU-060000"),
        "{}",
        found[whole - 1]
    );
    agent.nothing_more("it was read whole");
}

#[test]
fn nothing_of_an_interchange_is_seen_before_its_counts_hold() {
    let drops = Drops::new("format.kind = \"x12\"\nformat.records = [\"940.line\"]\n");
    drops.put("a.txt", order(10).replace("SE*27*", "SE*24*"));
    drops.put("b.txt", order(2));
    let mut agent = Agent::open(drops.source());
    let found = work(&mut agent, 3);
    assert_eq!(found[0], "a.txt:0! source");
    assert!(found[1].contains("SKU-000001"), "{found:?}");
    assert_eq!(drops.files("failed"), ["a.txt"]);
}

#[test]
fn packed_files_are_read_as_what_they_hold() {
    let script = "import gzip,zipfile,sys,io\nd=sys.argv[1]\n\
        g=gzip.open(d+'/a.tmp','wb');g.write(b'A|B\\nx|1\\ny|2\\n');g.close()\n\
        z=zipfile.ZipFile(d+'/b.tmp','w',zipfile.ZIP_DEFLATED)\n\
        z.writestr('one.csv','A|B\\nz|3\\n');z.writestr('two.csv','A|B\\nw|4\\n');z.close()\n";
    let drops = Drops::new("compression = \"auto\"\n");
    let made = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&drops.path)
        .status();
    assert!(
        made.expect("python3 makes the archives; install it")
            .success()
    );
    for name in ["a", "b"] {
        let packed = std::fs::read(drops.at(&format!("{name}.tmp"))).expect("it was made");
        // Cut, then whole.
        drops.put(&format!("{name}0.txt"), &packed[..packed.len() - 5]);
        drops.put(&format!("{name}1.txt"), &packed);
    }
    let mut agent = Agent::open(drops.source());
    let found = work(&mut agent, 6);
    assert_eq!(
        found,
        [
            "a0.txt:0! source",
            "a1.txt:2: x|1",
            "a1.txt:3: y|2",
            "b0.txt:0! source",
            "b1.txt:2: z|3",
            "b1.txt:2: w|4"
        ]
    );
    assert_eq!(drops.files("failed"), ["a0.txt", "b0.txt"]);
}
