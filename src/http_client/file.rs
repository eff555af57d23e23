//! Reads the small files that settings name: passwords, tokens, certificates.

use std::io::Read as _;
use std::path::Path;

use crate::{HttpClientError, Secret};

/// Secrets and certificates are small (a system's whole bundle has 220 KiB); a mistaken path must
/// not fill the memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The content of a file.
pub(crate) fn read(path: &str) -> Result<Vec<u8>, HttpClientError> {
    let bad = |error| HttpClientError::Credentials(format!("cannot read {path}: {error}"));
    let file = std::fs::File::open(path).map_err(bad)?;
    let mut content = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content);
    if read.map_err(bad)? as u64 > FILE_BYTES_MAX {
        return Err(HttpClientError::Credentials(format!(
            "{path} has more than {FILE_BYTES_MAX} bytes: that is no secret and no certificate"
        )));
    }
    Ok(content)
}

/// The text of a file, without blanks at its ends (editors and `echo` leave a line feed).
pub fn read_secret(path: &str) -> Result<Secret, HttpClientError> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| HttpClientError::Credentials(format!("{path} is not a text file")))?;
    Ok(Secret::new(text.trim()))
}

/// The text in place, or that of the file; nothing where neither is given.
pub(crate) fn given_or_read(
    text: Option<&str>,
    path: Option<&str>,
) -> Result<Secret, HttpClientError> {
    match (text, path) {
        (Some(text), _) => Ok(Secret::new(text)),
        (None, Some(path)) => read_secret(path),
        (None, None) => Ok(Secret::default()),
    }
}

/// Makes the name of a file that is relative start in `dir`.
pub(crate) fn start_in(dir: &Path, path: &mut Option<String>) {
    if let Some(path) = path
        && !path.is_empty()
    {
        *path = dir.join(&*path).to_string_lossy().into_owned();
    }
}
