//! The one part of a member's subscription the coordinator reads: topics of protocol type `consumer`.

use std::collections::BTreeSet;

/// Protocol type of Kafka consumers, whose subscriptions have a known layout.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Topics of a ConsumerProtocolSubscription. Version 0 (version, then an array of names) is a prefix of all versions.
/// `None` when the bytes are not one, which a client is free to send.
pub(crate) fn subscribed_topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
    let (version, rest) = metadata.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut topics = BTreeSet::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (name, tail) = tail.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = tail;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_topics_and_refuses_nonsense() {
        let metadata = [0, 3, 0, 0, 0, 2, 0, 1, b'b', 0, 2, b'a', b'1', 0xff, 0xff, 0xff, 0xff];
        assert_eq!(subscribed_topics(&metadata), Some(BTreeSet::from(["a1".to_owned(), "b".to_owned()])));
        assert_eq!(subscribed_topics(&metadata[..9]), None);
        assert_eq!(subscribed_topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), None);
        assert_eq!(subscribed_topics(&[0xff, 0xff, 0, 0, 0, 0]), None);
        assert_eq!(subscribed_topics(b""), None);
    }
}
