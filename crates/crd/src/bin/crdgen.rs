//! Writes the definitions of all kinds to `crds/`, and their reference to
//! `docs/reference/`.

use std::fs;
use std::io;
use std::path::Path;

use watershed_crd::{KINDS, definition_yaml, plural, reference, reference_file};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (definitions, pages) = (root.join("crds"), root.join("docs/reference"));
    fs::create_dir_all(&definitions)?;
    fs::create_dir_all(&pages)?;
    for kind in KINDS {
        if let (Some(plural), Some(yaml)) = (plural(kind), definition_yaml(kind)) {
            let yaml = yaml.map_err(io::Error::other)?;
            fs::write(definitions.join(format!("{plural}.yaml")), yaml)?;
        }
        if let Some(page) = reference(kind) {
            fs::write(pages.join(reference_file(kind)), page)?;
        }
    }
    Ok(())
}
