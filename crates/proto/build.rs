//! Generates the messages and the service from the files in `proto/`. The
//! compiler of the definitions is a library, so that building needs no tool.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let definitions = protox::compile(["watershed/fleet/v1/fleet.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // It holds a token; `src/enrol.rs` says what may be seen of it.
        .skip_debug([".watershed.fleet.v1.EnrolRequest"])
        .compile_fds(definitions)?;
    Ok(())
}
