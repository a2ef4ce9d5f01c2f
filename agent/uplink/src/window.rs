//! What to send next. Pure: no socket, no clock, no buffer.
//!
//! Flows take turns by weight: each has a virtual time that runs on by what it sent divided by its
//! weight, and the one that is farthest behind goes next. So a bulk flow gets what others leave, and
//! an urgent block waits for what is on its way alone: [`FLOW_BYTES_MAX`] of a flow, at most.

use std::collections::VecDeque;

use dray_buffer::Sequence;

/// Bytes that may be on their way, all told.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one flow that may be on their way: others always find room.
pub const FLOW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks that may be on their way, all told.
pub const BLOCKS_MAX: usize = 512;
/// Bytes that one turn sends, at most, beyond its first block.
pub const TURN_BYTES: usize = 512 * 1024;

/// What the collector said that it holds of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The epoch of its newest block; 0 for none.
    pub epoch: u64,
    /// The sequence it expects next.
    pub next: Sequence,
    /// The chain after its newest block; 0 for none.
    pub chain: u64,
    /// Whether it holds anything of this agent's epoch.
    pub knows_epoch: bool,
    /// Whether it lacks what it held when our epoch began.
    pub lacks_earlier: bool,
}

/// What the agent's blocks say of the place where the collector's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A block of ours ends or begins there, with this chain between.
    Chain(u64),
    /// It is in the middle of a block of ours.
    Inside,
    /// No block that touches it is held: nothing can be compared.
    Unknown,
}

/// What the agent holds of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// The newest sequence acked; 0 for none.
    pub acked: Sequence,
    /// The newest sequence appended; 0 for none.
    pub appended: Sequence,
    /// Of the collector's next.
    pub place: Place,
}

/// How a flow begins a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Everything below is acked; sending goes on here.
    At(Sequence),
    /// The two have another past: all that is held here is sent in a new epoch, of which the collector takes what it does not
    /// have.
    NewEpoch {
        /// A sentence.
        why: String,
        /// Whether the collector is ahead: the source goes on at its position.
        behind: bool,
    },
    /// What the collector needs is held by nobody any more; a person decides.
    Stop(String),
}

/// Compares what both sides hold.
///
/// A collector that holds more than was ever appended here, or other events under the same numbers, has another past than
/// this agent: the agent's disk was restored, and a new epoch begins. To take the collector's word for an ack would
/// forget events that it never had. One that holds less than was acked was restored itself: those events are gone here, and
/// only a person may go on without them.
#[must_use]
pub fn begin(epoch: u64, own: Own, held: Held) -> Begin {
    let (next, acked) = (held.next, own.acked);
    if held.epoch != epoch {
        if held.lacks_earlier {
            return Begin::Stop(
                "the collector had events of this flow before this agent's epoch began, and does not have them any more: its log was restored \
                 from an older state, or lost. Restore a newer one, or go on without them, on the collector: dray-collector resume \
                 SITE/FLOW --accept-gap"
                    .into(),
            );
        }
        // A flow that the collector never had, or had from a buffer before this one.
        if acked == Sequence(0) {
            return Begin::At(Sequence(1));
        }
        if held.knows_epoch {
            return Begin::NewEpoch {
                why: "the collector has events of a later epoch of this flow: this agent's disk was restored from an older state, or \
                      is a copy of another one's"
                    .into(),
                behind: true,
            };
        }
        return gap(Sequence(1), acked);
    }
    if next.0 > own.appended.0 + 1 {
        return Begin::NewEpoch {
            why: format!(
                "the collector holds events up to {}, this agent only up to {}: its disk was restored from an older state",
                next.0 - 1,
                own.appended
            ),
            behind: true,
        };
    }
    if next <= acked {
        return gap(next, acked);
    }
    match own.place {
        Place::Chain(chain) if chain == held.chain => Begin::At(next),
        Place::Unknown => Begin::At(next),
        Place::Chain(_) | Place::Inside => Begin::NewEpoch {
            why: format!(
                "the collector holds other events under the numbers up to {} than this agent: its disk was restored from an \
                 older state and written on",
                next.0.saturating_sub(1)
            ),
            behind: false,
        },
    }
}

fn gap(first: Sequence, last: Sequence) -> Begin {
    Begin::Stop(format!(
        "events {first} to {last} were acked and forgotten here, and the collector does not have them: its log was restored from an \
         older state, or lost. Restore a newer one, or go on without them, on the collector: dray-collector resume SITE/FLOW \
         --accept-gap"
    ))
}

#[derive(Debug)]
struct Flow {
    weight: u64,
    open: bool,
    next: u64,
    appended: u64,
    time: u64,
    in_flight: VecDeque<(u64, usize)>,
    bytes: usize,
}

/// All flows of a connection.
#[derive(Debug)]
pub struct Window {
    flows: Vec<Flow>,
    bytes: usize,
    blocks: usize,
    /// The virtual time of the newest turn: who was idle begins here.
    now: u64,
}

/// One turn: read this flow from here on, and send what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The flow's index.
    pub flow: usize,
    /// The first sequence.
    pub from: Sequence,
    /// Bytes to read, at most, beyond the first block.
    pub bytes_max: usize,
}

impl Window {
    /// A window over flows of these weights, all of them closed.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let flow = |weight: &u32| Flow {
            weight: u64::from((*weight).max(1)),
            open: false,
            next: 1,
            appended: 0,
            time: 0,
            in_flight: VecDeque::new(),
            bytes: 0,
        };
        Self {
            flows: weights.iter().map(flow).collect(),
            bytes: 0,
            blocks: 0,
            now: 0,
        }
    }

    /// Opens a flow: sending begins at `next`.
    pub fn open(&mut self, flow: usize, next: Sequence, appended: Sequence) {
        let flow = &mut self.flows[flow];
        (flow.open, flow.next, flow.appended) = (true, next.0, appended.0);
    }

    /// Closes a flow: nothing more of it is sent.
    pub fn close(&mut self, flow: usize) {
        let flow = &mut self.flows[flow];
        flow.open = false;
        self.bytes -= flow.bytes;
        self.blocks -= flow.in_flight.len();
        flow.in_flight.clear();
        flow.bytes = 0;
    }

    /// More was appended.
    pub fn appended(&mut self, flow: usize, through: Sequence) {
        let now = self.now;
        let flow = &mut self.flows[flow];
        if flow.appended < flow.next && through.0 >= flow.next {
            // It was idle: it has saved up no turns.
            flow.time = flow.time.max(now);
        }
        flow.appended = flow.appended.max(through.0);
    }

    /// Whose turn it is; `None` when nothing waits or nothing more may be on its way.
    #[must_use]
    pub fn turn(&self) -> Option<Turn> {
        if self.bytes >= BYTES_MAX || self.blocks >= BLOCKS_MAX {
            return None;
        }
        let may =
            |flow: &Flow| flow.open && flow.next <= flow.appended && flow.bytes < FLOW_BYTES_MAX;
        let (index, flow) = self
            .flows
            .iter()
            .enumerate()
            .filter(|(_, flow)| may(flow))
            .min_by_key(|(_, flow)| flow.time)?;
        Some(Turn {
            flow: index,
            from: Sequence(flow.next),
            bytes_max: TURN_BYTES,
        })
    }

    /// A block was sent.
    pub fn sent(&mut self, flow: usize, last: Sequence, bytes: usize) {
        self.bytes += bytes;
        self.blocks += 1;
        let flow = &mut self.flows[flow];
        self.now = self.now.max(flow.time);
        flow.time += (bytes as u64 + 1) * 16 / flow.weight;
        flow.next = last.0 + 1;
        flow.bytes += bytes;
        flow.in_flight.push_back((last.0, bytes));
    }

    /// The collector has everything up to `through`. False if it can't have: that was never sent.
    pub fn acked(&mut self, flow: usize, through: Sequence) -> bool {
        let flow = &mut self.flows[flow];
        if through.0 >= flow.next {
            return false;
        }
        while let Some((_, bytes)) = flow.in_flight.pop_front_if(|(last, _)| *last <= through.0) {
            flow.bytes -= bytes;
            self.bytes -= bytes;
            self.blocks -= 1;
        }
        true
    }

    /// Bytes on their way.
    #[must_use]
    pub fn bytes_in_flight(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_where_to_go_on_or_say_why_not() {
        let at =
            |acked, appended, (epoch, knows_epoch), next, place, expected: Result<u64, &str>| {
                let own = Own {
                    acked: Sequence(acked),
                    appended: Sequence(appended),
                    place,
                };
                let held = Held {
                    epoch,
                    next: Sequence(next),
                    chain: 5,
                    knows_epoch,
                    lacks_earlier: false,
                };
                let found = match begin(7, own, held) {
                    Begin::At(at) => Ok(at.0),
                    Begin::NewEpoch { why, behind } => Err(format!("new epoch, {behind}: {why}")),
                    Begin::Stop(why) => Err(format!("stop: {why}")),
                };
                match (&found, expected) {
                    (Ok(at), Ok(expected)) => assert_eq!(*at, expected),
                    (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
                    (found, expected) => panic!("{found:?}, {expected:?} was expected"),
                }
            };
        let check = |acked, appended, epoch, next, expected| {
            at(
                acked,
                appended,
                (epoch, epoch == 7),
                next,
                Place::Chain(5),
                expected,
            );
        };
        check(0, 0, 0, 1, Ok(1));
        check(0, 50, 0, 1, Ok(1));
        check(0, 50, 9, 400, Ok(1));
        check(10, 50, 7, 31, Ok(31));
        check(10, 50, 7, 51, Ok(51));
        check(10, 50, 7, 11, Ok(11));
        check(
            10,
            50,
            7,
            52,
            Err("new epoch, true: the collector holds events up to 51, this agent only up to 50"),
        );
        check(10, 50, 7, 10, Err("stop: events 10 to 10 were acked"));
        check(10, 50, 0, 1, Err("stop: events 1 to 10 were acked"));
        check(10, 50, 9, 1, Err("stop: events 1 to 10 were acked"));
        at(
            10,
            50,
            (9, true),
            400,
            Place::Unknown,
            Err("new epoch, true: the collector has events of a later epoch"),
        );
        at(50, 50, (7, true), 51, Place::Unknown, Ok(51));
        at(
            10,
            50,
            (7, true),
            31,
            Place::Chain(6),
            Err("new epoch, false: the collector holds other events"),
        );
        at(10, 50, (7, true), 31, Place::Inside, Err("up to 30"));
        at(0, 50, (9, false), 400, Place::Inside, Ok(1));
    }

    #[test]
    fn a_log_that_lost_what_stood_before_our_epoch_stops_the_flow_though_all_of_ours_is_held() {
        let own = Own {
            acked: Sequence(0),
            appended: Sequence(50),
            place: Place::Unknown,
        };
        let mut held = Held {
            epoch: 9,
            next: Sequence(101),
            chain: 5,
            knows_epoch: false,
            lacks_earlier: true,
        };
        let Begin::Stop(why) = begin(7, own, held) else {
            panic!("it goes on");
        };
        assert!(why.contains("--accept-gap"), "{why}");
        held.epoch = 7;
        held.next = Sequence(1);
        let begun = begin(7, own, held);
        assert_eq!(begun, Begin::At(Sequence(1)), "the gap was accepted");
    }

    fn opened(weights: &[u32]) -> Window {
        let mut window = Window::new(weights);
        for flow in 0..weights.len() {
            window.open(flow, Sequence(1), Sequence(0));
            window.appended(flow, Sequence(1_000_000));
        }
        window
    }

    #[test]
    fn turns_follow_the_weights_and_an_urgent_newcomer_goes_first() {
        let mut window = opened(&[16, 4, 1]);
        let mut sent = [0_usize; 3];
        for n in 0..2_100_u64 {
            let turn = window.turn().expect("there is more");
            window.sent(turn.flow, turn.from, 10_000);
            assert!(window.acked(turn.flow, turn.from), "{n}");
            sent[turn.flow] += 1;
        }
        assert!(
            (1_580..=1_620).contains(&sent[0]) && (390..=410).contains(&sent[1]),
            "{sent:?}"
        );
        let mut window = opened(&[16, 1]);
        window.close(0);
        for _ in 0..100 {
            let turn = window.turn().expect("there is more");
            window.sent(turn.flow, turn.from, 60_000);
        }
        window.open(0, Sequence(1), Sequence(0));
        assert_eq!(
            window.turn().map(|turn| turn.flow),
            Some(1),
            "nothing of it waits"
        );
        window.appended(0, Sequence(1));
        assert_eq!(
            window.turn().map(|turn| turn.flow),
            Some(0),
            "its turn comes at once"
        );
    }

    #[test]
    fn what_is_on_its_way_is_bounded_and_one_flow_leaves_room() {
        let mut window = opened(&[1, 1]);
        while let Some(turn) = window.turn().filter(|turn| turn.flow == 0) {
            window.sent(0, turn.from, 1_000_000);
            window.flows[1].time = 1 << 60;
        }
        assert!(window.bytes_in_flight() <= FLOW_BYTES_MAX + 1_000_000);
        assert_eq!(window.turn().map(|turn| turn.flow), Some(1));
        while let Some(turn) = window.turn() {
            window.sent(turn.flow, turn.from, 1_000_000);
        }
        assert!(window.bytes_in_flight() <= BYTES_MAX + 1_000_000);
        assert!(window.acked(0, Sequence(3)));
        assert!(window.turn().is_some());
        window.close(0);
        window.close(1);
        assert_eq!(
            (window.bytes_in_flight(), window.blocks, window.turn()),
            (0, 0, None)
        );
    }

    #[test]
    fn acks_of_what_was_not_sent_are_seen() {
        let mut window = opened(&[1]);
        window.sent(0, Sequence(10), 5);
        assert!(window.acked(0, Sequence(4)), "inside a block");
        assert_eq!(window.bytes_in_flight(), 5);
        assert!(window.acked(0, Sequence(10)));
        assert!(window.acked(0, Sequence(10)), "a repeat");
        assert!(!window.acked(0, Sequence(11)));
    }
}
