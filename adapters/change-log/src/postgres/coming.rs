//! The tables of the stream: which are wanted, and as what the log described them last. Pure.

use std::collections::{BTreeMap, HashMap};

use super::kinds::Kinds;
use super::message::{Message, Relation};
use super::table::{Table, full_name};
use crate::columns::TableConfig;
use crate::schema::Described;

/// A table whose rows come.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) name: String,
    pub(super) table: Table,
    pub(super) columns: Vec<Described>,
    /// Whether a row came since it was described.
    pub(super) is_met: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tables {
    wanted: BTreeMap<String, TableConfig>,
    /// The wanted ones by their numbers: one that is called otherwise for a while is the same table.
    numbers: HashMap<u32, String>,
    /// By their number.
    coming: HashMap<u32, Coming>,
    /// Tables of the publication that are not wanted.
    unwanted: HashMap<u32, String>,
    /// What is known of types.
    pub(super) kinds: Kinds,
}

impl Tables {
    pub(super) fn new(wanted: &[TableConfig], numbers: HashMap<u32, String>, kinds: Kinds) -> Self {
        let by_name = wanted
            .iter()
            .map(|table| (table.name.clone(), table.clone()));
        Self {
            wanted: by_name.collect(),
            numbers,
            coming: HashMap::new(),
            unwanted: HashMap::new(),
            kinds,
        }
    }

    /// A table that a message describes by types whose names are not known.
    pub(super) fn undescribed(&self, message: Message<'_>) -> Result<Option<Relation>, String> {
        let message = match message {
            Message::Relation(relation) => Message::Relation(self.named(relation)),
            other => other,
        };
        Ok(match message {
            Message::Relation(relation)
                if self.wanted.contains_key(&full_name(&relation))
                    && !self.kinds.unknown(&relation).is_empty() =>
            {
                Some(relation)
            }
            _ => None,
        })
    }

    /// Rows of this table follow, as it is now; `None`: they are not wanted.
    ///
    /// # Errors
    /// A sentence: it does not have what is wanted.
    pub(super) fn describe(&mut self, relation: Relation) -> Result<Option<&Coming>, String> {
        let relation = self.named(relation);
        let (oid, name) = (relation.oid, full_name(&relation));
        let Some(wanted) = self.wanted.get(&name) else {
            self.coming.remove(&oid);
            self.unwanted.insert(oid, name);
            return Ok(None);
        };
        let coming = Coming {
            columns: self.kinds.describe(&relation),
            table: Table::new(relation, wanted.wanted())?,
            is_met: false,
            name,
        };
        self.coming.insert(oid, coming);
        Ok(self.coming.get(&oid))
    }

    /// A table under the name by which it is wanted.
    fn named(&self, mut relation: Relation) -> Relation {
        if !self.wanted.contains_key(&full_name(&relation))
            && let Some((schema, name)) = self
                .numbers
                .get(&relation.oid)
                .filter(|name| self.wanted.contains_key(*name))
                .and_then(|name| name.split_once('.'))
        {
            (relation.schema, relation.name) = (schema.to_owned(), name.to_owned());
        }
        relation
    }

    /// The table of a row; `None`: it is not wanted.
    ///
    /// # Errors
    /// A sentence: it was never described.
    pub(super) fn of(&mut self, oid: u32) -> Result<Option<&mut Coming>, String> {
        match self.coming.get_mut(&oid) {
            Some(coming) => Ok(Some(coming)),
            None if self.unwanted.contains_key(&oid) => Ok(None),
            None => Err(format!(
                "a row is of table number {oid}, which was never described"
            )),
        }
    }
}
