//! The client and the server of the replication stream.

use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{Arc, Body, BoxFuture, Context, Poll, Service, StdError, http};
use tonic::server::{NamedService, StreamingService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::codec::{FollowerSide, LeaderSide};
use super::{FollowerFrame, LeaderFrame};

const SERVICE: &str = "highwater.replication.Replication";
const REPLICATE: &str = "/highwater.replication.Replication/Replicate";

/// What a leader does with a follower's stream.
pub trait Replication: Send + Sync + 'static {
    /// The frames it sends.
    type Frames: Stream<Item = Result<LeaderFrame, Status>> + Send + 'static;

    /// Serves one stream until either side ends it.
    fn replicate(&self, frames: Streaming<FollowerFrame>) -> impl Future<Output = Result<Self::Frames, Status>> + Send;
}

/// Opens streams to a leader.
#[derive(Debug, Clone)]
pub struct ReplicationClient {
    inner: tonic::client::Grpc<Channel>,
}

impl ReplicationClient {
    /// A client over `channel` that accepts and sends messages of at most `max_message_bytes`.
    pub fn new(channel: Channel, max_message_bytes: usize) -> Self {
        let inner = tonic::client::Grpc::new(channel);
        Self { inner: inner.max_decoding_message_size(max_message_bytes).max_encoding_message_size(max_message_bytes) }
    }

    /// Opens a stream. Resolves when the leader has accepted it; the caller sets a deadline.
    pub async fn replicate(
        &mut self,
        frames: impl Stream<Item = FollowerFrame> + Send + 'static,
    ) -> Result<Streaming<LeaderFrame>, Status> {
        self.inner.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = http::uri::PathAndQuery::from_static(REPLICATE);
        Ok(self.inner.streaming(Request::new(frames), path, FollowerSide).await?.into_inner())
    }
}

/// Serves a [`Replication`] under its gRPC path.
#[derive(Debug)]
pub struct ReplicationServer<T> {
    inner: Arc<T>,
    max_message_bytes: usize,
}

impl<T> ReplicationServer<T> {
    /// A server that accepts and sends messages of at most `max_message_bytes`.
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

/// The one method, as tonic's server wants it.
struct Method<T>(Arc<T>);

impl<T: Replication> StreamingService<FollowerFrame> for Method<T> {
    type Response = LeaderFrame;
    type ResponseStream = T::Frames;
    type Future = BoxFuture<Response<T::Frames>, Status>;

    fn call(&mut self, request: Request<Streaming<FollowerFrame>>) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { inner.replicate(request.into_inner()).await.map(Response::new) })
    }
}

impl<T, B> Service<http::Request<B>> for ReplicationServer<T>
where
    T: Replication,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != REPLICATE {
            return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) });
        }
        let (method, limit) = (Method(self.inner.clone()), self.max_message_bytes);
        Box::pin(async move {
            let grpc = tonic::server::Grpc::new(LeaderSide);
            let mut grpc = grpc.max_decoding_message_size(limit).max_encoding_message_size(limit);
            Ok(grpc.streaming(method, request).await)
        })
    }
}
