//! The keys of an installation, as files of one folder: the master key, and the seed of the ledger's signing key wrapped under it. Several
//! processes over one database are given the same ones.

use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use tollgate_core::ports::{IdSource, Ports, SecretCiphertext, SecretSource, VaultError};
use tollgate_core::scope::Scope;
use tollgate_vault::{MasterKey, Vault};

use super::{Home, NodeError, scopes};

/// The master key's text, in the place of its file.
pub const MASTER_ENV: &str = "TOLLGATE_MASTER_KEY";
const MASTER_FILE: &str = "master.key";
const SIGNING_FILE: &str = "ledger.key";
const PURPOSE: &str = "ledger-signing-seed";

/// The folder of keys.
pub struct Keyring {
    dir: Home,
    /// Whether keys that are not there may be made, as the first process of an installation does.
    makes: bool,
}

/// Ciphertexts lie in the store.
struct StoredSecrets(Arc<dyn Ports>);

impl SecretSource for StoredSecrets {
    fn secret<'a>(
        &'a self,
        scope: Scope,
        name: &'a str,
    ) -> tollgate_core::ports::BoxFuture<'a, Result<Option<SecretCiphertext>, VaultError>> {
        Box::pin(async move { self.0.secret_row(scope, name.to_owned()).await.map_err(|e| VaultError::Unavailable(e.to_string())) })
    }
}

impl Keyring {
    /// The keys of a process that signs: the folder is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn of_signer(dir: &Path) -> Result<Self, NodeError> {
        Ok(Self { dir: Home::keys(dir)?, makes: true })
    }

    /// The keys of a process that makes none.
    pub fn of_reader(dir: &Path) -> Self {
        Self { dir: Home::there(dir), makes: false }
    }

    /// The vault, with the tenant's key loaded; stored first when this is the first process of an installation.
    ///
    /// # Errors
    /// When the master key is missing, or is another installation's.
    pub async fn vault(&self, store: &Arc<dyn Ports>, ids: &IdSource) -> Result<Vault, NodeError> {
        let tenant = scopes()[0];
        let row = store.tenant_key(tenant).await?;
        if row.is_none() && !self.makes {
            let why = "this database has no keys yet: start `tollgate serve` first, and give this process the same master key";
            return Err(VaultError::Setup(why.to_owned()).into());
        }
        let vault = Vault::new(self.master(row.is_none(), ids)?, ids.clone(), Arc::new(StoredSecrets(Arc::clone(store))));
        if let Some(made) = vault.load_tenant(tenant, row.as_ref())?
            && let Err(e) = store.put_tenant_key(tenant, made).await
        {
            // Another process was first: its key counts, if ours opens it.
            let first = store.tenant_key(tenant).await?.ok_or(e)?;
            vault.load_tenant(tenant, Some(&first))?;
        }
        Ok(vault)
    }

    fn master(&self, is_new: bool, ids: &IdSource) -> Result<MasterKey, NodeError> {
        let path = self.dir.path(MASTER_FILE);
        if let Ok(text) = std::env::var(MASTER_ENV) {
            return Ok(MasterKey::from_text(&zeroize::Zeroizing::new(text))?);
        }
        if !path.exists() && is_new && self.makes {
            match MasterKey::create(&path, ids) {
                Ok(made) => return Ok(made),
                // Another process was first.
                Err(_) if path.exists() => {}
                Err(e) => return Err(e.into()),
            }
        }
        if !path.exists() {
            let path = path.display();
            let why = format!("the master key is missing: put `{path}` back, name its folder with --keys, or set {MASTER_ENV}");
            return Err(VaultError::Setup(why).into());
        }
        Ok(MasterKey::load(&path)?)
    }

    /// The ledger's signing key; made when nothing was ever signed.
    ///
    /// # Errors
    /// When it is missing, or wrapped under another master key.
    pub fn signing(&self, vault: &Vault, signed: bool, ids: &IdSource) -> Result<SigningKey, NodeError> {
        let path = self.dir.path(SIGNING_FILE);
        let file = |source| NodeError::File { path: path.clone(), source };
        let unwrap = |wrapped: &[u8]| {
            let seed = zeroize::Zeroizing::new(vault.unwrap_blob(PURPOSE, None, wrapped)?);
            let seed: [u8; 32] =
                seed.as_slice().try_into().map_err(|_| VaultError::CannotDecrypt("the ledger's signing key".to_owned()))?;
            Ok::<_, NodeError>(SigningKey::from_bytes(&seed))
        };
        if let Some(wrapped) = self.dir.read(SIGNING_FILE).map_err(file)? {
            return unwrap(&wrapped);
        }
        if signed {
            return Err(NodeError::NoSigningKey(path));
        }
        let seed = zeroize::Zeroizing::new(ids.random::<32>());
        if self.dir.create(SIGNING_FILE, &vault.wrap_blob(PURPOSE, None, &*seed)?).map_err(file)? {
            return Ok(SigningKey::from_bytes(&seed));
        }
        // Another process was first.
        unwrap(&self.dir.read(SIGNING_FILE).map_err(file)?.unwrap_or_default())
    }
}
