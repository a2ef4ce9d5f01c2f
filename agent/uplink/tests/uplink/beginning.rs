//! What both sides hold, compared at each Welcome.

use std::sync::Arc;

use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};

use crate::agent::{Agent, chain_before, put};
use crate::collector::Collector;

/// What the collector says that it holds of a flow whose blocks begin at 1, 4, 9 and end with 10.
struct Case {
    /// What the buffer was told to forget before.
    acked: u64,
    epoch: Epoch,
    next: u64,
    chain_differs: bool,
    expected: Expected,
}

/// Of the collector's newest block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Epoch {
    Ours,
    /// Another one; ours it never had.
    Other,
    /// Another one, after ours.
    Later,
}

#[derive(Clone, Copy)]
enum Expected {
    /// Blocks with these first sequences are sent.
    Sent(&'static [u64]),
    /// A new epoch: the source is opened again, where the collector stands or at its own place, and what is held is sent under
    /// numbers that begin with 1.
    Anew(Option<&'static str>, &'static [u64]),
    /// The flow stops with these words; no other does.
    Stops(&'static str),
}

async fn check(case: Case) {
    let collector = Collector::start().await;
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[3, 5, 2]).await;
    put(&buffer, "b", &[1]).await;
    let chain = match case.next {
        4 | 9 | 11 => chain_before(&buffer, "a", case.next),
        _ => 0,
    };
    buffer
        .ack("a", buffer.epoch(), Sequence(case.acked))
        .unwrap();
    let before = buffer.depth("a");
    let ours = case.epoch == Epoch::Ours;
    let own = buffer.epoch();
    let epoch = own ^ u64::from(!ours);
    let chain = chain ^ u64::from(case.chain_differs);
    let knows = case.epoch != Epoch::Other;
    collector.holds_also("a", epoch, case.next, chain, "there", knows);

    let agent = Agent::start(&collector, &buffer, &["a", "b"]);
    if let Expected::Anew(position, firsts) = case.expected {
        let told = agent.until("it is opened again", |told| told.reopened.first().cloned());
        let position = position.map(|there| there.as_bytes().to_vec().into());
        assert_eq!(told.await, ("a".to_owned(), position));
        let came = collector.until("what is held", |seen| {
            let stream = seen.hellos.len();
            Some((seen.hellos[stream - 1].epoch, seen.firsts(stream, "a")))
                .filter(|(_, came)| came.len() == firsts.len())
        });
        let (epoch, came) = came.await;
        assert!(epoch != own && epoch == buffer.epoch());
        assert_eq!(came, firsts);
        return agent.stop().await;
    }
    let other = collector.until("the other flow", |seen| {
        seen.firsts(1, "b").first().copied()
    });
    assert_eq!(other.await, 1);
    match case.expected {
        Expected::Sent(firsts) => {
            let came = collector.until("what is left", |seen| {
                Some(seen.firsts(1, "a")).filter(|came| came.len() == firsts.len())
            });
            assert_eq!(came.await, firsts);
            if ours {
                assert_eq!(buffer.depth("a").acked.0, case.next - 1);
            }
            let held = agent.until("where it goes on", |told| told.held.get("a").cloned());
            assert_eq!(held.await, "there");
            agent.stop().await;
        }
        Expected::Stops(words) => {
            let why = agent.stopped("a").await;
            assert!(why.contains(words), "{why}");
            assert_eq!(buffer.depth("a"), before, "nothing is forgotten: {words}");
            agent.stop().await;
            assert!(collector.seen.borrow().firsts(1, "a").is_empty(), "{words}");
        }
        Expected::Anew(..) => unreachable!("looked at above"),
    }
}

async fn check_all<const N: usize>(table: [(u64, Epoch, u64, bool, Expected); N]) {
    for (acked, epoch, next, chain_differs, expected) in table {
        check(Case {
            acked,
            epoch,
            next,
            chain_differs,
            expected,
        })
        .await;
    }
}

use Epoch::{Later, Other, Ours};
use Expected::{Anew, Sent, Stops};

#[tokio::test]
async fn a_collector_that_holds_more_or_less_than_the_agent_knows_of_gets_the_rest() {
    check_all([
        (0, Other, 1, false, Sent(&[1, 4, 9])),
        // From a buffer before this one.
        (0, Other, 400, false, Sent(&[1, 4, 9])),
        (0, Ours, 4, false, Sent(&[4, 9])),
        (3, Ours, 4, false, Sent(&[4, 9])),
        (3, Ours, 9, false, Sent(&[9])),
        (3, Ours, 11, false, Sent(&[])),
    ])
    .await;
}

#[tokio::test]
async fn an_agent_whose_disk_was_restored_begins_a_new_epoch_and_sends_all_that_it_holds() {
    check_all([
        // The collector is ahead: the source goes on where the collector stands.
        (0, Ours, 12, false, Anew(Some("there"), &[1, 4, 9])),
        (3, Ours, 400, false, Anew(Some("there"), &[1, 6])),
        (3, Later, 4, false, Anew(Some("there"), &[1, 6])),
        // Both went on from a common past, each its own way.
        (0, Ours, 4, true, Anew(None, &[1, 4, 9])),
        (3, Ours, 4, true, Anew(None, &[1, 6])),
        (3, Ours, 11, true, Anew(None, &[1, 6])),
        // In the middle of a block of ours.
        (3, Ours, 6, false, Anew(None, &[1, 6])),
    ])
    .await;
}

#[tokio::test]
async fn events_that_nobody_holds_stop_the_flow_with_a_sentence_and_no_other() {
    check_all([
        (
            8,
            Ours,
            4,
            false,
            Stops("events 4 to 8 were acked and forgotten here"),
        ),
        (
            8,
            Ours,
            1,
            false,
            Stops("events 1 to 8 were acked and forgotten here"),
        ),
        (
            8,
            Other,
            1,
            false,
            Stops("events 1 to 8 were acked and forgotten here"),
        ),
        (8, Other, 400, false, Stops("--accept-gap")),
    ])
    .await;
}
