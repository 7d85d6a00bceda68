//! What nodes show over HTTP: metrics, probes, the history of partitions.

use std::time::Duration;

use highwater_env::{Net, clock};
use highwater_metadata::config::HTTP_LISTENER;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{BrokerInfo, ClusterClient, Resource};

/// Distance of the HTTP port from the port of the first listener, where it is not set.
const HTTP_PORT_OFFSET: i32 = 2;
/// Most of a page that is read.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// Where a broker serves metrics and probes; `None` if it says that it does not.
pub(crate) async fn http_address(client: &mut ClusterClient, broker: &BrokerInfo) -> Option<String> {
    let configs = client.describe_configs(&Resource::Broker(broker.id), Some(&[HTTP_LISTENER.to_owned()])).await;
    let set = configs.ok().and_then(|entries| entries.into_iter().next()?.value).filter(|value| !value.is_empty());
    match set.as_deref() {
        Some("none") => None,
        Some(listener) => {
            let (host, port) = listener.rsplit_once(':')?;
            let everywhere = ["", "0.0.0.0", "[::]", "*"].contains(&host);
            Some(if everywhere { format!("{}:{port}", broker.host) } else { listener.to_owned() })
        }
        None => {
            let beside = BrokerInfo { port: broker.port + HTTP_PORT_OFFSET, ..broker.clone() };
            Some(beside.address())
        }
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// By how many milliseconds the answering clock is at least ahead of ours (negative: behind); 0 within the precision of the
    /// Date header, a second, and of the time the answer took. `None` without that header.
    pub(crate) skew_ms: Option<i64>,
}

/// GETs `path` of `address`, within `patience`; else why not.
pub(crate) async fn http_get(address: &str, path: &str, patience: Duration) -> Result<Page, String> {
    let asked_ms = clock::wall_ms().0;
    let exchange = async {
        let mut conn = Net::Tcp.connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        conn.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        conn.take(PAGE_BYTES).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(patience, exchange).await.map_err(|_| format!("http://{address}{path} does not answer"))?;
    let answer = answer.map_err(|error| error.to_string())?;
    let answered_ms = clock::wall_ms().0;
    parse(&String::from_utf8_lossy(&answer), asked_ms, answered_ms)
        .ok_or_else(|| format!("http://{address}{path}: no HTTP answer"))
}

fn parse(answer: &str, asked_ms: i64, answered_ms: i64) -> Option<Page> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let date = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim().to_owned())
    });
    let told_ms = date.and_then(|date| DateTimeParser::new().parse_timestamp(&date).ok());
    let skew_ms = told_ms.map(|told| skew(told.as_millisecond(), asked_ms, answered_ms));
    Some(Page { status, body: body.trim().to_owned(), skew_ms })
}

/// The clock showed `told` up to a second more when it answered, some time between `asked` and `answered`.
fn skew(told_ms: i64, asked_ms: i64, answered_ms: i64) -> i64 {
    match (told_ms - answered_ms, told_ms + 1000 - asked_ms) {
        (ahead, _) if ahead > 0 => ahead,
        (_, behind) if behind < 0 => behind,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: i64 = 1_795_240_800_000;

    #[test]
    fn a_page_has_status_body_and_clock() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ndate: Sat, 21 Nov 2026 06:00:00 GMT\r\n\r\nfenced\n";
        let page = parse(answer, TOLD + 5000, TOLD + 5010);
        assert_eq!(page, Some(Page { status: 503, body: "fenced".to_owned(), skew_ms: Some(-4000) }));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\nok", 0, 0).map(|page| page.skew_ms), Some(None));
        assert_eq!(parse("SSH-2.0", 0, 0), None);
    }

    #[test]
    fn skew_is_what_neither_precision_nor_distance_explain() {
        assert_eq!(skew(TOLD, TOLD + 10, TOLD + 900), 0);
        assert_eq!(skew(TOLD, TOLD + 1000, TOLD + 1001), 0);
        assert_eq!(skew(TOLD, TOLD - 3000, TOLD - 2000), 2000);
    }
}
