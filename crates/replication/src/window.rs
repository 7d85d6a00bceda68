//! How much of a stream may be under way.

/// Frames that the follower has not reported as handled: bounds what is in flight to about 8 MiB, the stream's HTTP/2 window.
pub(crate) const WINDOW_FRAMES: u64 = 8;

/// Longest frame that is accepted. A batch is never split, and a client may send one of up to 2 GiB, where `message.max.bytes` and
/// `socket.request.max.bytes` say so; beside it there may be what else a frame holds.
pub(crate) const MAX_FRAME_BYTES: usize = i32::MAX as usize + 64 * 1024 * 1024;
