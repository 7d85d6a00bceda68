//! What nodes say to each other: the messages and services of `proto/`, compiled, and their conversions to domain types.
//!
//! Role: the only place where protobuf types and domain types meet.
//! Inputs: `proto/*.proto` (one package `highwater.<file>` per file). Outputs: [`pb`], clients and servers of each
//! service, and one conversion module per file.
//! It does not know: connections, retries, who calls whom, or what a message makes a node do.
//!
//! Architecture invariant: nothing outside this crate builds a domain type from a protobuf message field by field.
//! Architecture invariant: a conversion from a peer's message validates; it returns [`ConversionError`], it never panics.

pub mod command;
mod error;
mod field;
pub mod metadata;
pub mod replication;

pub use error::ConversionError;

/// Generated code: `pb::<file>::<Message>` for every file in `proto/`.
pub mod pb {
    #[allow(clippy::all, clippy::disallowed_types, clippy::disallowed_methods, missing_docs)]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/highwater.rs"));
    }
    pub use generated::highwater::*;
}
