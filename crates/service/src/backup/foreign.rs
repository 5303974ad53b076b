//! Files that are taken for Evercube backups and are none.

use evercube_base::{Error, Result};

/// How a backup of Analysis Services starts, in UTF-16; the second where it is compressed whole.
const ABF: [&str; 2] =
    ["STREAM_STORAGE_SIGNATURE_)!@#$%^&*(", "This backup was created using XPress9 compression."];

/// Refuses by name what is known to be something else.
pub fn refuse_foreign(start: &[u8]) -> Result<()> {
    let text = start.strip_prefix(&[0xFF, 0xFE]).unwrap_or(start);
    let is_abf = ABF.iter().any(|signature| {
        let wide: Vec<u8> = signature.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // A file cut off within the signature is still recognised.
        let same = |a: &[u8], b: &[u8]| {
            let n = a.len().min(b.len());
            n >= 32 && a.iter().zip(b).take(n).all(|(x, y)| x.eq_ignore_ascii_case(y))
        };
        same(text, &wide) || same(text, signature.as_bytes())
    });
    if is_abf {
        return Err(Error::unsupported(
            "the file is a backup of Microsoft Analysis Services (.abf), whose format Evercube does not read: script the model there (TMSL createOrReplace), deploy the script here and refresh it",
        ));
    }
    if start.starts_with(b"PK\x03\x04") {
        return Err(Error::unsupported(
            "the file is a ZIP archive, perhaps of Power BI Desktop (.pbix), and not an Evercube backup: save the model as a script or project, deploy that and refresh it",
        ));
    }
    Ok(())
}
