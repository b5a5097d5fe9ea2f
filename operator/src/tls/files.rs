//! Certificates in a directory: `ca.crt`, `tls.crt` and `tls.key`, the names
//! of a Secret that cert-manager fills.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Bundle, ServerTls, TlsError};

const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// How often the files are looked at. A volume of a Secret is up to a minute
/// behind itself, and certificates are renewed days before they expire.
const LOOK: Duration = Duration::from_secs(5);

/// Reads the certificates in `directory`.
///
/// # Errors
/// When a file cannot be read; the error names it.
pub fn read(directory: &Path) -> Result<Bundle, TlsError> {
    let text = |name: &str| {
        let path = directory.join(name);
        fs::read_to_string(&path).map_err(|error| failed(&path, error))
    };
    Ok(Bundle {
        ca: text(CA)?,
        certificate: text(CERTIFICATE)?,
        key: text(KEY)?,
    })
}

/// Writes certificates into `directory`, for their owner alone to read.
///
/// # Errors
/// When a file cannot be written; the error names it.
pub fn write(directory: &Path, bundle: &Bundle) -> Result<(), TlsError> {
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, text) in [
        (CA, &bundle.ca),
        (CERTIFICATE, &bundle.certificate),
        (KEY, &bundle.key),
    ] {
        let path = directory.join(name);
        write_private(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Writes aside and renames, so that the file is never half written and never
/// has the permissions of an older one.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension("new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

/// Presents what is in `directory` whenever it changes, until `shutdown`. What
/// cannot be used is said once, and the former certificates stay.
pub async fn follow(
    directory: &Path,
    mut presented: Bundle,
    tls: &ServerTls,
    shutdown: &CancellationToken,
) {
    let mut said = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return,
        }
        let found = read(directory).and_then(|bundle| {
            if bundle != presented {
                tls.replace(&bundle)?;
                presented = bundle;
                tracing::info!(directory = %directory.display(), "took new certificates");
            }
            Ok(())
        });
        let error = found.err().map(|error| error.to_string());
        if let Some(error) = error.as_ref().filter(|_| error != said) {
            tracing::error!(error, "cannot take new certificates, the former ones stay");
        }
        said = error;
    }
}

fn failed(path: &Path, error: io::Error) -> TlsError {
    TlsError::File {
        path: path.display().to_string(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn bundle(key: &str) -> Bundle {
        Bundle {
            ca: "ca".to_owned(),
            certificate: "certificate".to_owned(),
            key: key.to_owned(),
        }
    }

    #[test]
    fn files_are_private_and_read_back_even_over_older_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(KEY), "open to all").expect("an older file");
        for key in ["first", "second"] {
            write(directory.path(), &bundle(key)).expect("written");
            assert_eq!(read(directory.path()).expect("read"), bundle(key));
        }
        for name in [CA, CERTIFICATE, KEY] {
            let metadata = fs::metadata(directory.path().join(name)).expect(name);
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(CA), "ca").expect("written");
        let error = read(directory.path()).expect_err("no certificate is there");
        assert!(error.to_string().contains("tls.crt"), "{error}");
    }
}
