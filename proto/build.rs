//! Compiles the protobuf files without a system `protoc`, and writes the table of bodies and their
//! fields that mapping and delivery resolve names with.

use std::fmt::Write as _;
use std::path::PathBuf;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const FILES: [&str; 5] = ["event", "block", "uplink", "feed", "admin"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files: Vec<String> = FILES
        .iter()
        .map(|name| format!("dray/v1/{name}.proto"))
        .collect();
    let set = protox::compile(&files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("schema_tables.rs"), schema_tables(&set)?)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".dray.v1.Block.payload")
        .bytes(".dray.v1.BlockHeader.position")
        .bytes(".dray.v1.Held.position")
        .emit_rerun_if_changed(false)
        .compile_fds(set)?;
    Ok(())
}

/// One `static` per message that an event's body can hold, and `BODIES` over the `oneof`.
fn schema_tables(set: &FileDescriptorSet) -> Result<String, Box<dyn std::error::Error>> {
    let file = set
        .file
        .iter()
        .find(|file| file.name() == "dray/v1/event.proto")
        .ok_or("event.proto is not in the set")?;
    let mut code = String::new();
    for names in &file.enum_type {
        writeln!(code, "{}", enum_table(names))?;
    }
    for message in &file.message_type {
        if matches!(
            message.name(),
            "Event" | "Events" | "Decimal" | "Provenance"
        ) {
            continue;
        }
        let fields: String = message
            .field
            .iter()
            .map(|field| row(message, field))
            .collect();
        writeln!(
            code,
            "/// The fields of `{name}`.\npub static {}: Message = Message {{ name: \"{name}\", fields: &[{fields}] }};",
            upper_snake(message.name()),
            name = message.name(),
        )?;
    }
    let event = file
        .message_type
        .iter()
        .find(|message| message.name() == "Event")
        .ok_or("there is no Event")?;
    let bodies: String = event
        .field
        .iter()
        .filter(|field| field.oneof_index.is_some())
        .map(|field| {
            format!(
                "Body {{ name: \"{}\", number: {}, message: &{} }}, ",
                field.name(),
                field.number(),
                upper_snake(last(field.type_name()))
            )
        })
        .collect();
    writeln!(
        code,
        "/// The bodies that an event can have.\npub static BODIES: &[Body] = &[{bodies}];"
    )?;
    Ok(code)
}

/// `DEAD_LETTER_STAGE_MAP = 3` becomes `"map"` at 3; zero, which is UNSPECIFIED, and gaps are empty.
fn enum_table(names: &EnumDescriptorProto) -> String {
    let table = upper_snake(names.name());
    let most = names.value.iter().map(|value| value.number()).max();
    let name = |number: i32| {
        let value = names.value.iter().find(|value| value.number() == number);
        let name = value.map_or("", |value| value.name());
        name.trim_start_matches(&format!("{table}_")).to_lowercase()
    };
    let all: Vec<String> = (1..=most.unwrap_or(0)).map(name).collect();
    format!(
        "/// The names of `{}` by number.\npub static {table}: &[&str] = &{:?};",
        names.name(),
        [vec![String::new()], all].concat()
    )
}

fn row(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    format!(
        "Field {{ name: \"{}\", number: {}, kind: {} }}, ",
        field.name(),
        field.number(),
        kind(message, field)
    )
}

fn kind(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::String if field.label() == Label::Repeated => "Kind::Texts".into(),
        Type::String => "Kind::Text".into(),
        Type::Bytes => "Kind::Bytes".into(),
        Type::Uint32 | Type::Uint64 | Type::Int64 => "Kind::Integer".into(),
        Type::Enum => format!("Kind::Enum({})", upper_snake(last(field.type_name()))),
        Type::Message => match field.type_name() {
            ".dray.v1.Decimal" => "Kind::Decimal".into(),
            ".google.protobuf.Timestamp" => "Kind::Timestamp".into(),
            name if message
                .nested_type
                .iter()
                .any(|nested| nested.name() == last(name)) =>
            {
                assert_eq!(
                    field.label(),
                    Label::Repeated,
                    "a nested type is a map's entry here"
                );
                "Kind::TextMap".into()
            }
            name if field.label() == Label::Repeated => {
                format!("Kind::Messages(&{})", upper_snake(last(name)))
            }
            name => format!("Kind::Message(&{})", upper_snake(last(name))),
        },
        other => panic!(
            "event.proto: {} has type {other:?}, which no table knows",
            field.name()
        ),
    }
}

fn last(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}

fn upper_snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_uppercase());
    }
    snake
}
