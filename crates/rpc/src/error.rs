//! Why a peer's message could not become a domain type.

/// A message that a peer sent and that this version cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// A field that must be there is not.
    #[error("{message} lacks its field {field}")]
    Missing { message: &'static str, field: &'static str },
    /// A field holds a value that the domain type refuses.
    #[error("{message}: field {field} is not valid: {reason}")]
    Invalid { message: &'static str, field: &'static str, reason: String },
}

impl ConversionError {
    /// `message` lacks `field`.
    pub fn missing(message: &'static str, field: &'static str) -> Self {
        Self::Missing { message, field }
    }

    /// `field` of `message` is refused because of `reason`.
    pub fn invalid(message: &'static str, field: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Invalid { message, field, reason: reason.to_string() }
    }
}
