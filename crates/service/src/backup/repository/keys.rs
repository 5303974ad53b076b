//! The keys of a repository: one that is drawn by chance, and what is derived from it.

use evercube_store::Hash;

use crate::backup::preamble::FrameKey;

pub type Secret = [u8; 32];

/// Context strings of the derivations; part of the format.
const IDS: &str = "evercube 2026 repository object ids";
const FILES: &str = "evercube 2026 repository files";
const PROOF: &str = "evercube 2026 repository settings";

/// What an open repository names, seals and proves with.
pub struct Keys {
    repository: [u8; 16],
    /// `None` where it has no password.
    secret: Option<Secret>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("encrypts", &self.secret.is_some()).finish_non_exhaustive()
    }
}

impl Keys {
    pub fn new(repository: [u8; 16], secret: Option<Secret>) -> Self {
        Self { repository, secret }
    }

    pub fn encrypts(&self) -> bool {
        self.secret.is_some()
    }

    pub fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    pub fn repository(&self) -> &[u8; 16] {
        &self.repository
    }

    /// What ids are made with. Without a password it is known to everybody who sees the
    /// repository, and ids then say which content is there.
    fn derived(&self, context: &str, more: &[u8]) -> Secret {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(self.secret.as_ref().map_or(&self.repository[..], |s| &s[..]));
        hasher.update(more);
        *hasher.finalize().as_bytes()
    }

    /// The id of the object with this hash: nobody without the key can tell what content it is.
    pub fn id_of(&self, hash: &Hash) -> Hash {
        *blake3::keyed_hash(&self.derived(IDS, &[]), hash).as_bytes()
    }

    /// The key of one file.
    pub fn of_file(&self, name: &str, nonce: [u8; 16]) -> Option<FrameKey> {
        self.secret.as_ref()?;
        Some(FrameKey::new(self.derived(FILES, name.as_bytes()), nonce))
    }

    /// Shows that whoever wrote the settings had the key.
    pub fn proof(&self, settings: &[u8]) -> Hash {
        *blake3::keyed_hash(&self.derived(PROOF, &[]), settings).as_bytes()
    }
}
