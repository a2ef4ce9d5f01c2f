//! XML: elements that are records, found by a path, and their cells by paths from there.
//!
//! ```text
//! <?xml version="1.0" encoding="UTF-8"?>
//! <Shipments>                                        record = "/Shipments/Shipment/Line"
//!   <Shipment id="7">
//!     <ShipNo>SHP-1</ShipNo>                         SHIP_NO = "../ShipNo"
//!     <Line no="1"><Item sku="A-1"/><Qty>5</Qty>     LINE = "@no", SKU = "Item/@sku", QTY = "Qty"
//!       <Lot>L1</Lot><Lot>L2</Lot></Line>            LOT = "Lot" is L1, "Lot[2]" is L2, { path = "Lot", join = "," } both
//!   </Shipment>
//! </Shipments>
//! ```
//!
//! After Extensible Markup Language 1.0, fifth edition, and Namespaces in XML 1.0. Paths are the part of XPath 1.0 that a stream can
//! answer: children, `..` at the beginning, `@`, `[n]`, `.`; but a name without a prefix means that name in any
//! namespace. A value is all text below its element, references resolved, line ends LF, without
//! white space around it unless `trim = false`. An element that isn't there, or says xsi:nil, is no value; an empty one is an empty value.
//!
//! A file is read once, from front to end: a value of an element around the record must stand before it. Where one comes
//! after a record that lacks it, the file is set aside with a sentence, as silence would look like no value.
//!
//! A file that isn't well-formed to the end is set aside whole. A DOCTYPE is refused, nothing outside of the file is ever
//! looked at, and the five predefined references are the only ones: a record with another is a bad record.

mod around;
mod attributes;
mod cells;
mod config;
mod decoder;
mod document;
mod elements;
mod input;
mod names;
mod path;
mod plan;
#[cfg(test)]
mod tests;
mod tokens;
mod walk;

pub use config::{XmlConfig, XmlField};
pub use decoder::{Decoder, Xml};
pub(crate) use document::{At, Document, Handler};
pub(crate) use elements::{Elements, Event};
pub(crate) use input::Input;
pub use path::number_of;
pub use walk::{Attribute, Node, Start, Walk, unexplained};

/// Elements in one another, at most: far more than any message has, and little memory.
pub const DEPTH_MAX: usize = 256;
/// Attributes of an element, at most: each is compared with those before it.
pub const ATTRIBUTES_MAX: usize = 256;
/// Bytes of a name, at most.
pub const NAME_BYTES_MAX: usize = 1_000;
/// Bytes of a tag, at most: it is looked at whole, within a window.
pub const TAG_BYTES_MAX: usize = crate::RECORD_BYTES_MAX;
/// Namespace declarations that hold at a time, at most.
pub const BINDINGS_MAX: usize = 1_000;
/// Bytes of the values that are kept of elements around a record, at most.
pub const AROUND_BYTES_MAX: usize = 64 * 1024;
