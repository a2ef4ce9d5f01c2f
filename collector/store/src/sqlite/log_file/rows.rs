//! What stands in a log file: flows and blocks, each row with its sum.

use bytes::Bytes;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{FlowName, Offset, Sequence};
use prost::Message as _;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use crate::api::{Held, LogBlock};
use crate::recent::take_while_fits;
use crate::sqlite::sums;

/// Blocks that one read fetches, at most.
const READ_BLOCKS_MAX: usize = 256;

/// Whether it says that the file is not what was written.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::*;
    match error {
        SqliteFailure(code, _) => matches!(
            code.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch
        ),
        FromSqlConversionFailure(..)
        | InvalidColumnType(..)
        | IntegralValueOutOfRange(..)
        | Utf8Error(..)
        | InvalidQuery => true,
        _ => false,
    }
}

/// A flow as a file has it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// Its number in this file.
    pub(crate) id: i64,
    pub(crate) flow: FlowName,
    /// The newest offset when the file was begun.
    pub(crate) opened_at: Offset,
    pub(crate) held: Held,
}

/// All flows, and whether each row is as it was written.
pub(crate) fn standings(connection: &Connection) -> rusqlite::Result<Vec<(Standing, bool)>> {
    let mut statement = connection.prepare(
        "SELECT id, name, opened_at, epoch, next_sequence, chain, position, newest_offset, last_captured_us, agent,
             epoch_since_us, sum FROM flow",
    )?;
    let rows = statement.query_map([], |row| {
        let name: String = row.get(1)?;
        let flow = FlowName::parse(&name).ok_or(rusqlite::Error::InvalidQuery)?;
        let held = Held {
            epoch: unsigned(row, 3)?,
            next_sequence: Sequence(unsigned(row, 4)?),
            chain: unsigned(row, 5)?,
            position: Bytes::from(row.get::<_, Vec<u8>>(6)?),
            newest_offset: Offset(unsigned(row, 7)?),
            oldest_offset: Offset(1),
            last_captured_us: row.get(8)?,
            agent: row.get(9)?,
            epoch_since_us: row.get(10)?,
        };
        let opened_at = Offset(unsigned(row, 2)?);
        let is_whole = sums::standing(&flow, opened_at, &held) == row.get::<_, u32>(11)?;
        let standing = Standing {
            id: row.get(0)?,
            flow,
            opened_at,
            held,
        };
        Ok((standing, is_whole))
    })?;
    rows.collect()
}

fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(|value| value as u64)
}

/// Writes what is held of a flow. `opened_at`: the newest offset when the file was begun.
pub(crate) fn put_head(
    connection: &Connection,
    flow: &FlowName,
    opened_at: Offset,
    held: &Held,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO flow (name, opened_at, epoch, next_sequence, chain, position, newest_offset, last_captured_us, agent,
             epoch_since_us, sum)
         VALUES (?1, ?11, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (name) DO UPDATE SET epoch = ?2, next_sequence = ?3, chain = ?4, position = ?5,
             newest_offset = ?6, last_captured_us = ?7, agent = ?8, epoch_since_us = ?9, sum = ?10, opened_at = ?11",
    )?;
    statement.execute(params![
        flow.as_str(),
        held.epoch as i64,
        held.next_sequence.0 as i64,
        held.chain as i64,
        held.position.as_ref(),
        held.newest_offset.0 as i64,
        held.last_captured_us,
        held.agent,
        held.epoch_since_us,
        sums::standing(flow, opened_at, held),
        opened_at.0 as i64,
    ])?;
    Ok(())
}

/// The flow's number in this file, if it is there.
pub(crate) fn flow_id(connection: &Connection, flow: &FlowName) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM flow WHERE name = ?1")?
        .query_row([flow.as_str()], |row| row.get(0))
        .optional()
}

/// Writes a block of the flow with this number.
pub(crate) fn put_block(
    connection: &Connection,
    (flow_id, flow): (i64, &FlowName),
    first_offset: Offset,
    header: &BlockHeader,
    payload: &[u8],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO block (flow, first_offset, epoch, first_sequence, header, payload, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let (epoch, first_sequence, bytes) =
        (header.epoch, header.first_sequence, header.encode_to_vec());
    let sum = sums::block(flow, first_offset, epoch, first_sequence, &bytes);
    statement.execute(params![
        flow_id,
        first_offset.0 as i64,
        epoch as i64,
        first_sequence as i64,
        bytes,
        payload,
        sum,
    ])?;
    Ok(())
}

/// A block's row, if it is one of this flow and as it was written. Columns: first_offset, epoch, first_sequence,
/// header, payload, sum.
pub(crate) fn whole_block(row: &Row<'_>, flow: &FlowName) -> rusqlite::Result<Option<LogBlock>> {
    let first_offset = Offset(unsigned(row, 0)?);
    let (epoch, first_sequence) = (unsigned(row, 1)?, unsigned(row, 2)?);
    let header = row.get_ref(3)?.as_blob()?;
    let sum = sums::block(flow, first_offset, epoch, first_sequence, header);
    if sum != row.get::<_, u32>(5)? {
        return Ok(None);
    }
    let Ok(header) = BlockHeader::decode(header) else {
        return Ok(None);
    };
    let block = Block {
        header: Some(header),
        payload: Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?),
    };
    Ok(Some(LogBlock {
        first_offset,
        block,
    }))
}

/// The header of the block that begins at this sequence.
pub(crate) fn header_at(
    connection: &Connection,
    flow: &FlowName,
    epoch: u64,
    first: u64,
) -> rusqlite::Result<Option<BlockHeader>> {
    let mut statement = connection.prepare_cached(
        "SELECT first_offset, epoch, first_sequence, header, payload, sum FROM block
         WHERE flow = (SELECT id FROM flow WHERE name = ?1) AND epoch = ?2 AND first_sequence = ?3",
    )?;
    let found = statement
        .query_row(params![flow.as_str(), epoch as i64, first as i64], |row| {
            whole_block(row, flow)
        })
        .optional()?;
    Ok(found.flatten().and_then(|found| found.block.header))
}

/// Whether there is a block of this epoch.
pub(crate) fn has_epoch(
    connection: &Connection,
    flow: &FlowName,
    epoch: u64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM block WHERE flow = (SELECT id FROM flow WHERE name = ?1) AND epoch = ?2)",
        )?
        .query_row(params![flow.as_str(), epoch as i64], |row| row.get(0))
}

/// Whole blocks from the one that holds `from`, or from the first one after it; none where nothing follows.
pub(crate) fn read(
    connection: &Connection,
    flow: &FlowName,
    from: Offset,
    bytes_max: usize,
) -> rusqlite::Result<Vec<LogBlock>> {
    let Some(id) = flow_id(connection, flow)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT first_offset, epoch, first_sequence, header, payload, sum FROM block WHERE flow = ?1 AND first_offset >=
             coalesce((SELECT max(first_offset) FROM block WHERE flow = ?1 AND first_offset <= ?2), 0)
         ORDER BY first_offset",
    )?;
    let mut failure = None;
    let rows = statement.query_map(params![id, from.0 as i64], |row| whole_block(row, flow))?;
    let good = rows
        .map_while(|row| row.map_err(|error| failure = Some(error)).ok())
        .flatten();
    let blocks = take_while_fits(good.take(READ_BLOCKS_MAX), from, bytes_max);
    // What was read before the damage is good; the next read meets it first.
    match failure {
        Some(error) if blocks.is_empty() => Err(error),
        _ => Ok(blocks),
    }
}
