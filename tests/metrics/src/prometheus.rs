//! A Prometheus process of our own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::{Cluster, Loopback, free_ports};
use serde_json::Value;

use crate::{rules, until};

/// How often nodes are scraped and rules are evaluated: so that a minute of a test holds what an hour of work does.
const INTERVAL: &str = "1s";

/// One series of an answer.
#[derive(Debug, Clone)]
pub struct Series {
    pub labels: Value,
    pub value: f64,
}

impl Series {
    /// A label, empty where there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

/// Scrapes all nodes of a cluster and evaluates `deploy/prometheus` with shortened times. Ends when dropped.
pub struct Prometheus {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it and waits until it has scraped every node.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("highwater-prometheus-").tempdir()?;
        let host = Loopback::pick();
        let address = format!("{host}:{}", free_ports(&host, 1)?[0]);
        let targets: Vec<String> = cluster.nodes().iter().map(|node| format!("'{}'", node.http())).collect();
        let config = format!(
            "global: {{ scrape_interval: {INTERVAL}, evaluation_interval: {INTERVAL} }}\n\
             rule_files: [recording.yml, alerts.yml]\n\
             scrape_configs:\n  - job_name: highwater\n    static_configs:\n      - targets: [{}]\n        \
             labels: {{ cluster: test }}\n",
            targets.join(", ")
        );
        std::fs::write(directory.path().join("prometheus.yml"), config)?;
        for name in ["recording.yml", "alerts.yml"] {
            std::fs::write(directory.path().join(name), rules::shortened(name)?)?;
        }
        let log = std::fs::File::create(directory.path().join("prometheus.log"))?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", directory.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start prometheus")?;
        let prometheus = Self { child, address, _directory: directory };
        until("Prometheus scrapes all nodes", Duration::from_secs(60), || {
            let up = prometheus.query("up == 1").unwrap_or_default().len();
            Ok((up == cluster.nodes().len()).then_some(()))
        })?;
        Ok(prometheus)
    }

    /// For a browser.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Evaluates an expression now. A scalar is one series without labels.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>> {
        let answer = self.get(&format!("/api/v1/query?query={}", percent_encoded(expression)))?;
        if answer["status"] != "success" {
            bail!("{expression}\n{answer}");
        }
        let value = |value: &Value| value[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let result = &answer["data"]["result"];
        if answer["data"]["resultType"] == "scalar" {
            return Ok(vec![Series { labels: Value::Null, value: value(result) }]);
        }
        let series = result.as_array().into_iter().flatten();
        Ok(series.map(|one| Series { labels: one["metric"].clone(), value: value(&one["value"]) }).collect())
    }

    /// The sum of what an expression gives; 0 for nothing.
    pub fn sum(&self, expression: &str) -> Result<f64> {
        Ok(self.query(expression)?.iter().map(|series| series.value).sum())
    }

    /// Names of the alerts that fire.
    pub fn firing(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self
            .query("ALERTS{alertstate=\"firing\"}")?
            .iter()
            .map(|series| series.label("alertname").to_owned())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn get(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
