//! Why an answer or a request cannot be encoded.

/// Why an answer cannot be encoded. Always the fault of this broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The API is not advertised, or not in that version.
    #[error("version {version} of API key {api_key} is not served")]
    UnsupportedVersion {
        /// Key of the request.
        api_key: i16,
        /// Version of the request.
        version: i16,
    },
    /// The answer is of another API than the request.
    #[error("a {body} answer cannot reply to API key {api_key}")]
    WrongApi {
        /// Key of the request.
        api_key: i16,
        /// Name of the answer's API.
        body: &'static str,
    },
    /// A field is set that this version cannot carry, or a value does not fit its encoding.
    #[error("{api} version {version}: {reason}")]
    Field {
        /// Name of the API.
        api: &'static str,
        /// Version of the request.
        version: i16,
        /// Which rule was broken.
        reason: String,
    },
    /// A string, array or frame is longer than its length field can say.
    #[error("{what} of length {length} does not fit its length field")]
    TooLong {
        /// Kind of value.
        what: &'static str,
        /// Its length in bytes or elements.
        length: usize,
    },
}
