//! Record values that look and compress like the logs of services, reproducible from a seed.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// Different values that a load cycles through. Prime, so that a partition that gets every n-th record meets all of them;
/// their bytes fit into a cache, so that making records costs the client little.
const VALUES: usize = 2_039;

const LEVELS: &[&str] = &["INFO", "INFO", "INFO", "INFO", "DEBUG", "DEBUG", "WARN", "ERROR"];
const SERVICES: &[&str] = &["checkout", "inventory", "payments", "search", "session-store", "gateway", "mailer"];
const METHODS: &[&str] = &["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const PATHS: &[&str] =
    &["/api/v1/orders", "/api/v1/users", "/api/v2/cart/items", "/healthz", "/static/app.js", "/login"];
const STATUS: &[u16] = &[200, 200, 200, 200, 201, 204, 301, 304, 400, 404, 500, 503];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15",
    "curl/8.5.0",
    "okhttp/4.12.0",
];

/// A fixed set of values of one size.
#[derive(Debug)]
pub struct Payloads(Vec<Vec<u8>>);

impl Payloads {
    /// Values of `length` bytes each.
    pub fn new(length: usize) -> Self {
        Self((0..VALUES as u64).map(|seed| value(seed, length)).collect())
    }

    /// The value of a record (0, 1, ...).
    pub fn value(&self, number: u64) -> &[u8] {
        &self.0[(number % VALUES as u64) as usize]
    }
}

/// Lines of one moment, as many as fit, of exactly `length` bytes together.
fn value(seed: u64, length: usize) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut text = String::new();
    while text.len() < length {
        line(&mut text, seed, &mut random);
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(length);
    bytes
}

fn line(text: &mut String, seed: u64, random: &mut SmallRng) {
    use std::fmt::Write as _;
    let mut pick = |choices: &[&'static str]| choices[random.random_range(0..choices.len())];
    let (level, service, method, path, agent) =
        (pick(LEVELS), pick(SERVICES), pick(METHODS), pick(PATHS), pick(AGENTS));
    let status = STATUS[random.random_range(0..STATUS.len())];
    let (user, took, bytes): (u32, u32, u32) =
        (random.random_range(1..200_000), random.random_range(0..2_000), random.random_range(100..100_000));
    let (trace, micros): (u64, u32) = (random.random(), random.random_range(0..1_000_000));
    let (minute, second) = (seed / 60 % 60, seed % 60);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "2026-03-01T12:{minute:02}:{second:02}.{micros:06}Z {level} {service} trace={trace:016x} user={user} \
         \"{method} {path}/{user} HTTP/1.1\" status={status} bytes={bytes} took_ms={took} agent=\"{agent}\""
    );
}

#[cfg(test)]
mod tests {
    use highwater_records::{BatchBuilder, Compression};
    use highwater_types::Timestamp;

    use super::*;

    fn ratio(codec: Compression, record_bytes: usize, batch_bytes: usize) -> f64 {
        let payloads = Payloads::new(record_bytes);
        let batch = |codec| {
            let mut builder = BatchBuilder::new(codec);
            for number in 0..(batch_bytes / record_bytes) as u64 {
                builder.append(Timestamp(number as i64), None, Some(payloads.value(number)), &[]);
            }
            builder.build().len() as f64
        };
        batch(Compression::None) / batch(codec)
    }

    #[test]
    fn values_compress_as_logs_do() {
        let lz4 = ratio(Compression::Lz4, 1024, 256 * 1024);
        let zstd = ratio(Compression::Zstd, 1024, 256 * 1024);
        assert!((2.0..4.5).contains(&lz4), "lz4: {lz4}");
        assert!((3.5..8.0).contains(&zstd), "zstd: {zstd}");
    }

    #[test]
    fn values_are_reproducible_different_and_of_the_wanted_size() {
        let (one, other) = (Payloads::new(100), Payloads::new(100));
        assert!((0..3 * VALUES as u64).all(|number| one.value(number) == other.value(number)));
        assert!(one.0.iter().all(|value| value.len() == 100));
        let distinct: std::collections::BTreeSet<_> = one.0.iter().collect();
        assert_eq!(distinct.len(), VALUES);
    }
}
