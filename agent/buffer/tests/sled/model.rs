//! Random actions with kill -9 in between, against a model: what was answered is there, and nothing else is but what was
//! being done at the kill.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use dray_buffer::conformance::{append, block};
use dray_buffer::{Buffer, MarkState, NewBlock, Options, Sequence, SledBuffer};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::small;

const FLOWS: [&str; 3] = ["a", "b", "c"];
/// What the model holds before it acks instead of appending.
const HELD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// The longest block: it is cut in three.
const BLOCK_BYTES_MAX: usize = 150_000;

fn open(folder: &Path) -> SledBuffer {
    let options = Options {
        generation_bytes: 1024 * 1024,
        // Half of it is reached now and then: parts of generations are put together.
        bytes_max: 256 * 1024 * 1024,
        ..small(folder)
    };
    SledBuffer::open(options).expect("a buffer")
}

/// One thing that is done to a buffer. Each follows from the seed, its number and the state before it alone.
#[derive(Debug)]
enum Action {
    Append {
        flow: usize,
        blocks: Vec<NewBlock>,
        mark: Option<String>,
    },
    Ack {
        flow: usize,
        through: u64,
    },
    NewEpoch,
}

/// A flow as it should be: the blocks of this epoch with their first numbers, and how far it is acked.
#[derive(Debug, Clone, Default)]
struct Flow {
    blocks: Vec<(u64, NewBlock)>,
    appended: u64,
    acked: u64,
    position: Option<Bytes>,
    marks: Vec<String>,
}

impl Flow {
    fn held(&self) -> impl Iterator<Item = &(u64, NewBlock)> {
        let end = |(first, block): &(u64, NewBlock)| first + u64::from(block.count) - 1;
        self.blocks.iter().filter(move |one| end(one) > self.acked)
    }
}

#[derive(Debug, Clone, Default)]
struct Model {
    flows: [Flow; 3],
    actions: u64,
}

impl Model {
    fn after(seed: u64, actions: u64) -> Self {
        let mut model = Self::default();
        while model.actions < actions {
            let action = model.next(seed);
            model.act(action);
        }
        model
    }

    fn next(&self, seed: u64) -> Action {
        let n = self.actions;
        let mut random = StdRng::seed_from_u64(seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let flow = random.random_range(0..FLOWS.len());
        let bytes = |flow: &Flow| {
            flow.held()
                .map(|(_, block)| block.payload.len())
                .sum::<usize>()
        };
        let held: usize = self.flows.iter().map(bytes).sum();
        let ack = |random: &mut StdRng, flow: usize| Action::Ack {
            flow,
            through: random.random_range(0..=self.flows[flow].appended),
        };
        match random.random_range(0..100) {
            _ if held > HELD_BYTES_MAX => ack(&mut random, flow),
            0..70 => {
                let blocks = (0..random.random_range(0..4)).map(|at| {
                    let bytes = match random.random_range(0..10) {
                        0 => random.random_range(60_000..BLOCK_BYTES_MAX),
                        _ => random.random_range(1..20_000),
                    };
                    block(random.random_range(1..1_000), bytes, &format!("{n}.{at}"))
                });
                Action::Append {
                    flow,
                    blocks: blocks.collect(),
                    mark: random.random_bool(0.3).then(|| format!("mark {n}")),
                }
            }
            // The last flow is acked seldom.
            70..98 if flow < 2 || random.random_bool(0.1) => ack(&mut random, flow),
            // Seldom: generations of different epochs are never put together.
            98.. if random.random_bool(0.2) => Action::NewEpoch,
            _ => ack(&mut random, 0),
        }
    }

    fn act(&mut self, action: Action) {
        self.actions += 1;
        match action {
            Action::Append { flow, blocks, mark } => {
                let flow = &mut self.flows[flow];
                let last = blocks.last().map(|block| block.position.clone());
                flow.position = Some(last.unwrap_or(Bytes::from_static(b"none")));
                for block in blocks {
                    let first = flow.appended + 1;
                    flow.appended += u64::from(block.count);
                    flow.blocks.push((first, block));
                }
                flow.marks.extend(mark);
            }
            Action::Ack { flow, through } => {
                let flow = &mut self.flows[flow];
                let ends = |(first, block): &(u64, NewBlock)| first + u64::from(block.count) - 1;
                let whole = flow.blocks.iter().map(ends).filter(|end| *end <= through);
                flow.acked = flow.acked.max(whole.max().unwrap_or(0));
            }
            Action::NewEpoch => {
                for flow in &mut self.flows {
                    let held: Vec<NewBlock> = flow.held().map(|(_, block)| block.clone()).collect();
                    (flow.blocks, flow.appended, flow.acked) = (Vec::new(), 0, 0);
                    for block in held {
                        flow.blocks.push((flow.appended + 1, block.clone()));
                        flow.appended += u64::from(block.count);
                    }
                }
            }
        }
    }

    /// Where a buffer that was just opened differs. Acks are not durable: it may hold what was acked.
    fn differs(&self, buffer: &SledBuffer) -> Option<String> {
        FLOWS
            .iter()
            .zip(&self.flows)
            .find_map(|(name, flow)| flow_differs(name, flow, buffer))
    }
}

fn flow_differs(name: &str, flow: &Flow, buffer: &SledBuffer) -> Option<String> {
    let depth = buffer.depth(name);
    let wrong = |what: &str| Some(format!("{name}: {what}; {depth:?}"));
    if depth.appended.0 != flow.appended {
        return wrong(&format!("{} should be appended", flow.appended));
    }
    if depth.acked.0 > flow.acked {
        return wrong(&format!("only {} should be acked", flow.acked));
    }
    if buffer.position(name) != flow.position {
        return wrong("another position");
    }
    let lost = |mark: &&String| buffer.seen(name, mark.as_bytes()) == MarkState::New;
    if let Some(mark) = flow.marks.iter().find(lost) {
        return wrong(&format!("{mark} is forgotten"));
    }
    if buffer.seen(name, b"never") != MarkState::New {
        return wrong("a mark that nobody set");
    }
    let read = match buffer.read(name, Sequence(1), usize::MAX) {
        Ok(read) => read,
        Err(error) => return wrong(&error.to_string()),
    };
    let held = flow
        .blocks
        .iter()
        .filter(|(first, _)| *first > depth.acked.0);
    if held.clone().count() != read.len() {
        return wrong(&format!("{} blocks are read", read.len()));
    }
    let mut chain = depth.oldest_chain;
    for ((first, block), stored) in held.zip(&read) {
        let same = stored.first_sequence.0 == *first
            && stored.chain == chain
            && stored.block.count == block.count
            && stored.block.position == block.position
            && stored.block.payload == block.payload;
        if !same {
            return wrong(&format!("another block at {first}"));
        }
        chain = stored.chain_after;
    }
    None
}

/// Not a test by itself: the process that [`nothing_but_what_the_model_says_is_there_after_kill_9`] kills.
#[test]
fn actor_to_be_killed() {
    let Some(folder) = std::env::var_os("DRAY_BUFFER_ACTOR") else {
        return;
    };
    let number = |name| std::env::var(name).expect("set").parse().expect("a number");
    let (seed, actions) = (number("DRAY_ACTOR_SEED"), number("DRAY_ACTOR_FROM"));
    let mut model = Model::after(seed, actions);
    let buffer = open(Path::new(&folder));
    // The collector tells again what it has.
    let ack = |flow: usize, through: u64| {
        let acked = buffer.ack(FLOWS[flow], buffer.epoch(), Sequence(through));
        acked.expect("an answer");
    };
    for (at, flow) in model.flows.iter().enumerate() {
        ack(at, flow.acked);
    }
    loop {
        let action = model.next(seed);
        match &action {
            Action::Append { flow, blocks, mark } => {
                let marks: Vec<&str> = mark.iter().map(String::as_str).collect();
                let receipt = buffer.append(append(FLOWS[*flow], blocks.clone(), &marks));
                receipt.wait().expect("it fits");
            }
            Action::Ack { flow, through } => ack(*flow, *through),
            Action::NewEpoch => {
                buffer.begin_epoch().expect("an epoch");
            }
        }
        model.act(action);
        println!("done {}", model.actions);
    }
}

/// Lets the actor go on from there until it is killed; returns how many actions it said were done.
fn killed(folder: &Path, seed: u64, from: u64, lines: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["model::actor_to_be_killed", "--exact", "--nocapture"])
        .env("DRAY_BUFFER_ACTOR", folder)
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
        let buffer = open(folder.path());
        let (answered, next) = (Model::after(seed, done), Model::after(seed, done + 1));
        from = match (answered.differs(&buffer), next.differs(&buffer)) {
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
