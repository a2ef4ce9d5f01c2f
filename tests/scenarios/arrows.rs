//! The arrows between the crates, held over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Left may use right, and nothing else of the workspace.
const ARROWS: &[(&str, &[&str])] = &[
    ("dray-edges", &[]),
    ("dray-proto", &[]),
    ("dray-adapter", &[]),
    ("dray-formats", &["dray-adapter"]),
    ("dray-change-log", &["dray-adapter"]),
    (
        "dray-file-drop",
        &["dray-adapter", "dray-edges", "dray-formats"],
    ),
    ("dray-soap", &["dray-adapter", "dray-edges", "dray-formats"]),
    ("dray-mapping", &["dray-adapter", "dray-proto"]),
    ("dray-buffer", &["dray-edges"]),
    ("dray-uplink", &["dray-buffer", "dray-edges", "dray-proto"]),
    (
        "dray-agent",
        &[
            "dray-adapter",
            "dray-buffer",
            "dray-change-log",
            "dray-edges",
            "dray-file-drop",
            "dray-formats",
            "dray-mapping",
            "dray-proto",
            "dray-soap",
            "dray-uplink",
        ],
    ),
    ("dray-store", &["dray-edges", "dray-proto"]),
    ("dray-delivery", &["dray-edges", "dray-proto", "dray-store"]),
    (
        "dray-collector",
        &["dray-delivery", "dray-edges", "dray-proto", "dray-store"],
    ),
    (
        "dray-tests",
        &["dray-agent", "dray-collector", "dray-proto"],
    ),
];

/// Crates from outside that only these may name.
const KEPT: &[(&str, &[&str])] = &[
    ("sled", &["dray-buffer"]),
    (
        "tonic",
        &["dray-proto", "dray-uplink", "dray-agent", "dray-collector"],
    ),
    // The bench plays the application that fills a file.
    (
        "rusqlite",
        &[
            "dray-store",
            "dray-change-log",
            "dray-delivery",
            "dray-tests",
        ],
    ),
    ("minijinja", &["dray-mapping", "dray-soap", "dray-delivery"]),
    ("notify", &["dray-file-drop"]),
    ("pgwire-replication", &["dray-change-log"]),
    ("tokio-postgres", &["dray-change-log", "dray-delivery"]),
    ("mysql_async", &["dray-change-log", "dray-delivery"]),
    ("async-nats", &["dray-delivery"]),
    ("odbc-api", &["dray-change-log"]),
    ("russh", &["dray-file-drop", "dray-delivery"]),
    ("russh-sftp", &["dray-file-drop", "dray-delivery"]),
    ("fail", &["dray-edges"]),
];

/// Pure crates: no runtime among their dependencies.
const PURE: &[&str] = &["dray-formats", "dray-mapping", "dray-adapter"];

/// Pure files: logic without a clock, a disk, a socket or a runtime.
const PURE_FILES: &[&str] = &[
    "adapters/change-log/src/table/dialect.rs",
    "adapters/change-log/src/table/ledger.rs",
    "adapters/change-log/src/table/page.rs",
    "adapters/change-log/src/table/records.rs",
    "adapters/change-log/src/table/value.rs",
    "adapters/change-log/src/table/window.rs",
    "adapters/formats/src",
    "adapters/file-drop/src/control.rs",
    "adapters/file-drop/src/groups.rs",
    "adapters/file-drop/src/matcher.rs",
    "adapters/file-drop/src/ready.rs",
    "adapters/file-drop/src/template.rs",
    "adapters/file-drop/src/trailer.rs",
    "agent/mapping/src",
    "agent/uplink/src/window.rs",
    "collector/delivery/src/lanes.rs",
    "collector/delivery/src/outcome.rs",
    "collector/delivery/src/policy.rs",
    "proto/src",
];

/// The normal dependencies of every crate of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata of this workspace");
    let normal = |package: &cargo_metadata::Package| {
        let used = package
            .dependencies
            .iter()
            .filter(|used| used.kind == DependencyKind::Normal);
        used.map(|used| used.name.clone()).collect()
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.to_string(), normal(package)))
        .collect()
}

#[test]
fn every_arrow_between_crates_is_allowed() {
    let dependencies = dependencies();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(
        found, known,
        "a crate that the list of arrows does not know, or the reverse"
    );
    for (name, allowed) in ARROWS {
        for used in dependencies[*name]
            .iter()
            .filter(|used| known.contains(used.as_str()))
        {
            assert!(
                allowed.contains(&used.as_str()),
                "{name} may not use {used}"
            );
        }
    }
}

#[test]
fn outside_crates_stay_with_the_one_that_knows_them() {
    for (name, used) in dependencies() {
        for (kept, by) in KEPT {
            assert!(
                !used.contains(*kept) || by.contains(&name.as_str()),
                "{name} may not name {kept}"
            );
        }
        assert!(
            !PURE.contains(&name.as_str()) || !used.contains("tokio"),
            "{name} is pure: no tokio"
        );
    }
}

#[test]
fn pure_files_name_no_clock_disk_socket_or_runtime() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    for path in PURE_FILES {
        let path = root.join(path);
        assert!(path.exists(), "{} is gone: mend the list", path.display());
        for file in rust_files(&path) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in [
                "tokio::",
                "std::fs",
                "std::net",
                "Instant::now",
                "SystemTime::now",
            ] {
                assert!(!code.contains(word), "{} names {word}", file.display());
            }
        }
    }
}

fn rust_files(path: &Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).expect("a source folder").flatten();
    entries
        .map(|entry| entry.path())
        .flat_map(|path| {
            if path.is_dir() {
                rust_files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
