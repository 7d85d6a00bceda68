//! Short looks at addresses: does a name resolve, does somebody answer.

use std::time::Duration;

use highwater_env::Net;
use tokio::time::timeout;

/// Longest wait for each.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether `address` (`host:port`) accepts connections; why not.
pub(super) async fn connects(address: &str) -> Result<(), String> {
    let connected = timeout(PATIENCE, Net::Tcp.connect(address)).await;
    let conn = connected.map_err(|_| format!("{address} does not answer"))?;
    conn.map(drop).map_err(|error| error.to_string())
}

/// Whether `host` has an address; why not.
pub(super) async fn resolves(host: &str, port: u16) -> Result<(), String> {
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| format!("looking up {host} takes too long"))?;
    let found = found.map_err(|error| format!("{host} cannot be resolved: {error}"))?;
    if found.count() == 0 { Err(format!("{host} has no address")) } else { Ok(()) }
}
