//! Random lives of a log against what was written to it: every whole line once and in order, whatever was done to the file.

use dray_adapter::conformance::Agent;

use crate::support::{Logs, acking, between_names_and_looks, cells, ids_differ, was_scanned};

/// Rotated files that are kept.
const KEPT: usize = 4;
const STEPS: usize = 1_500;
const LIVES: u64 = 4;

/// Steps that are the same for the same seed (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Life {
    logs: Logs,
    agent: Agent,
    dice: Dice,
    /// The whole lines that were written.
    written: Vec<String>,
    /// The beginning of a line.
    begun: Option<String>,
    rotated: usize,
    /// It was copied, and no scan may have seen that.
    is_copied: bool,
    history: Vec<String>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let logs = Logs::new("");
        logs.create("app.log", "");
        Self {
            agent: logs.agent(),
            logs,
            dice: Dice(seed),
            written: Vec::new(),
            begun: None,
            rotated: 0,
            is_copied: false,
            history: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.dice.roll(42) {
            0..=8 => self.write_lines(),
            9..=12 => self.write_half(),
            13..=14 => self.rename(),
            15..=16 => self.copy_and_truncate(),
            17 => self.begin_again(),
            18..=19 => self.kill(),
            20..=30 => {
                self.agent.poll();
            }
            40..=41 => self.rotate_while_it_is_scanned(),
            31..=36 => {
                self.agent.append();
            }
            _ => {
                self.agent.commit();
            }
        }
    }

    fn note(&mut self, what: &str) {
        self.history
            .push(format!("{what} after {}", self.written.len()));
    }

    fn next_line(&mut self) -> String {
        let wide = "x".repeat(self.dice.roll(3) as usize * 700);
        format!("{}{wide}", self.written.len())
    }

    fn write_lines(&mut self) {
        self.end_line();
        let mut text = String::new();
        for _ in 0..=self.dice.roll(5) {
            let line = self.next_line();
            text = text + &line + "\n";
            self.written.push(line);
        }
        self.logs.append("app.log", text);
    }

    fn write_half(&mut self) {
        if self.begun.is_some() {
            return self.end_line();
        }
        let line = self.next_line();
        self.logs.append("app.log", &line);
        self.begun = Some(line);
    }

    /// A program ends its lines before it turns to another file.
    fn end_line(&mut self) {
        if let Some(line) = self.begun.take() {
            self.logs.append("app.log", "\n");
            self.written.push(line);
        }
    }

    /// Moves the rotated files up; the oldest may go only when it was read.
    fn shift(&mut self) {
        self.end_line();
        self.make_room(1);
        move_up(&self.logs, self.rotated);
        self.rotated += 1;
    }

    fn make_room(&mut self, count: usize) {
        if self.rotated + count > KEPT {
            self.drain();
        }
        while self.rotated + count > KEPT {
            self.logs.remove(&format!("app.log.{}", self.rotated));
            self.rotated -= 1;
        }
    }

    fn rename(&mut self) {
        self.shift();
        self.see_copies();
        self.note("renamed");
        rename(&self.logs);
    }

    fn copy_and_truncate(&mut self) {
        self.shift();
        self.note("copied");
        copy(&self.logs);
        self.is_copied = true;
    }

    /// A log is rotated in one way or the other: a file with a copy that nobody has seen is not renamed.
    fn see_copies(&mut self) {
        if std::mem::take(&mut self.is_copied) {
            self.do_in_a_scan(|_| ());
        }
    }

    fn do_in_a_scan(&mut self, deed: impl FnOnce(&Logs) + 'static) {
        let logs = self.logs.clone();
        between_names_and_looks(move || deed(&logs));
        while !was_scanned() {
            self.agent.poll();
            self.agent.append();
        }
    }

    /// Rotates it between a scan's names and its looks, once or more; lines are written before each rotation and after.
    fn rotate_while_it_is_scanned(&mut self) {
        self.end_line();
        let count = 1 + self.dice.roll(3) as usize;
        self.make_room(count);
        let rotate = if self.dice.roll(4) > 0 {
            self.note("copied in a scan");
            self.is_copied = true;
            copy
        } else {
            self.see_copies();
            self.note("renamed in a scan");
            rename
        };
        let texts: Vec<String> = (0..count).map(|_| self.some_lines()).collect();
        let (rotated, last) = (self.rotated, self.some_lines());
        self.rotated += count;
        self.do_in_a_scan(move |logs| {
            for (number, text) in (rotated..).zip(texts) {
                logs.append("app.log", text);
                move_up(logs, number);
                rotate(logs);
            }
            logs.append("app.log", last);
        });
    }

    fn some_lines(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.dice.roll(3) {
            let line = self.next_line();
            text = text + &line + "\n";
            self.written.push(line);
        }
        text
    }

    /// Without a copy only what was read before is not lost.
    fn begin_again(&mut self) {
        self.end_line();
        self.drain();
        self.note("begun again");
        let line = self.next_line();
        self.logs.rewrite("app.log", format!("{line}\n"));
        self.written.push(line);
    }

    fn kill(&mut self) {
        self.note("killed");
        self.agent.reopen(self.logs.source());
    }

    fn drain(&mut self) {
        self.agent.finish(self.written.len(), acking());
        self.is_right();
    }

    fn is_right(&self) {
        let sent = cells(&self.agent);
        let first = sent
            .iter()
            .zip(&self.written)
            .position(|(one, other)| one != other);
        let at = first.unwrap_or(sent.len().min(self.written.len()));
        assert!(
            first.is_none() && sent.len() == self.written.len(),
            "entry {at} of {} is {:?}, it should be {:?} of {}: {:#?}",
            sent.len(),
            self.agent.log.get(at),
            self.written.get(at),
            self.written.len(),
            &self.history[self.history.len().saturating_sub(12)..]
        );
    }
}

/// Each rotated file gets the next number.
fn move_up(logs: &Logs, rotated: usize) {
    for number in (1..=rotated).rev() {
        let (from, to) = (
            format!("app.log.{number}"),
            format!("app.log.{}", number + 1),
        );
        logs.rename(&from, &to);
    }
}

fn rename(logs: &Logs) {
    logs.rename("app.log", "app.log.1");
    logs.create("app.log", "");
}

fn copy(logs: &Logs) {
    logs.copy("app.log", "app.log.1");
    logs.truncate("app.log");
}

#[test]
fn random_lives_of_a_log_lose_and_double_nothing() {
    for seed in 1..=LIVES {
        let mut life = Life::new(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        for _ in 0..STEPS {
            life.step();
        }
        life.end_line();
        life.drain();
        ids_differ(&life.agent);
        assert!(life.history.len() > 50, "much was done");
    }
}
