//! How the binary is linked: docs/adr/0090-code-is-memory.md.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Code that runs only at the start (the static data of RocksDB's C++) or hardly ever is put together, away from the
    // rest: the kernel maps the 64 KiB around each page that is touched. GNU ld does so by itself.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
}
