//! Metrics and health over HTTP: `/metrics` in Prometheus' text format, `/healthz` whether the process should live, `/readyz`
//! whether clients should come; and `/partitions/TOPIC/INDEX/history`, why a partition is as it is.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use highwater_env::{Conn, Listener, clock};
use highwater_gateway::Gateway;
use highwater_quorum::{BrokerLink, ControllerNode};

use crate::history_page::Historian;
use crate::lifecycle::Lifecycle;
use crate::metrics::Scrape;

/// Pause after a failed accept, so that a full file table is not met by a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What decides whether a node is ready.
#[derive(Clone)]
pub(crate) struct Readiness {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) controller: Option<ControllerNode>,
    pub(crate) broker: Option<(BrokerLink, Arc<OnceLock<Arc<Gateway>>>)>,
}

impl Readiness {
    /// Why the node is not ready; `None` if it is.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(failure) = self.lifecycle.failure() {
            return Some(failure.to_string());
        }
        if self.controller.as_ref().is_some_and(|controller| controller.active_controller().0.is_none()) {
            return Some("no active controller is known".to_owned());
        }
        let (link, gateway) = self.broker.as_ref()?;
        if gateway.get().is_none() {
            return Some("the broker is not registered yet".to_owned());
        }
        (!link.lease_valid(clock::mono_ms())).then(|| "the broker is fenced".to_owned())
    }
}

#[derive(Clone)]
struct Pages {
    scrape: Scrape,
    readiness: Readiness,
    historian: Historian,
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: Listener, scrape: Scrape, readiness: Readiness, historian: Historian) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/partitions/{topic}/{partition}/history", get(history))
        .with_state(Pages { scrape, readiness, historian });
    if let Err(error) = axum::serve(HttpListener(listener), router).await {
        tracing::error!("the HTTP listener failed: {error}");
    }
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match pages.scrape.body().await {
        Ok(body) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(pages): State<Pages>) -> (StatusCode, String) {
    answer(pages.readiness.lifecycle.failure().map(|failure| failure.to_string()))
}

async fn readyz(State(pages): State<Pages>) -> (StatusCode, String) {
    answer(pages.readiness.problem())
}

async fn history(State(pages): State<Pages>, Path((topic, partition)): Path<(String, i32)>) -> Response {
    match pages.historian.page(&topic, partition).await {
        Ok(Some(page)) => match serde_json::to_vec(&page) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        },
        Ok(None) => (StatusCode::NOT_FOUND, format!("there is no partition {topic}-{partition}\n")).into_response(),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response(),
    }
}

fn answer(problem: Option<String>) -> (StatusCode, String) {
    match problem {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

/// Lets axum accept from `env`'s sockets.
struct HttpListener(Listener);

impl axum::serve::Listener for HttpListener {
    type Io = Conn;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Conn, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
