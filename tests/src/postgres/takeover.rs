//! A second server that follows the first, and what becomes of both.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::{Server, new_folder};

/// The slot by which a server keeps its log for the one that follows.
const SLOT: &str = "follower";

impl Server {
    /// A second server that follows this one, with the log that this one keeps for it. From PostgreSQL 17 on it has slots that may fail over too.
    ///
    /// # Panics
    /// Where it can't be made.
    #[must_use]
    pub fn follower(&mut self) -> Self {
        self.sql(&format!(
            "SELECT pg_create_physical_replication_slot('{SLOT}', true)"
        ));
        self.stop();
        let folder = new_folder();
        let data = folder.path().join("data");
        copy(&self.folder.path().join("data"), &data);
        fs::copy(self.secret(), folder.path().join("secret")).expect("a file");
        for slot in fs::read_dir(data.join("pg_replslot")).expect("a folder") {
            let slot = slot.expect("a folder").path();
            fs::remove_dir_all(slot).expect("it goes");
        }
        // As libpq wants it within quotes, and that as a file of settings does.
        let password = super::PASSWORD.replace('\'', "\\\\''");
        let mut settings = format!(
            "\nprimary_conninfo = 'host=127.0.0.1 port={} user=postgres password=''{}'' dbname=postgres'\nprimary_slot_name = '{SLOT}'\nhot_standby_feedback = on\n",
            self.port, password
        );
        self.start_again();
        let version = self.sql("SHOW server_version_num");
        if version.parse::<u32>().expect("a number") >= 170_000 {
            settings.push_str("sync_replication_slots = on\n");
        }
        append(&data.join("postgresql.conf"), &settings);
        let mut follower = Self {
            folder,
            programs: self.programs.clone(),
            port: crate::site::free_port().expect("a port"),
            process: None,
        };
        follower.follow();
        follower
    }

    /// Starts as a standby: it follows the server before it, if that is there.
    ///
    /// # Panics
    /// Where it can't.
    pub fn follow(&mut self) {
        fs::write(self.folder.path().join("data/standby.signal"), "").expect("a file");
        self.start_again();
    }

    /// A standby takes over: its log goes on on a timeline of its own.
    ///
    /// # Panics
    /// Where it does not.
    pub fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote()"), "t");
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Keeps its files as they are, while it is stopped, in place of those that were kept before.
    ///
    /// # Panics
    /// Where it can't.
    pub fn save(&self) {
        let folder = self.folder.path();
        let saved = folder.join("saved");
        if saved.exists() {
            fs::remove_dir_all(&saved).expect("it goes");
        }
        copy(&folder.join("data"), &saved);
    }

    /// Sets its files back to what was kept, while it is stopped.
    ///
    /// # Panics
    /// Where it can't.
    pub fn set_back(&self) {
        let folder = self.folder.path();
        fs::remove_dir_all(folder.join("data")).expect("it goes");
        copy(&folder.join("saved"), &folder.join("data"));
    }

    /// Changes settings that it takes over while it runs.
    ///
    /// # Panics
    /// Where it refuses them.
    pub fn set(&self, setting: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.sql("SELECT pg_reload_conf()");
    }
}

fn append(file: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).open(file);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("a file");
}

/// With owners and rights.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp").success());
}
