//! An image, and the archive that it is carried in.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REF_NAME,
    ANNOTATION_REVISION, ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_VERSION, Arch,
    ConfigBuilder, Descriptor, DescriptorBuilder, Digest, ImageConfiguration,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType, OciLayout,
    OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tar::{Builder, Header};

/// By this annotation containerd names what it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The name of an image with its tag, such as
/// `ghcr.io/watershed-dns/watershed:0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    name: String,
    tag: String,
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((name, tag)) if !name.is_empty() && !tag.is_empty() && !tag.contains('/') => {
                Ok(Self {
                    name: name.to_owned(),
                    tag: tag.to_owned(),
                })
            }
            _ => Err(format!("`{text}` is not NAME:TAG")),
        }
    }
}

/// An image of one layer.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its files, as a tar archive.
    pub layer: Vec<u8>,
    /// What it is called.
    pub reference: Reference,
    /// What it is, in a sentence.
    pub description: String,
    /// The program that a container runs.
    pub entrypoint: String,
    /// The user and the group that it runs as.
    pub user: u32,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// The commit that it was built from; empty when that is not known.
    pub revision: String,
}

impl Image {
    /// Writes the archive to `path`. The digest of the manifest is returned, by
    /// which registries and clusters know the image.
    ///
    /// # Errors
    /// When it cannot be written, or the time of its making cannot be told.
    pub fn write(&self, path: &Path) -> Result<String> {
        let layer = blob(MediaType::ImageLayer, self.layer.clone())?;
        let config = blob(
            MediaType::ImageConfig,
            json(&self.config(&layer.descriptor)?)?,
        )?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor.clone())
            .layers([layer.descriptor.clone()])
            .annotations(self.annotations()?)
            .build()?;
        let manifest = blob(MediaType::ImageManifest, json(&manifest)?)?;
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests([self.named(manifest.descriptor.clone())?])
            .build()?;
        let digest = manifest.descriptor.digest().to_string();
        let archive = archive(&json(&index)?, [layer, config, manifest])?;
        fs::write(path, archive).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(digest)
    }

    fn config(&self, layer: &Descriptor) -> Result<ImageConfiguration> {
        let run = ConfigBuilder::default()
            .user(format!("{0}:{0}", self.user))
            .entrypoint([self.entrypoint.clone()])
            .working_dir("/")
            .labels(self.annotations()?)
            .build()?;
        let files = RootFsBuilder::default()
            .typ("layers")
            .diff_ids([layer.digest().to_string()])
            .build()?;
        let config = ImageConfigurationBuilder::default()
            .created(self.time()?.to_string())
            .architecture(Arch::default())
            .os(Os::Linux)
            .config(run)
            .rootfs(files)
            .build()?;
        Ok(config)
    }

    fn annotations(&self) -> Result<std::collections::HashMap<String, String>> {
        let title = self.reference.name.rsplit('/').next().unwrap_or_default();
        let mut annotations = vec![
            (ANNOTATION_TITLE, title.to_owned()),
            (ANNOTATION_DESCRIPTION, self.description.clone()),
            (ANNOTATION_VERSION, self.reference.tag.clone()),
            (ANNOTATION_LICENSES, env!("CARGO_PKG_LICENSE").to_owned()),
            (ANNOTATION_SOURCE, env!("CARGO_PKG_REPOSITORY").to_owned()),
            (ANNOTATION_CREATED, self.time()?.to_string()),
        ];
        if !self.revision.is_empty() {
            annotations.push((ANNOTATION_REVISION, self.revision.clone()));
        }
        let owned = annotations.into_iter();
        Ok(owned.map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The manifest as the index names it: which machine it is for, and what it
    /// is called once it is imported.
    fn named(&self, mut manifest: Descriptor) -> Result<Descriptor> {
        let Reference { name, tag } = &self.reference;
        manifest.set_platform(Some(
            PlatformBuilder::default()
                .architecture(Arch::default())
                .os(Os::Linux)
                .build()?,
        ));
        manifest.set_annotations(Some(
            [
                (CONTAINERD_NAME.to_owned(), format!("{name}:{tag}")),
                (ANNOTATION_REF_NAME.to_owned(), tag.clone()),
            ]
            .into(),
        ));
        Ok(manifest)
    }

    fn time(&self) -> Result<Timestamp> {
        Ok(Timestamp::from_second(i64::try_from(self.created)?)?)
    }
}

/// Some octets, and how they are referred to.
struct Blob {
    descriptor: Descriptor,
    content: Vec<u8>,
}

fn blob(kind: MediaType, content: Vec<u8>) -> Result<Blob> {
    let digest = format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(&content)));
    let descriptor = DescriptorBuilder::default()
        .media_type(kind)
        .digest(Digest::from_str(&digest)?)
        .size(content.len() as u64)
        .build()?;
    Ok(Blob {
        descriptor,
        content,
    })
}

/// In canonical form: the maps of these types have no order of their own.
fn json(document: &impl Serialize) -> Result<Vec<u8>> {
    Ok(serde_json_canonicalizer::to_vec(document)?)
}

fn archive(index: &[u8], blobs: impl IntoIterator<Item = Blob>) -> Result<Vec<u8>> {
    let layout: OciLayout = OciLayoutBuilder::default()
        .image_layout_version("1.0.0")
        .build()?;
    let mut archive = Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        Ok(archive.append_data(&mut header, name, content)?)
    };
    add("oci-layout", &json(&layout)?)?;
    add("index.json", index)?;
    for blob in blobs {
        let digest = blob.descriptor.digest().digest();
        add(&format!("blobs/sha256/{digest}"), &blob.content)?;
    }
    Ok(archive.into_inner()?)
}
