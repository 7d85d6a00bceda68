//! How files are opened and directories listed, in the same terms for the real disk and the simulated one.

/// How [`Fs::open`](crate::Fs::open) opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    ReadWrite,
    /// For reading and writing; created empty if missing.
    Create,
    /// For reading and writing; created if missing, emptied if not.
    Truncate,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Name without the path. A name that is not UTF-8 is shown with replacement characters.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
}
