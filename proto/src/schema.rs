//! Names and numbers of the bodies, as tables made from `event.proto` at build time.
//!
//! Mapping resolves `shipment` / `line.quantity` to numbers and kinds once, at load; delivery goes
//! the other way when it writes JSON. A new body in `event.proto` needs no line of code here.

/// A body that an event can have.
#[derive(Debug)]
pub struct Body {
    /// As in `Event`'s oneof, e.g. `inventory_movement`.
    pub name: &'static str,
    /// The field number in `Event`.
    pub number: u32,
    /// Its fields.
    pub message: &'static Message,
}

/// A message and its fields in the order of `event.proto`.
#[derive(Debug)]
pub struct Message {
    /// As in `event.proto`, e.g. `InventoryMovement`.
    pub name: &'static str,
    /// In ascending number.
    pub fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// E.g. `item_number`.
    pub name: &'static str,
    /// The field number.
    pub number: u32,
    /// What its bytes hold.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `string`.
    Text,
    /// `bytes`.
    Bytes,
    /// `uint32`, `uint64` or `int64`: a varint.
    Integer,
    /// An enum's names by number, without its prefix and in small letters; empty for 0 and for gaps.
    Enum(&'static [&'static str]),
    /// `Decimal`: a message with the digits in field 1.
    Decimal,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `map<string, string>`.
    TextMap,
    /// `string`, any number of times.
    Texts,
    /// Another message, once.
    Message(&'static Message),
    /// Another message, any number of times.
    Messages(&'static Message),
}

impl Message {
    /// The field called `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field with this number.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// The name of an enum's value; `None` for 0, and for one that only a newer peer knows.
#[must_use]
pub fn name_of(names: &[&'static str], number: u64) -> Option<&'static str> {
    let name = names.get(usize::try_from(number).ok()?)?;
    (!name.is_empty()).then_some(*name)
}

/// The body called `name`, e.g. `shipment`.
#[must_use]
pub fn body(name: &str) -> Option<&'static Body> {
    BODIES.iter().find(|body| body.name == name)
}

/// The body with this field number in `Event`.
#[must_use]
pub fn body_numbered(number: u32) -> Option<&'static Body> {
    BODIES.iter().find(|body| body.number == number)
}

include!(concat!(env!("OUT_DIR"), "/schema_tables.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_every_body_and_its_nested_lines() {
        let names: Vec<_> = BODIES.iter().map(|body| body.name).collect();
        assert_eq!(
            names,
            [
                "item",
                "customer",
                "order",
                "shipment",
                "inventory_movement",
                "inventory_level",
                "receipt",
                "invoice",
                "generic",
                "dead_letter",
                "file_report",
                "schema_change",
                "source_gap",
                "heartbeat"
            ]
        );
        let shipment = body("shipment").expect("a body").message;
        let Some(Field {
            kind: Kind::Message(line),
            number: 10,
            ..
        }) = shipment.field("line")
        else {
            panic!("shipment.line is a message with number 10");
        };
        assert!(matches!(
            line.field("quantity").expect("a field").kind,
            Kind::Decimal
        ));
        assert!(matches!(
            shipment.field("shipped_at").expect("a field").kind,
            Kind::Timestamp
        ));
        assert!(matches!(
            shipment.field("attributes").expect("a field").kind,
            Kind::TextMap
        ));
        let schema = body("schema_change").expect("a body").message;
        assert!(matches!(
            schema.field("columns").expect("a field").kind,
            Kind::Messages(_)
        ));
        assert_eq!(name_of(OPERATION, 4), Some("snapshot"));
        assert_eq!(name_of(DEAD_LETTER_STAGE, 3), Some("map"));
        assert_eq!((name_of(OPERATION, 0), name_of(OPERATION, 5)), (None, None));
    }
}
