//! Logs on a share that is mounted again: real mounts, in a namespace of the test's own.
//!
//! An overlay over the same folders has another device number each time, with the inodes and births that the files had: as a network
//! share has after it was mounted again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use dray_adapter::BATCH_RECORDS_MAX;

use crate::namespace::{call, in_own_mounts, text};
use crate::support::{Logs, cells, work};

/// Where the files are, and what an overlay needs besides.
struct Share {
    server: PathBuf,
    on: PathBuf,
}

impl Share {
    fn mount_first(logs: &Logs) -> Self {
        let server = logs.path.with_file_name("server");
        // An overlay can't lie on another one, as a test's folder may.
        fs::create_dir(&server).expect("a folder");
        call("mount", &["-t", "tmpfs", "server", text(&server)]);
        for folder in ["lower", "upper", "work"] {
            fs::create_dir(server.join(folder)).expect("a folder");
        }
        let share = Self {
            server,
            on: logs.path.clone(),
        };
        share.mount();
        share
    }

    fn mount(&self) {
        let at = |folder| self.server.join(folder).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower"),
            at("upper"),
            at("work")
        );
        call(
            "mount",
            &["-t", "overlay", "overlay", "-o", &options, text(&self.on)],
        );
    }

    fn unmount(&self) {
        call("umount", &["--lazy", text(&self.on)]);
    }
}

fn stands(path: &Path) -> (u64, u64) {
    let metadata = fs::metadata(path).expect("the file");
    (metadata.dev(), metadata.ino())
}

#[test]
fn scenario_38_a_tailed_share_with_another_device_goes_on_where_it_was() {
    let name = "mounts::scenario_38_a_tailed_share_with_another_device_goes_on_where_it_was";
    in_own_mounts(name, || {
        for is_killed in [false, true] {
            let logs = Logs::new("");
            let share = Share::mount_first(&logs);
            let many = BATCH_RECORDS_MAX + 10;
            let lines: Vec<String> = (0..many).map(|n| n.to_string()).collect();
            logs.create("app.log", lines.join("\n") + "\n");
            let mut agent = logs.agent();
            while agent.log.is_empty() {
                agent.poll();
                agent.append();
                agent.commit();
            }
            assert!(agent.log.len() < many, "the rest is not read yet");
            let before = stands(&logs.at("app.log"));
            if is_killed {
                agent.kill();
            }
            share.unmount();
            if !is_killed {
                for _ in 0..20 {
                    agent.poll();
                    agent.append();
                }
            }
            // Something is mounted meanwhile, so that its number is taken.
            let other = logs.path.with_file_name("other");
            fs::create_dir(&other).expect("a folder");
            call("mount", &["-t", "tmpfs", "other", text(&other)]);
            share.mount();
            let after = stands(&logs.at("app.log"));
            assert_ne!(before.0, after.0, "the device is another one");
            assert_eq!(before.1, after.1, "the inode is the same");
            logs.append("app.log", "last\n");
            if is_killed {
                agent.reopen(logs.source());
            }
            work(&mut agent, many + 1);
            let expected: Vec<&str> = lines.iter().map(String::as_str).chain(["last"]).collect();
            assert!(cells(&agent) == expected, "{} lines", agent.log.len());
            agent.nothing_more("nothing was lost, so nothing is told");
            share.unmount();
        }
    });
}
