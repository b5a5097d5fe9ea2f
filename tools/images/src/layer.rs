//! The files of an image, as a tar archive.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tar::{Builder, EntryType, Header};

/// Files and directories by their path in the image, in the order in which
/// they are archived: a directory before what is in it.
#[derive(Clone, Debug)]
pub struct Layer {
    entries: BTreeMap<String, Entry>,
    /// When everything was changed last, in seconds since 1970.
    modified: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    /// A directory, and to whom it belongs.
    Directory { owner: u32 },
    /// A file of root, and whether it is a program.
    File { content: Vec<u8>, program: bool },
}

impl Layer {
    /// A layer without files.
    pub fn new(modified: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            modified,
        }
    }

    /// Adds everything below `root`.
    ///
    /// # Errors
    /// When something cannot be read, or is neither file nor directory.
    pub fn add_tree(&mut self, root: &Path) -> Result<()> {
        self.add_below(root, "")
    }

    fn add_below(&mut self, directory: &Path, to: &str) -> Result<()> {
        let entries = fs::read_dir(directory);
        let entries = entries.with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            let name = name
                .to_str()
                .with_context(|| format!("{} is not UTF-8", path.display()))?;
            let to = format!("{to}/{name}");
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                self.add_below(&path, &to)?;
            } else if kind.is_file() {
                self.add_file(&path, &to)?;
            } else {
                bail!("{} is neither file nor directory", path.display());
            }
        }
        Ok(())
    }

    /// Adds the file `from` under the name `to`. It may be carried out when its
    /// owner may carry it out; nothing else of its mode counts, as that depends
    /// on the umask of whoever made it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add_file(&mut self, from: &Path, to: &str) -> Result<()> {
        let unreadable = || format!("cannot read {}", from.display());
        let mode = fs::metadata(from).with_context(unreadable)?.permissions();
        let entry = Entry::File {
            content: fs::read(from).with_context(unreadable)?,
            program: mode.mode() & 0o100 != 0,
        };
        self.add(to, entry);
        Ok(())
    }

    /// Adds a directory that belongs to `owner`.
    pub fn add_directory(&mut self, path: &str, owner: u32) {
        self.add(path, Entry::Directory { owner });
    }

    /// Adds an entry, and the directories above it.
    fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            let above = self.entries.entry(path[..end].to_owned());
            above.or_insert(Entry::Directory { owner: 0 });
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// The archive.
    ///
    /// # Errors
    /// When a name is too long for it.
    pub fn to_tar(&self) -> Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let (mut header, content) = entry.header(self.modified);
            archive.append_data(&mut header, path, content)?;
        }
        Ok(archive.into_inner()?)
    }
}

impl Entry {
    fn header(&self, modified: u64) -> (Header, &[u8]) {
        let mut header = Header::new_gnu();
        header.set_mtime(modified);
        let (kind, mode, owner, content) = match self {
            Self::Directory { owner } => (EntryType::Directory, 0o755, *owner, &[][..]),
            Self::File { content, program } => {
                let mode = if *program { 0o755 } else { 0o644 };
                (EntryType::Regular, mode, 0, content.as_slice())
            }
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        header.set_size(content.len() as u64);
        (header, content)
    }
}
