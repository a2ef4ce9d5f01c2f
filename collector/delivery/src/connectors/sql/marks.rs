//! Which events of a delivery are in already: marks them, and says which had no mark.

use std::collections::{BTreeMap, HashSet};

use super::session::{Session, Text};
use super::{Row, Sql, dialect};
use crate::outcome::Outcome;

impl Sql {
    /// The server says which had none.
    pub(super) async fn mark(
        &self,
        session: &mut Session,
        rows: &[Row],
    ) -> Result<HashSet<(String, String)>, Outcome> {
        let mut fresh = HashSet::with_capacity(rows.len());
        for (sql, texts) in self.marks(rows) {
            let found = session.ask(&sql, texts).await?;
            fresh.extend(found.into_iter().filter_map(pair));
        }
        Ok(fresh)
    }

    /// For servers that don't say: whoever is in doubt asks first, others find out by failing.
    pub(super) async fn mark_unseen(
        &self,
        session: &mut Session,
        rows: &[Row],
        in_doubt: bool,
    ) -> Result<HashSet<(String, String)>, Outcome> {
        let all = || rows.iter().map(|row| (row.flow.clone(), row.id.clone()));
        if !in_doubt {
            let mut marked = Ok(());
            for (sql, texts) in self.marks(rows) {
                marked = session.run(&sql, texts).await.map(drop);
                if marked.is_err() {
                    break;
                }
            }
            match marked {
                Ok(()) => return Ok(all().collect()),
                Err(Outcome::Rejected(_)) => {}
                Err(outcome) => return Err(outcome),
            }
            session.end("ROLLBACK").await?;
            session.begin().await?;
        }
        let mut seen = HashSet::new();
        let mut left = rows;
        while !left.is_empty() {
            let (part, rest) = left.split_at(dialect::next(left.len(), 2));
            let pairs = part
                .iter()
                .flat_map(|row| [Some(row.flow.clone()), Some(row.id.clone())]);
            let texts = [Some(self.target.clone())].into_iter().chain(pairs);
            let sql = dialect::marked(self.plan.server, part.len());
            let found = session.ask(&sql, texts.collect()).await?;
            seen.extend(found.into_iter().filter_map(pair));
            left = rest;
        }
        let unseen: Vec<&Row> = rows
            .iter()
            .filter(|row| !seen.contains(&(row.flow.clone(), row.id.clone())))
            .collect();
        for (sql, texts) in self.marks(unseen.iter().copied()) {
            // A mark that came meanwhile is of a transaction that was killed: the next try sees it.
            let marked = session.run(&sql, texts).await;
            marked.map_err(|outcome| match outcome {
                Outcome::Rejected(said) => Outcome::Transient(said),
                other => other,
            })?;
        }
        Ok(all().filter(|event| !seen.contains(event)).collect())
    }

    /// Of replayed events that had no mark: whether that says anything. Asked after they were marked, as marks may go at any time.
    pub(super) async fn refuse_unknown(
        &self,
        session: &mut Session,
        rows: &[Row],
        fresh: &HashSet<(String, String)>,
    ) -> Result<(), Outcome> {
        let is_fresh = |row: &&Row| fresh.contains(&(row.flow.clone(), row.id.clone()));
        let mut first: BTreeMap<&str, u64> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.replayed).filter(is_fresh) {
            let first = first.entry(&row.flow).or_insert(row.offset);
            *first = (*first).min(row.offset);
        }
        let sql = dialect::forgotten(self.plan.server);
        for (flow, first) in first {
            let texts = vec![Some(self.target.clone()), Some(flow.to_owned())];
            let found = session.ask(&sql, texts).await?;
            let through = found.into_iter().flatten().flatten().next();
            let through = through.and_then(|text| text.parse().ok()).unwrap_or(0);
            if first <= through {
                return Err(Outcome::Rejected(format!(
                    "nobody knows whether its row is there: the table only adds rows, and {} keeps no marks up to offset {through} any more. Look for the row, and add it by hand where it is missing",
                    dialect::MARKS
                )));
            }
        }
        Ok(())
    }

    /// The statements that mark events.
    fn marks<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a Row, IntoIter: ExactSizeIterator>,
    ) -> Vec<(String, Vec<Text>)> {
        let mut rows = rows.into_iter();
        let mut calls = Vec::new();
        while rows.len() > 0 {
            let size = dialect::next(rows.len(), dialect::MARK_COLUMNS);
            let mark = |row: &Row| {
                [
                    Some(self.target.clone()),
                    Some(row.flow.clone()),
                    Some(row.id.clone()),
                    Some(row.offset.to_string()),
                    Some(u8::from(row.again).to_string()),
                ]
            };
            let texts = rows.by_ref().take(size).flat_map(mark).collect();
            calls.push((dialect::mark(self.plan.server, size), texts));
        }
        calls
    }
}

fn pair(row: Vec<Text>) -> Option<(String, String)> {
    match <[Text; 2]>::try_from(row).ok()? {
        [Some(flow), Some(id)] => Some((flow, id)),
        _ => None,
    }
}
