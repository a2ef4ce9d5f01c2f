//! A transaction of the log that is coming, of which a part may have been appended before.

use std::mem;
use std::sync::Arc;

use dray_adapter::{IdScope, Reported};

use super::event::Begin;
use super::place::Place;
use crate::again::Stands as _;
use crate::reader::Ready;
use crate::rows::Rows;

/// A transaction that is coming.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) begin: Begin,
    pub(super) gtid: Arc<str>,
    pub(super) committed_at: String,
    scope: IdScope,
    /// A statement alone: no commit comes behind it.
    pub(super) stands_alone: bool,
    /// Whether it is committed is said later, if at all.
    pub(super) is_prepared: bool,
    /// Events with rows so far, and as many were appended before.
    pub(super) events: u64,
    pub(super) passed_over: u64,
    /// Rows of ours in those that are passed over.
    pub(super) counted: u64,
    /// Rows of ours so far.
    pub(super) rows: u64,
    /// A part of them was handed out.
    pub(super) is_out: bool,
}

impl Transaction {
    /// # Errors
    /// A sentence: it is not the one that was appended in part.
    pub(super) fn begin(
        flow: &str,
        place: &Place,
        begin: Begin,
        committed_at: String,
    ) -> Result<Self, String> {
        let gtid = begin.to_string();
        let (passed_over, rows) = match &place.within {
            None => (0, 0),
            Some(within) if within.gtid == gtid => (within.events, within.rows),
            Some(within) => {
                return Err(format!(
                    "the transaction {} was appended in part, and the server goes on with another, {gtid}: a part of the log is missing",
                    within.gtid
                ));
            }
        };
        let (stands_alone, is_prepared) = match &begin {
            Begin::Maria {
                stands_alone,
                is_prepared,
                ..
            } => (*stands_alone, *is_prepared),
            // A statement tells.
            _ => (true, false),
        };
        Ok(Self {
            begin,
            scope: place.scope(flow, &[gtid.as_bytes()]),
            gtid: gtid.into(),
            committed_at,
            stands_alone,
            is_prepared,
            events: 0,
            passed_over,
            counted: 0,
            rows,
            is_out: passed_over > 0,
        })
    }

    /// One more event is passed over: when all are, they must have held the rows that were appended. Another server may cut a transaction elsewhere.
    pub(super) fn passes(&self) -> Result<(), String> {
        match self.events == self.passed_over && self.counted != self.rows {
            false => Ok(()),
            true => Err(format!(
                "the transaction {} was appended in part, {} rows of {} events, and the server has {} rows in these: it is another server, or the flow names other tables now, and which rows are missing is not known; name the same tables, or give the flow another name",
                self.gtid, self.rows, self.passed_over, self.counted
            )),
        }
    }

    /// What is to be appended of it now.
    pub(super) fn ready(
        &self,
        (rows, reports): (&mut Rows, &mut Vec<Reported>),
        place: &Place,
        ends: bool,
    ) -> Ready<Place> {
        Ready {
            records: rows.take(),
            rejects: Vec::new(),
            reports: mem::take(reports),
            scope: self.scope,
            change_position: Arc::clone(&self.gtid),
            place: place.clone(),
            ends,
        }
    }
}
