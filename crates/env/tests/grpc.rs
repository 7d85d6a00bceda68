//! gRPC glue over real sockets and, with the feature `sim`, over a simulated network.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use highwater_env::{GrpcOptions, Listener, Net, grpc_channel, grpc_serve};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

/// Answers every call with the body it came with.
#[derive(Clone, Default)]
struct Echo {
    /// Rung when a call has come, and awaited before it is answered.
    gate: Option<Arc<Gate>>,
}

#[derive(Default)]
struct Gate {
    reached: Notify,
    opened: Notify,
}

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let gate = self.gate.clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.reached.notify_one();
                gate.opened.notified().await;
            }
            Ok(http::Response::builder().header("grpc-status", "0").body(request.into_body()).unwrap())
        })
    }
}

async fn serve(listener: Listener) {
    grpc_serve(listener, Routes::new(Echo::default())).await;
}

async fn call(channel: &Channel) -> Result<http::Response<Body>, tonic::transport::Error> {
    let request = http::Request::post("http://peer/test.Echo/Call").body(Body::empty()).unwrap();
    channel.clone().ready().await?.call(request).await
}

#[tokio::test(flavor = "current_thread")]
async fn a_channel_connects_lazily_and_again_after_a_break() {
    let listener = Net::Tcp.bind("127.0.0.3:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let channel = grpc_channel(Net::Tcp, &address, GrpcOptions::default());
    assert!(call(&channel).await.is_err(), "nobody listens yet");
    for _ in 0..2 {
        let server = tokio::spawn(serve(Net::Tcp.bind(&address).await.unwrap()));
        let response = call(&channel).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "0");
        server.abort();
        let _ = server.await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_impossible_address_fails_calls_only() {
    let channel = grpc_channel(Net::Tcp, "not an address", GrpcOptions::default());
    assert!(call(&channel).await.is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_is_dropped_finishes_the_calls_it_has_and_takes_no_more() {
    let listener = Net::Tcp.bind("127.0.0.1:0").await.unwrap();
    let channel = grpc_channel(Net::Tcp, &listener.local_addr().unwrap().to_string(), GrpcOptions::default());
    let gate = Arc::new(Gate::default());
    let server = tokio::spawn(grpc_serve(listener, Routes::new(Echo { gate: Some(gate.clone()) })));
    let pending = tokio::spawn({
        let channel = channel.clone();
        async move { call(&channel).await }
    });
    gate.reached.notified().await;
    server.abort();
    let _ = server.await;
    gate.opened.notify_one();
    assert_eq!(pending.await.unwrap().unwrap().headers()["grpc-status"], "0");
    assert!(call(&channel).await.is_err(), "nobody listens any more");
}

#[cfg(feature = "sim")]
mod simulated {
    use std::cell::RefCell;
    use std::rc::Rc;

    use highwater_env::{FlushLatency, clock, install_flush_latency, run_blocking};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn sim(seed: u64) -> turmoil::Sim<'static> {
        clock::look_for_simulation();
        turmoil::Builder::new()
            .rng_seed(seed)
            .simulation_duration(Duration::from_secs(60))
            .enable_random_order()
            .build()
    }

    #[test]
    fn calls_cross_the_simulated_network_and_survive_a_cut() {
        let mut sim = sim(1);
        sim.host("server", || async {
            serve(Net::Sim.bind("127.0.0.1:9093").await?).await;
            Ok(())
        });
        sim.client("client", async {
            let channel = grpc_channel(Net::Sim, "server:9093", GrpcOptions::default());
            let response = call(&channel).await?;
            assert_eq!(response.headers()["date"], "Thu, 01 Jan 1970 00:00:00 GMT");
            turmoil::partition("client", "server");
            let cut = clock::mono_ms();
            assert!(call(&channel).await.is_err(), "keepalive ends the call");
            assert!(clock::mono_ms() - cut <= Duration::from_secs(7));
            turmoil::repair("client", "server");
            call(&channel).await?;
            Ok(())
        });
        sim.run().unwrap();
    }

    #[test]
    fn blocking_work_takes_virtual_time_and_runs_inline() {
        let latency = FlushLatency { min: Duration::from_millis(40), max: Duration::from_millis(60) };
        install_flush_latency(1, latency);
        let mut sim = sim(1);
        sim.client("client", async move {
            let here = std::thread::current().id();
            let before = (clock::mono_ms(), clock::wall_ms());
            assert_eq!(run_blocking(move || std::thread::current().id()).await, here);
            let taken = clock::mono_ms() - before.0;
            assert!(taken >= latency.min && taken <= latency.max + Duration::from_millis(2), "{taken:?}");
            assert_eq!((clock::wall_ms().0 - before.1.0) as u128, taken.as_millis());
            Ok(())
        });
        sim.run().unwrap();
    }

    /// Arrival times of echoed bytes.
    fn trace(seed: u64) -> Vec<(u64, usize)> {
        let mut sim = sim(seed);
        sim.host("server", || async {
            let listener = Net::Sim.bind("server:1").await?;
            loop {
                let (conn, _) = listener.accept().await?;
                tokio::spawn(async move {
                    let (mut reader, mut writer) = conn.into_split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        let seen = Rc::new(RefCell::new(Vec::new()));
        let into = seen.clone();
        sim.client("client", async move {
            let mut conn = Net::Sim.connect("server:1").await?;
            let mut buffer = [0; 64];
            for _ in 0..20 {
                conn.write_all(b"ping").await?;
                let length = conn.read(&mut buffer).await?;
                into.borrow_mut().push((clock::mono_us(), length));
            }
            Ok(())
        });
        sim.run().unwrap();
        seen.take()
    }

    #[test]
    fn a_seed_repeats() {
        assert_eq!(trace(5), trace(5));
        assert_ne!(trace(5), trace(6));
    }
}
