//! Files of credentials that need no other file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use data_encoding::BASE64;
use kube::config::Kubeconfig;
use serde_json::json;

use crate::certs::Issued;

/// Credentials by certificate.
pub(super) fn with_certificate(
    server: &str,
    authority: &str,
    user: &str,
    issued: &Issued,
) -> Result<Kubeconfig> {
    let base64 = |pem: &str| BASE64.encode(pem.as_bytes());
    let cluster = json!({"server": server, "certificate-authority-data": base64(authority)});
    let credentials = json!({
        "client-certificate-data": base64(&issued.certificate),
        "client-key-data": base64(&issued.key),
    });
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "watershed-e2e",
        "clusters": [{"name": "watershed-e2e", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{
            "name": "watershed-e2e",
            "context": {"cluster": "watershed-e2e", "user": user},
        }],
    });
    Ok(serde_json::from_value(kubeconfig)?)
}

/// Writes a file that only its owner reads.
pub(super) fn write(path: &Path, kubeconfig: &Kubeconfig) -> Result<()> {
    let yaml = serde_yaml::to_string(kubeconfig)?;
    let put = || {
        fs::write(path, "")?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        fs::write(path, yaml)
    };
    put().with_context(|| format!("cannot write {}", path.display()))
}
