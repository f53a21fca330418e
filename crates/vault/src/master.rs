//! The master key: from a 0600 file or from a text that the caller took from the environment.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use tollgate_core::ports::{IdSource, VaultError};
use zeroize::Zeroizing;

use crate::aead::Secret32;

/// Wraps everything else. Losing it loses every secret and every sealed value.
#[derive(Clone)]
pub struct MasterKey(pub(crate) Secret32);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

impl MasterKey {
    /// From 64 hexadecimal characters, as the environment or the file holds them.
    ///
    /// # Errors
    /// [`VaultError::Setup`] when the text is anything else; the text is not repeated.
    pub fn from_text(text: &str) -> Result<Self, VaultError> {
        let bytes = Zeroizing::new(data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).unwrap_or_default());
        Secret32::from_slice(&bytes)
            .map(Self)
            .ok_or_else(|| VaultError::Setup("the master key must be 64 hexadecimal characters (32 random bytes)".to_owned()))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`VaultError::Setup`] when others may read it, or it holds no key.
    pub fn load(path: &Path) -> Result<Self, VaultError> {
        let shown = path.display();
        let setup = |m: String| VaultError::Setup(m);
        let mut file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(|e| setup(format!("the master key file `{shown}` cannot be read: {e}")))?;
        let meta = file.metadata().map_err(|e| setup(format!("the master key file `{shown}` cannot be read: {e}")))?;
        if !meta.is_file() || meta.mode() & 0o077 != 0 {
            return Err(setup(format!("the master key file `{shown}` may be read by others: run `chmod 600 {shown}`")));
        }
        let mut text = Zeroizing::new(String::new());
        (&mut file).take(1024).read_to_string(&mut text).map_err(|_| setup(format!("the master key file `{shown}` is not text")))?;
        Self::from_text(&text).map_err(|e| setup(format!("`{shown}`: {e}")))
    }

    /// Makes a new key and its file, durably; never overwrites one.
    ///
    /// # Errors
    /// [`VaultError::Setup`] when the file exists or cannot be written.
    pub fn create(path: &Path, ids: &IdSource) -> Result<Self, VaultError> {
        let key = Secret32::random(ids);
        let text = Zeroizing::new(format!("{}\n", data_encoding::HEXLOWER.encode(key.expose())));
        write_new(path, text.as_bytes())
            .map_err(|e| VaultError::Setup(format!("the master key file `{}` cannot be made: {e}", path.display())))?;
        Ok(Self(key))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
