//! kill -9 while files are read in every mode at once: kept, appended to, announced by a companion, held back by their numbers.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use dray_tests::drops::drop_file;
use dray_tests::families::{flow_of_lines, lines, number};
use dray_tests::site::Site;
use dray_tests::target::Target;
use dray_tests::verdict::judge;
use rand::RngExt as _;

use crate::{PATIENCE, all_of_these_arrive, folder, kill_one, soak, target_table};

const LINES: u64 = 1_500;
const ITEMS: u64 = 97;

/// How a legacy system leaves movements in a folder.
struct Mode {
    /// Two letters: numbers and items of its movements begin with them.
    code: &'static str,
    name: &'static str,
    /// Lines of `[flow.source]` besides the folder.
    source: &'static str,
    put: fn(&Path, &Part) -> Back,
}

/// A file that comes only with the next part: its name and its text.
type Back = Option<(String, String)>;

/// What it leaves before one kill.
struct Part {
    kill: u64,
    halves: [String; 2],
}

const MODES: [Mode; 4] = [
    Mode {
        code: "KP",
        name: "kept",
        source: "after = \"keep\"\n",
        put: keep,
    },
    Mode {
        code: "GR",
        name: "grown",
        source: "kind = \"file-tail\"\npattern = \"moves.log\"\n",
        put: append,
    },
    Mode {
        code: "AN",
        name: "announced",
        source: "pattern = \"*.txt\"\n[flow.source.done]\nname = \"{name}.done\"\nrecords = '(\\d+) lines'\n",
        put: announce,
    },
    Mode {
        code: "HE",
        name: "held",
        source: "[flow.source.sequence]\npattern = 'M_(\\d{5})'\ngap = \"hold\"\nhold_max = \"1h\"\n",
        put: number_back,
    },
];

fn keep(folder: &Path, part: &Part) -> Back {
    let text = part.halves.concat();
    drop_file(folder, &format!("{:04}", part.kill), text.as_bytes()).expect("a drop");
    None
}

/// Every third time the file is rotated first; a write ends anywhere in a line.
fn append(folder: &Path, part: &Part) -> Back {
    let path = folder.join("moves.log");
    if part.kill % 3 == 2 {
        fs::rename(&path, folder.join(format!("moves.log.{}", part.kill))).expect("a rename");
    }
    let file = File::options().append(true).create(true).open(&path);
    let mut file = file.expect("a file");
    let text = part.halves.concat();
    for piece in text.as_bytes().chunks(text.len() / 7) {
        file.write_all(piece).expect("a write");
    }
    None
}

/// The companion comes after the file, or before it.
fn announce(folder: &Path, part: &Part) -> Back {
    let name = format!("{:04}.txt", part.kill);
    let said = format!("{LINES} lines\n");
    let done = || drop_file(folder, &format!("{name}.done"), said.as_bytes()).expect("a drop");
    if part.kill.is_multiple_of(2) {
        done();
    }
    drop_file(folder, &name, part.halves.concat().as_bytes()).expect("a drop");
    if !part.kill.is_multiple_of(2) {
        done();
    }
    None
}

/// The second of two numbers comes first, and the first only with what comes next: until then the second waits.
fn number_back(folder: &Path, part: &Part) -> Back {
    let [first, second] = [0, 1].map(|half| format!("M_{:05}", 2 * part.kill + 1 + half));
    let [early, late] = part.halves.clone();
    // The very first number of all is taken as it is.
    if part.kill == 0 {
        drop_file(folder, &first, early.as_bytes()).expect("a drop");
    }
    drop_file(folder, &second, late.as_bytes()).expect("a drop");
    (part.kill > 0).then_some((first, early))
}

fn bring(site: &Site, mode: &Mode, back: Back) {
    if let Some((name, text)) = back {
        drop_file(&site.drops(mode.name), &name, text.as_bytes()).expect("a drop");
    }
}

#[test]
fn kill_9_at_random_points_leaves_exact_counts_in_every_mode() {
    let kills: u64 = if soak() { 50 } else { 6 };
    let folder = folder("modes");
    let erp = Target::start(false).expect("a target");
    let flows = MODES.map(|mode| flow_of_lines(mode.name, mode.source));
    let mut site =
        Site::start(folder.path(), &flows, &target_table("erp", &erp.url(), "")).expect("a site");
    let mut random = rand::rng();
    let modes = MODES.len() as u64;
    let mut back: [Back; 4] = [const { None }; 4];
    for kill in 0..kills {
        for (mode, back) in MODES.iter().zip(&mut back) {
            bring(&site, mode, back.take());
            let half = |from: u64| lines(mode.code, kill * LINES + from, LINES / 2, ITEMS);
            let halves = [half(0), half(LINES / 2)];
            *back = (mode.put)(&site.drops(mode.name), &Part { kill, halves });
        }
        // What waits, waits.
        let dropped = (kill + 1) * LINES * modes - LINES;
        let reached = dropped - random.random_range(0..LINES * (modes - 1));
        assert!(
            erp.wait(PATIENCE, |events| events >= reached),
            "stuck before kill {kill}, at {} of {dropped}",
            erp.events()
        );
        kill_one(&mut site, 0.8);
    }
    for (mode, back) in MODES.iter().zip(back) {
        bring(&site, mode, back);
    }
    let numbers: Vec<String> = MODES
        .iter()
        .flat_map(|mode| (0..kills * LINES).map(|n| number(mode.code, n)))
        .collect();
    let verdict = all_of_these_arrive(&erp, &numbers);
    println!("{kills} kills, target: {verdict}");
    let mut in_log = site.log_arrivals().expect("the log");
    // A missing number is told once, unless it came before anybody looked.
    let all = in_log.len();
    in_log.retain(|arrival| !arrival.number.is_empty());
    let notices = (all - in_log.len()) as u64;
    assert!((1..kills).contains(&notices), "{notices} notices of a gap");
    let in_log = judge(numbers.iter().cloned(), &in_log);
    println!("{kills} kills, log: {in_log}");
    assert!(
        in_log.clean() && in_log.repeats == 0,
        "in the log: {in_log}"
    );
    assert!(verdict.clean(), "at the target: {verdict}");
    let kept = fs::read_dir(site.drops("kept")).expect("the folder");
    assert_eq!(kept.count() as u64, kills, "nothing was moved");
}
