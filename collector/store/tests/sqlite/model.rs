//! Random actions with kill -9 in between, against a model: what was answered is there, and nothing else is but what was
//! being done at the kill.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use dray_proto::v1::Block;
use dray_proto::{Offset, Sequence};
use dray_store::conformance::{blocks, flow};
use dray_store::{
    AppendError, AuditEntry, Cursor, Exception, ExceptionQuery, ExceptionState, SqliteStore, Step,
    Store,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::small;

const FLOWS: [&str; 3] = ["a", "b", "c"];
const TARGETS: [&str; 2] = ["erp", "lake"];
const AGENTS: [&str; 2] = ["a-1", "a-2"];
const EPOCH: u64 = 7;
/// Blocks whose payload is this long fill a log file of 1 MiB soon.
const PAYLOAD_BYTES: usize = 10_000;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(small(folder)).expect("a store")
}

/// One thing that is done to a store. Each follows from the seed, its number and the state before it alone.
#[derive(Debug)]
enum Action {
    Append {
        flow: usize,
        counts: Vec<u32>,
    },
    /// What is held comes again, and the store passes it over.
    Repeat {
        flow: usize,
    },
    /// Blocks after a gap, or of another past, and the store refuses.
    Refused {
        flow: usize,
        gap: bool,
    },
    Move {
        flow: usize,
        agent: usize,
    },
    Step {
        target: usize,
        flow: usize,
        through: u64,
        above: Vec<u32>,
        dead: Option<u64>,
    },
    Over {
        target: usize,
        flow: usize,
        offset: u64,
    },
    Set {
        name: String,
        value: Option<String>,
    },
    Audit,
}

#[derive(Debug, Clone, Default)]
struct Flow {
    blocks: Vec<(u64, Block)>,
    newest: u64,
    chain: u64,
    agent: usize,
}

impl Flow {
    fn made(&self, counts: &[u32]) -> Vec<Block> {
        let mut made = blocks(EPOCH, self.newest + 1, self.chain, counts);
        for block in &mut made {
            let byte = block.payload[0];
            block.payload = Bytes::from(vec![byte; PAYLOAD_BYTES]);
        }
        made
    }
}

type ExceptionKey = (usize, usize, u64);

#[derive(Debug, Clone, Default)]
struct Model {
    flows: [Flow; 3],
    cursors: BTreeMap<(usize, usize), Cursor>,
    exceptions: BTreeMap<ExceptionKey, String>,
    settings: BTreeMap<String, String>,
    audited: Vec<String>,
    actions: u64,
}

impl Model {
    fn after(seed: u64, actions: u64) -> Self {
        let mut model = Self::default();
        while model.actions < actions {
            let action = model.next(seed);
            model.act(&action);
        }
        model
    }

    fn next(&self, seed: u64) -> Action {
        let n = self.actions;
        let mut random = StdRng::seed_from_u64(seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let flow = random.random_range(0..FLOWS.len());
        let (known, target) = (&self.flows[flow], random.random_range(0..TARGETS.len()));
        let exception = self.exceptions.keys().nth(random.random_range(0..20));
        match random.random_range(0..100) {
            0..40 => Action::Append {
                flow,
                counts: (0..random.random_range(1..4))
                    .map(|_| random.random_range(1..1_000))
                    .collect(),
            },
            40..45 if known.newest > 0 => Action::Repeat { flow },
            45..50 if known.newest > 0 => Action::Refused {
                flow,
                gap: random.random(),
            },
            50..52 if known.newest > 0 => Action::Move {
                flow,
                agent: random.random_range(0..AGENTS.len()),
            },
            52..80 if known.newest > 0 => {
                let before = self
                    .cursors
                    .get(&(target, flow))
                    .map_or(0, |cursor| cursor.through.0);
                let through = random.random_range(before..=known.newest);
                let left = (known.newest - through).min(1_000) as u32;
                // The one right above would be `through` itself.
                let some = if left > 2 {
                    random.random_range(0..5)
                } else {
                    0
                };
                let above = (0..some).map(|_| random.random_range(2..=left));
                Action::Step {
                    target,
                    flow,
                    through,
                    above: above.collect(),
                    dead: random
                        .random_bool(0.3)
                        .then(|| random.random_range(1..=known.newest)),
                }
            }
            80..88 => match exception {
                Some(&(target, flow, offset)) => Action::Over {
                    target,
                    flow,
                    offset,
                },
                None => Action::Audit,
            },
            88..95 => Action::Set {
                name: format!("paused:{}", TARGETS[target]),
                value: random.random_bool(0.5).then(|| n.to_string()),
            },
            _ => Action::Audit,
        }
    }

    fn act(&mut self, action: &Action) {
        let n = self.actions;
        self.actions += 1;
        match action {
            Action::Append { flow, counts } => {
                let flow = &mut self.flows[*flow];
                for block in flow.made(counts) {
                    let header = block.header.as_ref().expect("it has one");
                    let first = flow.newest + 1;
                    flow.newest += u64::from(header.count);
                    flow.chain = header.chain_after;
                    flow.blocks.push((first, block));
                }
            }
            Action::Repeat { .. } | Action::Refused { .. } => {}
            Action::Move { flow, agent } => self.flows[*flow].agent = *agent,
            Action::Step {
                target,
                flow,
                through,
                above,
                dead,
            } => {
                let cursor = Cursor {
                    through: Offset(*through),
                    above: above.iter().copied().collect(),
                };
                self.cursors.insert((*target, *flow), cursor);
                if let Some(offset) = dead {
                    self.exceptions
                        .insert((*target, *flow, *offset), format!("refused at {n}"));
                }
            }
            Action::Over {
                target,
                flow,
                offset,
            } => {
                self.exceptions.remove(&(*target, *flow, *offset));
            }
            Action::Set {
                name,
                value: Some(value),
            } => {
                self.settings.insert(name.clone(), value.clone());
            }
            Action::Set { name, value: None } => {
                self.settings.remove(name);
            }
            Action::Audit => self.audited.push(format!("act {n}")),
        }
    }

    /// Where a store that was just opened differs.
    fn differs(&self, store: &SqliteStore) -> Option<String> {
        (0..FLOWS.len())
            .find_map(|at| self.flow_differs(at, store))
            .or_else(|| self.state_differs(store))
    }

    fn flow_differs(&self, at: usize, store: &SqliteStore) -> Option<String> {
        let (name, known) = (flow(FLOWS[at]), &self.flows[at]);
        let held = store.held(&name);
        let same = (held.newest_offset.0, held.chain, held.next_sequence)
            == (known.newest, known.chain, Sequence(known.newest + 1))
            && (known.newest == 0 || held.agent == AGENTS[known.agent]);
        if !same {
            return Some(format!(
                "{name}: {held:?} instead of {} and {:x}",
                known.newest, known.chain
            ));
        }
        let finished = |target: usize| {
            self.cursors
                .get(&(target, at))
                .map_or(0, |cursor| cursor.through.0)
        };
        let needed = (0..TARGETS.len()).map(finished).min().unwrap_or(0) + 1;
        if known.newest > 0 && held.oldest_offset.0 > needed {
            return Some(format!(
                "{name}: {} is gone and {needed} is needed",
                held.oldest_offset
            ));
        }
        let mut next = held.oldest_offset.0;
        while next <= known.newest {
            let read = match store.read(&name, Offset(next), 1_000_000) {
                Ok(read) => read,
                Err(error) => return Some(error.to_string()),
            };
            for one in read {
                let wanted = known
                    .blocks
                    .iter()
                    .find(|(first, _)| *first == one.first_offset.0);
                let Some((_, wanted)) = wanted else {
                    return Some(format!(
                        "{name}: nothing was written at {}",
                        one.first_offset
                    ));
                };
                let mut wanted = wanted.clone();
                let header = wanted.header.as_mut().expect("it has one");
                next = one.first_offset.0 + u64::from(header.count);
                let found = one.block.header.as_ref().expect("it has one");
                if (
                    found.chain_after,
                    found.count,
                    &found.position,
                    &one.block.payload,
                ) != (
                    header.chain_after,
                    header.count,
                    &header.position,
                    &wanted.payload,
                ) {
                    return Some(format!("{name}: another block at {}", one.first_offset));
                }
            }
        }
        None
    }

    fn state_differs(&self, store: &SqliteStore) -> Option<String> {
        for (at, target) in TARGETS.iter().enumerate() {
            let found = store.cursors(&consumer(at)).expect("cursors");
            let wanted = self.cursors.iter().filter(|((of, _), _)| *of == at);
            let wanted: Vec<_> = wanted
                .map(|((_, of), cursor)| (flow(FLOWS[*of]), cursor.clone()))
                .collect();
            if found != wanted {
                return Some(format!("{target}: {found:?} instead of {wanted:?}"));
            }
            let name = format!("paused:{target}");
            let value = store.setting(&name).expect("a setting");
            if value.as_ref() != self.settings.get(&name) {
                return Some(format!("{name} is {value:?}"));
            }
        }
        let found: BTreeMap<ExceptionKey, String> = exceptions(store)
            .into_iter()
            .map(|(key, exception)| (key, exception.reason))
            .collect();
        if found != self.exceptions {
            return Some(format!("{found:?} instead of {:?}", self.exceptions));
        }
        let audited = store.audit_entries(usize::MAX >> 1).expect("entries");
        let audited: Vec<String> = audited.into_iter().map(|entry| entry.action).collect();
        (audited != self.audited).then(|| format!("{} audited", audited.len()))
    }
}

fn consumer(target: usize) -> String {
    format!("target:{}", TARGETS[target])
}

fn exceptions(store: &SqliteStore) -> Vec<(ExceptionKey, Exception)> {
    let query = ExceptionQuery {
        limit: 1_000_000,
        ..ExceptionQuery::default()
    };
    let at = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
    let key = |exception: &Exception| {
        let target = at(&TARGETS, &exception.target).expect("a target");
        let flow = at(&FLOWS, exception.flow.flow()).expect("a flow");
        (target, flow, exception.offset.0)
    };
    let found = store.exceptions(&query).expect("exceptions");
    found.into_iter().map(|one| (key(&one), one)).collect()
}

/// Does to a store what [`Model::act`] does to the model that is still before it.
fn act(store: &SqliteStore, model: &Model, action: &Action) {
    let n = model.actions;
    let append = |at: usize, made: Vec<Block>| {
        let agent = AGENTS[model.flows[at].agent];
        let answer = store.append(agent, &flow(FLOWS[at]), made).wait();
        answer.expect("it lives")
    };
    let step = |step: Step| store.step(step).wait().expect("it lives").expect("it fits");
    match action {
        Action::Append { flow, counts } => {
            append(*flow, model.flows[*flow].made(counts)).expect("it fits");
        }
        Action::Repeat { flow } => {
            let last = model.flows[*flow].blocks.last().expect("it has one");
            append(*flow, vec![last.1.clone()]).expect("it is passed over");
        }
        Action::Refused { flow, gap } => {
            let known = &model.flows[*flow];
            let (first, chain) = match gap {
                true => (known.newest + 2, known.chain),
                false => (known.newest + 1, known.chain ^ 1),
            };
            let refused = append(*flow, blocks(EPOCH, first, chain, &[1]));
            let as_said = match refused {
                Err(AppendError::Gap { .. }) => *gap,
                Err(AppendError::Forked { .. }) => !*gap,
                _ => false,
            };
            assert!(as_said, "{refused:?}");
        }
        Action::Move { flow: at, agent } => {
            let moved = store.move_flow(&flow(FLOWS[*at]), AGENTS[*agent]).wait();
            assert!(moved.expect("it lives").expect("it fits"));
        }
        Action::Step {
            target,
            flow: at,
            through,
            above,
            dead,
        } => {
            let cursor = Cursor {
                through: Offset(*through),
                above: above.iter().copied().collect(),
            };
            let exception = |offset: u64| Exception {
                id: 0,
                target: TARGETS[*target].into(),
                flow: flow(FLOWS[*at]),
                offset: Offset(offset),
                key: format!("key {offset}"),
                state: ExceptionState::Dead,
                reason: format!("refused at {n}"),
                at_us: n as i64,
                event: Bytes::from_static(b"event"),
                detail: String::new(),
            };
            step(Step {
                consumer: consumer(*target),
                cursors: vec![(flow(FLOWS[*at]), cursor)],
                add: dead.iter().map(|offset| exception(*offset)).collect(),
                ..Step::default()
            });
        }
        Action::Over {
            target,
            flow,
            offset,
        } => {
            let found = exceptions(store).into_iter();
            let mut found = found.filter(|(key, _)| *key == (*target, *flow, *offset));
            step(Step {
                consumer: consumer(*target),
                remove: vec![found.next().expect("it is there").1.id],
                ..Step::default()
            });
        }
        Action::Set { name, value } => store.set(name, value.as_deref()).expect("it is set"),
        Action::Audit => {
            let entry = AuditEntry {
                action: format!("act {n}"),
                ..AuditEntry::default()
            };
            store.audit(&entry).expect("it is kept");
        }
    }
}

/// Not a test by itself: the process that [`nothing_but_what_the_model_says_is_there_after_kill_9`] kills.
#[test]
fn actor_to_be_killed() {
    let Some(folder) = std::env::var_os("DRAY_STORE_ACTOR") else {
        return;
    };
    let number = |name| std::env::var(name).expect("set").parse().expect("a number");
    let (seed, actions) = (number("DRAY_ACTOR_SEED"), number("DRAY_ACTOR_FROM"));
    let mut model = Model::after(seed, actions);
    let store = open(Path::new(&folder));
    loop {
        let action = model.next(seed);
        act(&store, &model, &action);
        model.act(&action);
        println!("done {}", model.actions);
    }
}

/// Lets the actor go on from there until it is killed; returns how many actions it said were done.
fn killed(folder: &Path, seed: u64, from: u64, lines: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["model::actor_to_be_killed", "--exact", "--nocapture"])
        .env("DRAY_STORE_ACTOR", folder)
        .env("DRAY_ACTOR_SEED", seed.to_string())
        .env("DRAY_ACTOR_FROM", from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test again");
    let output = BufReader::new(child.stdout.take().expect("it was asked for"));
    let mut done = from;
    for line in output.lines().map_while(Result::ok) {
        // The last line may be cut by the kill: what is left of its number is no larger.
        let said = line.split_once("done ").and_then(|(_, n)| n.parse().ok());
        done = done.max(said.unwrap_or(0));
        if done >= from + lines {
            child.kill().expect("our own child");
        }
    }
    child.wait().expect("our own child");
    done
}

#[test]
fn nothing_but_what_the_model_says_is_there_after_kill_9() {
    let kills = if std::env::var_os("DRAY_SOAK").is_some() {
        200
    } else {
        10
    };
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let mut from = 0;
    for kill in 0..kills {
        let done = killed(folder.path(), seed, from, random.random_range(1..150));
        let store = open(folder.path());
        let (answered, next) = (Model::after(seed, done), Model::after(seed, done + 1));
        from = match (answered.differs(&store), next.differs(&store)) {
            (None, _) => done,
            (_, None) => done + 1,
            (Some(one), Some(other)) => panic!(
                "seed {seed}, kill {kill}, after {done} actions: {one}; and with the one that was being done ({:?}): {other}",
                answered.next(seed)
            ),
        };
    }
    println!("{kills} kills, {from} actions");
}
