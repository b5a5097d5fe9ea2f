//! What can be wrong with what a peer sent.

use thiserror::Error;
use watershed_snapshot::{ResourceKind, ResourceNameError};

/// Why octets are not a resource that this program can serve.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// They are not a message of protocol buffers at all.
    #[error("the content is not a resource: {0}")]
    Malformed(String),
    /// The content is of a kind that this program does not know, or empty.
    #[error("the content is of a kind that this program does not know; a newer one may be needed")]
    UnknownContent,
    /// The content is of another kind than the name says.
    #[error("the content is not that of a {0}")]
    WrongKind(ResourceKind),
    /// A part is missing, out of range, or of a kind that this program does
    /// not know.
    #[error("{path}: {problem}")]
    Part {
        /// Where, such as `document.rules[2].branches[0].selector`.
        path: String,
        /// What is wrong, as one sentence without a final stop.
        problem: String,
    },
    /// The policy document has faults; all of them.
    #[error("the policy document has faults: {}", .0.join("; "))]
    Policy(Vec<String>),
}

/// Why a message of a peer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// It is of a kind that this program does not know, or empty.
    #[error("a message of a kind that this program does not know; a newer one may be needed")]
    Unknown,
    /// A field is missing or malformed.
    #[error("{field} is missing or malformed")]
    Field {
        /// Message and field, such as `Stage.digest`.
        field: &'static str,
    },
    /// The name of a resource is not one.
    #[error("{field}: {source}")]
    Name {
        /// Message and field.
        field: &'static str,
        /// What is wrong with it.
        source: ResourceNameError,
    },
}
