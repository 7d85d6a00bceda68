//! One connection to a broker, one request at a time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use highwater_env::{Conn, Net};
use highwater_protocol::messages::{ApiKey, ApiVersionsRequest};
use highwater_protocol::{StrBytes, decode_response, encode_request};
use kafka_protocol::protocol::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::cli::Failure;

/// Name this client gives itself.
const CLIENT_ID: &str = "highwater-cli";
/// Limit for connecting: a broker that is up accepts at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit for one answer: above the longest time a broker parks a request on our behalf (30 s).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// Largest answer taken: four times the largest fetch a broker sends by default.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// An open connection with what the broker can do.
pub(crate) struct Connection {
    address: String,
    conn: Conn,
    correlation_id: i32,
    /// Versions by API key.
    versions: BTreeMap<i16, RangeInclusive<i16>>,
}

impl Connection {
    /// Connects to `address` (`host:port`) and asks for its API versions.
    pub(crate) async fn open(address: &str) -> Result<Self, Failure> {
        let conn = timeout(CONNECT_TIMEOUT, Net::Tcp.connect(address))
            .await
            .map_err(|_| Failure::unreachable(format!("{address} does not answer")))?
            .map_err(|error| Failure::unreachable(error.to_string()))?;
        let mut connection = Self { address: address.to_owned(), conn, correlation_id: 0, versions: BTreeMap::new() };
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("highwater"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let response = connection.exchange(&request, 3).await?;
        if response.error_code != 0 {
            return Err(Failure::refused(&format!("{address}: ApiVersions"), response.error_code, None));
        }
        let ranges = response.api_keys.iter().map(|api| (api.api_key, api.min_version..=api.max_version));
        connection.versions = ranges.collect();
        Ok(connection)
    }

    /// `host:port` as it was dialled.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the broker has the API of `R` at `version`.
    pub(crate) fn supports<R: Request>(&self, version: i16) -> bool {
        self.versions.get(&R::KEY).is_some_and(|offered| offered.contains(&version))
    }

    /// Sends `request` at the highest version within `versions` that the broker has, and waits for the answer.
    pub(crate) async fn call<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
    ) -> Result<R::Response, Failure> {
        let version = self.version_for::<R>(&versions)?;
        self.exchange(request, version).await
    }

    /// Sends a request that gets no answer: a produce with acks=0.
    pub(crate) async fn send<R: Request>(&mut self, request: &R, versions: RangeInclusive<i16>) -> Result<(), Failure> {
        let version = self.version_for::<R>(&versions)?;
        let frame = self.frame(request, version)?;
        let sent = self.conn.write_all(&frame).await;
        sent.map_err(|error| Failure::unreachable(format!("{}: {error}", self.address)))
    }

    fn version_for<R: Request>(&self, versions: &RangeInclusive<i16>) -> Result<i16, Failure> {
        let offered = self.versions.get(&R::KEY);
        let version = offered.map(|offered| *offered.end().min(versions.end()));
        version.filter(|version| version >= versions.start()).ok_or_else(|| {
            let api = ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |api| format!("{api:?}"));
            Failure::new(format!("{} does not serve {api} in a version this client knows", self.address))
        })
    }

    fn frame<R: Request>(&mut self, request: &R, version: i16) -> Result<Bytes, Failure> {
        self.correlation_id += 1;
        encode_request(version, self.correlation_id, Some(CLIENT_ID), request)
            .map_err(|error| Failure::new(format!("the request cannot be encoded: {error}")))
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Failure> {
        let frame = self.frame(request, version)?;
        let answer = timeout(ANSWER_TIMEOUT, self.round_trip(&frame))
            .await
            .map_err(|_| Failure::unreachable(format!("{} gave no answer within {ANSWER_TIMEOUT:?}", self.address)))?
            .map_err(|error| Failure::unreachable(format!("{}: {error}", self.address)))?;
        let (correlation_id, response) = decode_response::<R>(version, answer)
            .map_err(|error| Failure::new(format!("{} sent an answer that makes no sense: {error}", self.address)))?;
        if correlation_id != self.correlation_id {
            return Err(Failure::new(format!("{} answered another request", self.address)));
        }
        Ok(response)
    }

    async fn round_trip(&mut self, frame: &[u8]) -> std::io::Result<Bytes> {
        self.conn.write_all(frame).await?;
        let length = usize::try_from(self.conn.read_i32().await?).unwrap_or(usize::MAX);
        if length > MAX_ANSWER_BYTES {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer is too long to be one"));
        }
        let mut answer = BytesMut::zeroed(length);
        self.conn.read_exact(&mut answer).await?;
        Ok(answer.freeze())
    }
}
