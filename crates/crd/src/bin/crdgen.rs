//! Writes the definitions of all kinds to `crds/`.

use std::fs;
use std::io;
use std::path::Path;

use watershed_crd::{KINDS, definition_yaml, plural};

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    fs::create_dir_all(&directory)?;
    for kind in KINDS {
        if let (Some(plural), Some(yaml)) = (plural(kind), definition_yaml(kind)) {
            let yaml = yaml.map_err(io::Error::other)?;
            fs::write(directory.join(format!("{plural}.yaml")), yaml)?;
        }
    }
    Ok(())
}
