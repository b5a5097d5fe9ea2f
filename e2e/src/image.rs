//! Images of single programs, for pods of the tests.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use watershed_images::archive::Image;
use watershed_images::layer::Layer;

/// Writes an image that has a static program and runs it. `reference` is what
/// pods ask for: `registry/name:tag`.
///
/// # Errors
/// When the program cannot be read or the archive not be written.
pub fn of_program(reference: &str, program: &Path, archive: &Path) -> Result<()> {
    let name = program.file_name().context("a program has a name")?;
    let inside = format!("/{}", name.to_string_lossy());
    let mut layer = Layer::new(0);
    layer.add_file(program, &inside)?;
    let image = Image {
        layer: layer.to_tar()?,
        reference: reference.parse().map_err(|error: String| anyhow!(error))?,
        description: "For the tests".to_owned(),
        entrypoint: inside,
        user: 65532,
        created: 0,
        revision: String::new(),
    };
    image.write(archive).map(drop)
}
