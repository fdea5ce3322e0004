//! What the document's rules of logging in are carried out with, made ready for each document.

use std::sync::Arc;

use postern_document::Current;

use super::hashing::Hasher;
use crate::ports::{BreachedPasswords, Passkeys};

/// The tools that hold now: with another document come others.
pub type CurrentLoginTools = Current<LoginTools>;

/// What takes more than the document's word: keys of browsers, lists, and threads.
pub struct LoginTools {
    /// Hashes passwords, as the document wants them hashed.
    pub hasher: Hasher,
    /// Passkeys; none where nobody can have one.
    pub passkeys: Option<Arc<dyn Passkeys>>,
    /// Knows passwords that everybody knows.
    pub breached: Option<Arc<dyn BreachedPasswords>>,
}
