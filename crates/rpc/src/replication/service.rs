//! The client and the server of the replication stream.

use tonic::body::Body;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderValue, TE};
use tonic::codegen::http::{Method, Request, Response, Uri, Version};
use tonic::codegen::tokio_stream::{Stream, StreamExt as _};
use tonic::codegen::{Arc, BoxFuture, Context, Poll, Service};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::{FollowerFrame, LeaderFrame};

const SERVICE: &str = "highwater.replication.Replication";
const REPLICATE: &str = "/highwater.replication.Replication/Replicate";

/// What a leader does with a follower's stream.
pub trait Replication: Send + Sync + 'static {
    /// The frames it sends.
    type Frames: Stream<Item = Result<LeaderFrame, Status>> + Send + 'static;

    /// Serves one stream until either side ends it.
    fn replicate(&self, frames: Incoming<FollowerFrame>) -> impl Future<Output = Result<Self::Frames, Status>> + Send;
}

/// Opens streams to a leader.
#[derive(Debug, Clone)]
pub struct ReplicationClient {
    channel: Channel,
    max_message_bytes: usize,
}

impl ReplicationClient {
    /// A client over `channel` that accepts messages of at most `max_message_bytes`.
    pub fn new(channel: Channel, max_message_bytes: usize) -> Self {
        Self { channel, max_message_bytes }
    }

    /// Opens a stream. Resolves when the leader has accepted it; the caller sets a deadline.
    ///
    /// # Errors
    /// UNAVAILABLE if there is no connection, else the leader's refusal.
    pub async fn replicate(
        &mut self,
        frames: impl Stream<Item = FollowerFrame> + Send + 'static,
    ) -> Result<Incoming<LeaderFrame>, Status> {
        let unavailable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        std::future::poll_fn(|context| self.channel.poll_ready(context)).await.map_err(unavailable)?;
        let mut request = Request::new(Body::new(Outgoing::of_client(frames.map(Ok))));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        // The channel adds scheme and authority.
        *request.uri_mut() = Uri::from_static(REPLICATE);
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        request.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        let response = self.channel.call(request).await.map_err(|error| Status::from_error(error.into()))?;
        match Status::from_header_map(response.headers()) {
            Some(status) if status.code() != Code::Ok => Err(status),
            None if !response.status().is_success() => Err(Status::unavailable(format!("HTTP {}", response.status()))),
            _ => Ok(Incoming::new(response.into_body(), self.max_message_bytes)),
        }
    }
}

/// Serves a [`Replication`] under its gRPC path.
#[derive(Debug)]
pub struct ReplicationServer<T> {
    inner: Arc<T>,
    max_message_bytes: usize,
}

impl<T> ReplicationServer<T> {
    /// A server that accepts messages of at most `max_message_bytes`.
    pub fn new(inner: Arc<T>, max_message_bytes: usize) -> Self {
        Self { inner, max_message_bytes }
    }
}

impl<T> Clone for ReplicationServer<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), max_message_bytes: self.max_message_bytes }
    }
}

impl<T> NamedService for ReplicationServer<T> {
    const NAME: &'static str = SERVICE;
}

impl<T: Replication> Service<Request<Body>> for ReplicationServer<T> {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != REPLICATE {
            return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) });
        }
        let (inner, incoming) = (self.inner.clone(), Incoming::new(request.into_body(), self.max_message_bytes));
        Box::pin(async move {
            Ok(match inner.replicate(incoming).await {
                Ok(frames) => {
                    let mut response = Response::new(Body::new(Outgoing::of_server(frames)));
                    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
                    response
                }
                Err(status) => status.into_http(),
            })
        })
    }
}
