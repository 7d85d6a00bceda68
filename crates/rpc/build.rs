//! Compiles every `proto/*.proto` of the workspace with protox (no `protoc` is needed) into one module tree.

use std::path::{Path, PathBuf};

// Runs at build time only, never in the program.
#[allow(clippy::disallowed_methods)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto_dir = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets it")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", proto_dir.display());
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&proto_dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            println!("cargo:rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, [&proto_dir])?;
    tonic_prost_build::configure()
        // Byte strings share the received buffer instead of being copied out of it.
        .bytes(".")
        .include_file("highwater.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
