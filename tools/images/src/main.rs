//! `watershed-images`: writes one container image as an OCI archive.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use watershed_images::archive::{Image, Reference};
use watershed_images::layer::Layer;

/// Write a container image of one layer as an OCI archive
///
/// The same files under the same names give the same octets, whenever, wherever
/// and by whomever it is written.
#[derive(Debug, Parser)]
#[command(name = "watershed-images", version)]
struct Args {
    /// Where to write the archive
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// What the image is called, with its tag
    #[arg(long, value_name = "NAME:TAG")]
    reference: Reference,

    /// What it is, in a sentence
    #[arg(long, value_name = "TEXT")]
    description: String,

    /// The program that a container runs
    #[arg(long, value_name = "PATH")]
    entrypoint: String,

    /// The user and the group that it runs as
    #[arg(long, value_name = "UID", default_value_t = 65532)]
    user: u32,

    /// When the image and all its files were made, in seconds since 1970
    #[arg(
        long,
        env = "SOURCE_DATE_EPOCH",
        value_name = "SECONDS",
        default_value_t = 0
    )]
    created: u64,

    /// The commit that it was built from
    #[arg(
        long,
        value_name = "COMMIT",
        default_value = "",
        hide_default_value = true
    )]
    revision: String,

    /// A directory whose content is the ground of the image
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,

    /// A file, and where it lies in the image; may be given several times
    #[arg(long = "file", value_name = "FROM:TO")]
    files: Vec<String>,

    /// An empty directory that belongs to the user; may be given several times
    #[arg(long = "directory", value_name = "PATH")]
    directories: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let image = Image {
        layer: args.layer()?.to_tar()?,
        reference: args.reference,
        description: args.description,
        entrypoint: args.entrypoint,
        user: args.user,
        created: args.created,
        revision: args.revision,
    };
    let digest = image.write(&args.out)?;
    println!("{digest} {}", args.out.display());
    Ok(())
}

impl Args {
    fn layer(&self) -> anyhow::Result<Layer> {
        let mut layer = Layer::new(self.created);
        if let Some(rootfs) = &self.rootfs {
            layer.add_tree(rootfs)?;
        }
        for directory in &self.directories {
            layer.add_directory(directory, self.user);
        }
        for file in &self.files {
            let (from, to) = file
                .rsplit_once(':')
                .with_context(|| format!("`{file}` is not FROM:TO"))?;
            layer.add_file(from.as_ref(), to)?;
        }
        Ok(layer)
    }
}
