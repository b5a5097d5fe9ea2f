//! Blocks of client addresses.

use ipnet::IpNet;
use watershed_policy::{Code, Diagnostic, Path};

use super::report;

/// Reads blocks in CIDR notation. Bits behind the prefix are cleared with a
/// warning: a block with host bits set is usually meant as the network.
pub(super) fn parse<'t>(
    texts: impl IntoIterator<Item = &'t String>,
    path: &Path,
    findings: &mut Vec<Diagnostic>,
) -> Vec<IpNet> {
    let blocks = texts.into_iter().filter_map(|text| {
        let Ok(block) = text.parse::<IpNet>() else {
            let message =
                format!("`{text}` is not a block; write an address and a prefix length, such as 192.0.2.0/24");
            report(findings, Code::InvalidValue, path.clone(), message);
            return None;
        };
        let network = block.trunc();
        if network != block {
            let message = format!("`{text}` has bits set behind its prefix; taken as {network}");
            report(findings, Code::Ignored, path.clone(), message);
        }
        Some(network)
    });
    blocks.collect()
}
