//! Compiles the `.proto` files with protox (no system `protoc`) and keeps their descriptors for reflection.

use prost::Message as _;
use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["types", "agent", "search", "journal"].map(|name| format!("toprung/v1/{name}.proto"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(&files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // They hold secrets; `secrets.rs` says what is shown.
    let secret = ["S3Storage", "AzureStorage"].map(|name| format!(".toprung.v1.{name}"));
    tonic_prost_build::configure().skip_debug(secret).compile_fds(descriptors)?;
    Ok(())
}
