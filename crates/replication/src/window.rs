//! How much of a stream may be under way.

/// Frames that the follower has not reported as handled: bounds what is in flight to about 8 MiB, the stream's HTTP/2 window.
pub(crate) const WINDOW_FRAMES: u64 = 8;
