//! An image is what its files are, whoever writes it.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use watershed_images::archive::Image;
use watershed_images::layer::Layer;

/// A directory with a program and some files, of this age, whose files were
/// made in this order.
fn inputs(age: Duration, names: &[&str], program_mode: u32) -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    fs::create_dir_all(directory.path().join("rootfs/etc"))?;
    for name in names {
        let path = directory.path().join(name);
        fs::write(&path, name)?;
        File::options()
            .write(true)
            .open(&path)?
            .set_modified(SystemTime::now() - age)?;
    }
    let program = Permissions::from_mode(program_mode);
    fs::set_permissions(directory.path().join("program"), program)?;
    Ok(directory)
}

/// The digest, and where the archive is.
fn write(inputs: &TempDir) -> Result<(String, PathBuf)> {
    let from = inputs.path();
    let mut layer = Layer::new(1_790_000_000);
    layer.add_directory("/var/lib/watershed", 65532);
    layer.add_tree(&from.join("rootfs"))?;
    layer.add_file(&from.join("program"), "/usr/bin/program")?;
    let image = Image {
        layer: layer.to_tar()?,
        reference: "registry.example.com/program:1.0"
            .parse()
            .map_err(anyhow::Error::msg)?,
        description: "A program".to_owned(),
        entrypoint: "/usr/bin/program".to_owned(),
        user: 65532,
        created: 1_790_000_000,
        revision: "0123abcd".to_owned(),
    };
    let path = from.join("image.tar");
    Ok((image.write(&path)?, path))
}

const NAMES: [&str; 3] = ["program", "rootfs/etc/group", "rootfs/etc/passwd"];

fn some() -> Result<TempDir> {
    inputs(Duration::from_secs(10), &NAMES, 0o755)
}

#[test]
fn the_same_files_make_the_same_octets() -> Result<()> {
    let one = some()?;
    // Older, in another order, and of somebody with another umask.
    let backwards: Vec<&str> = NAMES.into_iter().rev().collect();
    let other = inputs(Duration::from_secs(100_000), &backwards, 0o700)?;
    let (one_digest, one_path) = write(&one)?;
    let (other_digest, other_path) = write(&other)?;
    assert_eq!(one_digest, other_digest);
    assert!(
        fs::read(one_path)? == fs::read(other_path)?,
        "the octets differ"
    );
    Ok(())
}

#[test]
fn another_file_makes_another_image() -> Result<()> {
    let one = some()?;
    let other = some()?;
    fs::write(other.path().join("rootfs/etc/group"), "more")?;
    assert_ne!(write(&one)?.0, write(&other)?.0);
    Ok(())
}

#[test]
fn the_layer_has_every_file_and_nobody_may_write_to_it() -> Result<()> {
    let inputs = some()?;
    let (digest, path) = write(&inputs)?;
    let blobs = unpack(&path)?;
    let manifest = document(&blobs, &digest)?;
    let layer = manifest["layers"][0]["digest"]
        .as_str()
        .context("no layer")?;
    let mut entries = Vec::new();
    for entry in tar::Archive::new(blob(&blobs, layer)?).entries()? {
        let entry = entry?;
        let header = entry.header();
        let path = entry.path()?.display().to_string();
        entries.push((path, header.mode()?, header.uid()?, header.gid()?));
        assert_eq!(header.mtime()?, 1_790_000_000);
    }
    let root = |path: &str, mode| (path.to_owned(), mode, 0, 0);
    assert_eq!(
        entries,
        [
            root("etc", 0o755),
            root("etc/group", 0o644),
            root("etc/passwd", 0o644),
            root("usr", 0o755),
            root("usr/bin", 0o755),
            root("usr/bin/program", 0o755),
            root("var", 0o755),
            root("var/lib", 0o755),
            ("var/lib/watershed".to_owned(), 0o755, 65532, 65532),
        ]
    );
    Ok(())
}

#[test]
fn documents_name_each_other_by_digest() -> Result<()> {
    let inputs = some()?;
    let (digest, path) = write(&inputs)?;
    let blobs = unpack(&path)?;
    let index: Value = serde_json::from_slice(&blobs["index.json"])?;
    let named = &index["manifests"][0];
    assert_eq!(named["digest"], digest);
    assert_eq!(
        named["annotations"]["io.containerd.image.name"],
        "registry.example.com/program:1.0"
    );
    let manifest = document(&blobs, &digest)?;
    let config = manifest["config"]["digest"].as_str().context("no config")?;
    let config = document(&blobs, config)?;
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/program");
    // The layer is not compressed, so both digests are of the same octets.
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        manifest["layers"][0]["digest"]
    );
    Ok(())
}

fn unpack(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(File::open(path)?).entries()? {
        let mut entry = entry?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(entry.path()?.display().to_string(), content);
    }
    Ok(files)
}

fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, digest: &str) -> Result<&'a [u8]> {
    let name = format!("blobs/{}", digest.replace(':', "/"));
    let content = files.get(&name);
    Ok(content.with_context(|| format!("{name} is not there"))?)
}

fn document(files: &BTreeMap<String, Vec<u8>>, digest: &str) -> Result<Value> {
    Ok(serde_json::from_slice(blob(files, digest)?)?)
}
