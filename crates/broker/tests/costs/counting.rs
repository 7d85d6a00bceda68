//! Counts what this process does: it takes the place of the allocator, of the C library's calls for files and sockets, and of its
//! `memcpy`. Whoever is linked into this program, the standard library and tokio among them, calls these.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_env::lock::acquisitions;
use highwater_test_allocator::{Counting, allocations};

static FILE_CALLS: AtomicU64 = AtomicU64::new(0);
static SOCKET_CALLS: AtomicU64 = AtomicU64::new(0);
static WAITS: AtomicU64 = AtomicU64::new(0);
static COPIED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Shorter copies are of headers and structures, not of records.
const LONG_COPY_BYTES: usize = 512;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Blocks taken from the allocator, or made larger.
    pub allocations: u64,
    /// System calls that read, write or flush a file.
    pub file_calls: u64,
    /// System calls that send, receive, or wake a thread that waits.
    pub socket_calls: u64,
    /// System calls that wait for sockets, or look whether something is there.
    pub waits: u64,
    /// Bytes that were copied within the process, in pieces of half a KiB and more.
    pub copied_bytes: u64,
    /// Locks acquired.
    pub locks: u64,
}

impl Costs {
    /// All so far, by all threads.
    pub fn so_far() -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            allocations: allocations(),
            file_calls: read(&FILE_CALLS),
            socket_calls: read(&SOCKET_CALLS),
            waits: read(&WAITS),
            copied_bytes: read(&COPIED_BYTES),
            locks: acquisitions(),
        }
    }

    /// Each with its like of the other.
    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            allocations: combine(self.allocations, other.allocations),
            file_calls: combine(self.file_calls, other.file_calls),
            socket_calls: combine(self.socket_calls, other.socket_calls),
            waits: combine(self.waits, other.waits),
            copied_bytes: combine(self.copied_bytes, other.copied_bytes),
            locks: combine(self.locks, other.locks),
        }
    }

    /// What was done since `before`.
    pub fn since(self, before: Self) -> Self {
        self.with(before, |now, before| now - before)
    }

    /// The lesser of each.
    pub fn least(self, other: Self) -> Self {
        self.with(other, u64::min)
    }

    /// Whether none is more than in `limits`.
    pub fn is_within(self, limits: Self) -> bool {
        self.least(limits) == self
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allocations, file_calls, socket_calls, waits, copied_bytes, locks } = self;
        write!(
            f,
            "{allocations} allocations, {file_calls} file calls, {socket_calls} socket calls, {waits} waits, \
             {copied_bytes} bytes copied, {locks} locks"
        )
    }
}

fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Functions of the C library that are one system call each: counted, then made.
macro_rules! counted {
    ($counter:ident: $($name:ident($($argument:ident: $type:ty),*) = $call:ident($($passed:expr),*);)*) => {$(
        /// # Safety
        /// As the C library's function of that name.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> isize {
            count(&$counter, 1);
            // SAFETY: the arguments are the caller's, who promises what the call needs. `syscall` sets errno as the function would.
            unsafe { libc::syscall(libc::$call, $($passed),*) as isize }
        }
    )*};
}

type Buffers = *const libc::iovec;
type Address = *const libc::c_void;

counted! { FILE_CALLS:
    pread64(fd: i32, to: Address, length: usize, at: i64) = SYS_pread64(fd, to, length, at);
    pwrite64(fd: i32, from: Address, length: usize, at: i64) = SYS_pwrite64(fd, from, length, at);
    preadv(fd: i32, to: Buffers, buffers: i32, at: i64) = SYS_preadv(fd, to, buffers, at, 0_i64);
    pwritev(fd: i32, from: Buffers, buffers: i32, at: i64) = SYS_pwritev(fd, from, buffers, at, 0_i64);
    fsync(fd: i32) = SYS_fsync(fd);
    fdatasync(fd: i32) = SYS_fdatasync(fd);
    syncfs(fd: i32) = SYS_syncfs(fd);
}

counted! { SOCKET_CALLS:
    read(fd: i32, to: Address, length: usize) = SYS_read(fd, to, length);
    write(fd: i32, from: Address, length: usize) = SYS_write(fd, from, length);
    readv(fd: i32, to: Buffers, buffers: i32) = SYS_readv(fd, to, buffers);
    writev(fd: i32, from: Buffers, buffers: i32) = SYS_writev(fd, from, buffers);
    recv(fd: i32, to: Address, length: usize, flags: i32) = SYS_recvfrom(fd, to, length, flags, 0_usize, 0_usize);
    send(fd: i32, from: Address, length: usize, flags: i32) = SYS_sendto(fd, from, length, flags, 0_usize, 0_usize);
    recvmsg(fd: i32, message: Address, flags: i32) = SYS_recvmsg(fd, message, flags);
    sendmsg(fd: i32, message: Address, flags: i32) = SYS_sendmsg(fd, message, flags);
}

counted! { WAITS:
    epoll_wait(fd: i32, events: Address, most: i32, wait_ms: i32) = SYS_epoll_pwait(fd, events, most, wait_ms, 0_usize, 8_usize);
}

/// # Safety
/// As the C library's.
#[cfg(target_arch = "x86_64")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if length >= LONG_COPY_BYTES {
        count(&COPIED_BYTES, length as u64);
    }
    // SAFETY: the caller promises that both ranges are valid and do not overlap; the direction flag is clear by the ABI.
    unsafe {
        std::arch::asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}
