//! Other implementations of EDI cut the same segments, and take what we answer: pyx12 4.0.0 and pydifact 0.2.3, by `peers/edi.py`.
//!
//! Both are installed from PyPI into the build's folder when they are first needed, which the test says. `DRAY_PEERS` is a folder that has
//! them already, for a machine without a network.

#[path = "../examples/edi_segments.rs"]
#[allow(dead_code, reason = "it is a program of its own")]
mod edi_segments;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dray_formats::edi::{Acknowledged, acknowledgements};
use dray_formats::{FileFault, Format, FormatConfig, Tally};

const PACKAGES: [&str; 2] = ["pyx12==4.0.0", "pydifact==0.2.3"];

/// Where the peers are.
fn installed() -> PathBuf {
    let folder = std::env::var_os("DRAY_PEERS").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers"),
        PathBuf::from,
    );
    let has = || {
        let command = Command::new("python3")
            .args(["-c", "import pyx12, pydifact"])
            .env("PYTHONPATH", &folder)
            .output();
        let command = command.unwrap_or_else(|error| {
            panic!("python3 is needed to ask pyx12 and pydifact; install it (Debian: apt install python3): {error}")
        });
        command.status.success()
    };
    if has() {
        return folder;
    }
    println!("Installing {PACKAGES:?} from PyPI to {}.", folder.display());
    // Another test may do the same: whole, or not at all.
    let own = folder.with_extension(std::process::id().to_string());
    let pip = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--target"])
        .arg(&own)
        .args(PACKAGES)
        .output()
        .expect("python3 runs");
    let _ = fs::rename(&own, &folder);
    assert!(
        pip.status.success() && has(),
        "pip can't install {PACKAGES:?}, against which EDI is checked; connect this machine to PyPI, install pip (Debian: apt install python3-pip), \
         or name a folder that has them in DRAY_PEERS: {}",
        String::from_utf8_lossy(&pip.stderr)
    );
    folder
}

/// Runs the comparison over files.
fn compare(files: &[PathBuf]) {
    let peers = installed();
    let lines: Vec<String> = files
        .iter()
        .map(|file| edi_segments::told(&file.to_string_lossy()).to_string())
        .collect();
    let known = tempfile::NamedTempFile::new().expect("a file");
    fs::write(known.path(), lines.join("\n") + "\n").expect("it is written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/edi.py");
    let output = Command::new("python3")
        .arg(script)
        .args(files)
        .env("PYTHONPATH", peers)
        .env("DRAY_EDI_SEGMENTS", known.path())
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A file's acknowledgements.
fn answered(toml: &str, file: &str, fault: Option<&FileFault>) -> Vec<(String, Vec<u8>)> {
    let config: FormatConfig = toml::from_str(toml).expect("a format");
    let mut decoder = Format::new(&config, &|_| Err("no text is named".into()))
        .expect("a format")
        .decoder(0);
    let decoded = decoder.decode(file.as_bytes(), true, &mut Tally::new(u64::MAX));
    assert!(decoded.is_ok_and(|decoded| decoded.done), "{file}");
    let by = config.acknowledged().expect("it is EDI");
    assert!(matches!(by, Acknowledged::By997 | Acknowledged::ByContrl));
    let receipt = decoder.receipt().expect("it is EDI");
    acknowledgements(by, receipt, ("20261126", "0930"), fault)
        .into_iter()
        .map(|one| (one.name, one.bytes))
        .collect()
}

#[test]
fn acknowledgements_are_taken_by_pyx12_and_pydifact() {
    let x12 = "ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       *200101*1200*U*00401*000000009*0*T*:~\n\
        GS*OW*AA*BB*20200101*1200*7*X*004010~\n\
        ST*940*0001~\nW05*N*1~\nSE*3*0001~\nST*940*0002~\nW05*N*1~\nN3*x~\nSE*4*0002~\nST*940*0003~\nSE*2*0003~\nST*214*0004~\nB10*1~\nSE*3*0004~\n\
        GE*4*7~\nGS*SW*AA*BB*20200101*1200*8*X*004010~\nST*945*0001~\nW06*N*1~\nSE*3*0001~\nGE*1*8~\nIEA*2*000000009~\n";
    let later = x12
        .replace("*U*00401*", "*^*00501*")
        .replace("004010", "005010");
    let edifact = "UNB+UNOC:3+S?+1:14+R:14+260101:1200+R9'\nUNH+M1+ORDERS:D:96A:UN'\nBGM+220+A'\nUNT+3+M1'\n\
        UNH+M2+ORDERS:D:96A:UN:EAN008'\nBGM+220+A'\nPIA+1+x'\nUNT+4+M2'\nUNZ+2+R9'\n";
    let folder = tempfile::tempdir().expect("a folder");
    let fault = FileFault("counts".into());
    let mut files = Vec::new();
    for (toml, file) in [
        ("kind = \"x12\"", x12),
        ("kind = \"x12\"", &later),
        ("kind = \"edifact\"", edifact),
    ] {
        for fault in [None, Some(&fault)] {
            for (name, bytes) in answered(toml, file, fault) {
                let path = folder.path().join(format!("{}-{name}", files.len()));
                fs::write(&path, bytes).expect("a file");
                files.push(path);
            }
        }
    }
    assert_eq!(files.len(), 6);
    compare(&files);
}

#[test]
fn files_of_the_corpora_are_cut_alike_by_pyx12_and_pydifact() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("DRAY_CORPORA").map_or_else(beside, PathBuf::from);
    if !corpora.is_dir() {
        println!("there are no corpora to read");
        return;
    }
    let (mut files, mut folders) = (
        Vec::new(),
        vec![corpora.join("x12"), corpora.join("edifact")],
    );
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_edi = path
                .extension()
                .is_some_and(|kind| kind == "edi" || kind == "txt");
            if path.is_dir() {
                folders.push(path);
            } else if is_edi {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "{}", files.len());
    compare(&files);
}
