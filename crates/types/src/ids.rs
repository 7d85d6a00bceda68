//! Identifiers, offsets and epochs. Each is a transparent wrapper with the sentinel values Kafka gives it.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The plain number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// `node.id` of a broker or controller; never negative for a real node.
    BrokerId(i32)
);
number!(
    /// The registration of one broker process: grows with each registration in the cluster (KIP-631). -1 is "none".
    BrokerEpoch(i64)
);
number!(
    /// The Raft term of the active controller.
    ControllerEpoch(u64)
);
number!(
    /// Index of a partition within its topic.
    PartitionIndex(i32)
);
number!(
    /// Position of a record in a partition. Also log end offsets: the offset the next record will get.
    Offset(i64)
);
number!(
    /// Grows with each leader election of a partition (KIP-101). -1 is "unknown".
    LeaderEpoch(i32)
);
number!(
    /// Grows with each change of a partition's metadata; the compare-and-set token of AlterPartition (KIP-497).
    PartitionEpoch(i32)
);
number!(
    /// Id of an idempotent or transactional producer (KIP-98). -1 is "none".
    ProducerId(i64)
);
number!(
    /// Epoch of a producer id (KIP-98). -1 is "none".
    ProducerEpoch(i16)
);
number!(
    /// Sequence number of a record of an idempotent producer; wraps from `i32::MAX` to 0. -1 is "none".
    Sequence(i32)
);
number!(
    /// Position in the metadata log, counted in metadata records. The empty log ends at 0.
    MetadataOffset(i64)
);

impl BrokerId {
    /// "No broker": no leader, or a client's request.
    pub const NONE: Self = Self(-1);
}

impl BrokerEpoch {
    /// "No registration".
    pub const NONE: Self = Self(-1);
}

impl Offset {
    /// The first offset of a log.
    pub const ZERO: Self = Self(0);
    /// "No offset" on the wire.
    pub const NONE: Self = Self(-1);

    /// The offset `records` later; saturates instead of overflowing.
    #[must_use]
    pub const fn plus(self, records: i64) -> Self {
        Self(self.0.saturating_add(records))
    }
}

impl LeaderEpoch {
    /// "Unknown epoch" on the wire and in old batches.
    pub const NONE: Self = Self(-1);
}

impl DirectoryId {
    /// The replica's broker has not told yet in which directory it is (Kafka's reserved id).
    pub const UNASSIGNED: Self = Self::ZERO;
    /// What the replica held is given up: it is in no directory until it has begun anew (Kafka's reserved id).
    pub const LOST: Self = Self(uuid::Uuid::from_u128(1));

    /// Whether no directory may have this id: Kafka reserves the first hundred.
    pub const fn is_reserved(self) -> bool {
        self.0.as_u128() < 100
    }
}

impl ProducerId {
    /// The batch was not sent by an idempotent producer.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// The batch was not sent by an idempotent producer.
    pub const NONE: Self = Self(-1);
}

impl Sequence {
    /// The batch was not sent by an idempotent producer.
    pub const NONE: Self = Self(-1);

    /// The sequence `records` later, wrapping from `i32::MAX` to 0 as Kafka does. `records` must not be negative.
    #[must_use]
    pub const fn plus(self, records: i32) -> Self {
        debug_assert!(records >= 0);
        let room = i32::MAX - self.0;
        if records > room { Self(records - room - 1) } else { Self(self.0 + records) }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[repr(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// All zero: "none" on the wire.
            pub const ZERO: Self = Self(uuid::Uuid::nil());

            /// An id from 128 random bits, shaped as a version 4 UUID. Never [`Self::ZERO`] and never one of the
            /// small reserved ids.
            pub const fn from_random(bits: u128) -> Self {
                Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
            }

            /// The 16 bytes, most significant first, as on the wire.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// The id of these 16 bytes, most significant first.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// True for all zero.
            pub const fn is_zero(self) -> bool {
                self.0.is_nil()
            }
        }

        /// Kafka prints ids as URL-safe base64 without padding.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode_base64(self.0.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            /// Parses what `Display` prints (22 characters).
            fn from_str(text: &str) -> Result<Self, String> {
                decode_base64(text).map(Self::from_bytes).ok_or_else(|| format!("{text:?} is not a base64 id of 16 bytes"))
            }
        }
    };
}

uuid_id!(
    /// Id of a topic (KIP-516): a recreated topic of the same name has another.
    TopicId
);
uuid_id!(
    /// Id of a log directory or of a controller's metadata directory (`directory.id` in `meta.properties`, KIP-858).
    DirectoryId
);
uuid_id!(
    /// Id of one run of a broker process: a registration with another one is another process (KIP-631).
    IncarnationId
);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode_base64(bytes: &[u8; 16]) -> String {
    let bits = u128::from_be_bytes(*bytes);
    let digit = |index: u32| {
        // 22 digits of 6 bits cover 132 bits: the last digit carries two bits and four zeros.
        let value = if index == 21 { (bits << 4) & 0x3f } else { (bits >> (122 - 6 * index)) & 0x3f };
        char::from(ALPHABET[value as usize])
    };
    (0..22).map(digit).collect()
}

fn decode_base64(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let value = ALPHABET.iter().position(|&digit| digit == byte)? as u128;
        if index == 21 {
            if value & 0xf != 0 {
                return None;
            }
            bits |= value >> 4;
        } else {
            bits |= value << (122 - 6 * index);
        }
    }
    Some(bits.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_kafka_prints_them() {
        // Kafka's own reserved id `ONE_UUID` and the cluster id of its documentation.
        assert_eq!(TopicId::from_bytes(1u128.to_be_bytes()).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id: TopicId = "MkU3OEVBNTcwNTJENDM2Qg".parse().unwrap();
        assert_eq!(id.to_string(), "MkU3OEVBNTcwNTJENDM2Qg");
        assert_eq!(&id.to_bytes(), b"2E78EA57052D436B");
        assert!("MkU3OEVBNTcwNTJENDM2Q".parse::<TopicId>().is_err());
        assert!("MkU3OEVBNTcwNTJENDM2Q*".parse::<TopicId>().is_err());
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(5).plus(0), Sequence(5));
    }
}
