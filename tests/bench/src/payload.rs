//! Record values that look and compress like log lines, reproducible from their number.

const WORDS: &[&str] = &[
    "GET",
    "POST",
    "/index.html",
    "/api/v1/orders",
    "/api/v1/users",
    "200",
    "404",
    "500",
    "Mozilla/5.0",
    "(X11; Linux x86_64)",
    "session",
    "user",
    "latency_ms",
    "upstream",
    "cache=HIT",
    "cache=MISS",
    "bytes",
    "region=eu-west",
    "region=us-east",
    "INFO",
];

/// A text of exactly `length` bytes.
pub fn log_line(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut line = format!("2026-01-01T00:00:00.{:06}Z id={number:016x} ", number % 1_000_000).into_bytes();
    while line.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        line.extend_from_slice(WORDS[(state % WORDS.len() as u64) as usize].as_bytes());
        line.extend_from_slice(format!("={} ", state >> 52).as_bytes());
    }
    line.truncate(length);
    line
}
