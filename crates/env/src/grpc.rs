//! gRPC between nodes: tonic over [`Net`].

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor as _;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt as _;

use crate::grpc_executor::GrpcExecutor;
use crate::{Conn, Listener, Net};

/// Largest message either side accepts. tonic's own default is 4 MiB and would refuse a large record batch: every generated
/// client and server is given this limit with `max_decoding_message_size` and `max_encoding_message_size`. Replication has its
/// own, because `socket.request.max.bytes` can be set higher than this.
pub const GRPC_MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

/// HTTP/2 flow control: what one stream may have in flight. Sized for a 1 Gbit/s link at 50 ms.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// HTTP/2 flow control: what all streams of a connection may have in flight.
const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;
/// Largest HTTP/2 frame. The default of 16 KiB doubles the CPU time of replication.
const MAX_FRAME_BYTES: u32 = 1024 * 1024;
/// Pause after a failed accept, so that a full file table is not met by a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// What `date` says in simulation, where wall-clock bytes on the wire would make runs differ.
#[cfg(feature = "sim")]
const SIMULATED_DATE: http::HeaderValue = http::HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");

/// Time limits of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcOptions {
    /// Limit for one attempt to connect.
    pub connect_timeout: Duration,
    /// A ping goes out after this much silence, also while no call is open: without it a cut link is noticed only by TCP,
    /// after minutes, and in simulation never.
    pub keepalive_interval: Duration,
    /// The connection is given up when a ping is not answered for this long.
    pub keepalive_timeout: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(4),
        }
    }
}

/// A channel to the node at `address` (`host:port`), which connects on first use and again after each break.
///
/// Must be called inside a tokio runtime. An address that is no address fails each call with `Unavailable`.
pub fn grpc_channel(net: Net, address: &str, options: GrpcOptions) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .unwrap_or_else(|_| Endpoint::from_static("http://invalid-address"))
        .connect_timeout(options.connect_timeout)
        .http2_keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .executor(GrpcExecutor);
    let address: std::sync::Arc<str> = address.into();
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: http::Uri| {
        let address = address.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(net.connect(&address).await?)) }
    }))
}

/// Serves `routes` on `listener`. Ends never: who has enough of it drops the future. Then no connection is accepted any more,
/// open ones take no further call and end with their last one.
pub async fn grpc_serve(listener: Listener, routes: Routes) -> Infallible {
    let options = GrpcOptions::default();
    let mut http2 = http2::Builder::new(GrpcExecutor);
    http2
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_concurrent_streams(None)
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout);
    let service = routes.map_request(|request: http::Request<Incoming>| request.map(Body::new));
    #[cfg(feature = "sim")]
    let service = service.map_response(constant_date);
    let service = TowerToHyperService::new(service);
    let (_serving, dropped) = watch::channel(());
    loop {
        let conn = accept_next(&listener).await;
        let connection = http2.serve_connection(TokioIo::new(conn), service.clone());
        let mut dropped = dropped.clone();
        GrpcExecutor.execute(async move {
            let mut connection = pin!(connection);
            // One that breaks just ends: the peer opens another when it needs one.
            tokio::select! {
                _ = &mut connection => return,
                _ = dropped.changed() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
}

async fn accept_next(listener: &Listener) -> Conn {
    loop {
        match listener.accept().await {
            Ok((conn, _)) => return conn,
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
    }
}

#[cfg(feature = "sim")]
fn constant_date<B>(mut response: http::Response<B>) -> http::Response<B> {
    if turmoil::in_simulation() {
        response.headers_mut().insert(http::header::DATE, SIMULATED_DATE);
    }
    response
}
