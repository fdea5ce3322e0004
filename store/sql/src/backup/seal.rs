//! A file in pieces of 64 KiB, each encrypted by itself.
//!
//! Each piece is AES-256-GCM under a key that is the file's own: HKDF-SHA256 of the secret with the
//! salt that stands in the first line. The nonce is the piece's number. What is authenticated with
//! a piece is the first line, its number, and whether it is the last one: pieces cannot be left
//! out, put in another order, taken from another file or cut off at the end. Nothing is looked at
//! before its piece is found to be good.

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};

use super::{BackupError, BackupSecret};

/// What a piece holds.
const PIECE: usize = 65_536;
const TAG: usize = 16;
/// What the key is derived for.
const INFO: &[u8] = b"postern:backup-file:1";

/// Chance, so that no two files have one key.
pub(super) type Salt = [u8; 32];

/// # Errors
/// [`BackupError::Crypto`].
pub(super) fn salt() -> Result<Salt, BackupError> {
    let mut salt = [0; 32];
    rand::fill(&mut salt).map_err(|_| BackupError::Crypto)?;
    Ok(salt)
}

fn key(secret: BackupSecret<'_>, salt: &Salt) -> Result<LessSafeKey, BackupError> {
    let failed = |_| BackupError::Crypto;
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret.0);
    let info = [INFO];
    let mut key = [0; 32];
    derived.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).map_err(failed)?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(failed)?))
}

/// The file's first line, and which piece it is.
struct Place {
    first_line: Vec<u8>,
    piece: u64,
}

impl Place {
    const fn new(first_line: Vec<u8>) -> Self {
        Self { first_line, piece: 0 }
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        for (to, from) in nonce.iter_mut().rev().zip(self.piece.to_be_bytes().iter().rev()) {
            *to = *from;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn bound_to(&self, is_last: bool) -> Aad<Vec<u8>> {
        let number = self.piece.to_be_bytes();
        Aad::from([self.first_line.as_slice(), &number, &[u8::from(is_last)]].concat())
    }
}

/// Encrypts what is written.
pub(super) struct Sealer<W> {
    to: W,
    key: LessSafeKey,
    place: Place,
    clear: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// `first_line` is written already.
    pub(super) fn new(
        to: W,
        secret: BackupSecret<'_>,
        salt: &Salt,
        first_line: Vec<u8>,
    ) -> Result<Self, BackupError> {
        let clear = Vec::with_capacity(PIECE + TAG);
        Ok(Self { to, key: key(secret, salt)?, place: Place::new(first_line), clear })
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            // Not before there is more: the last piece has to be known as the last one.
            if self.clear.len() >= PIECE {
                self.flush(false)?;
            }
            let room = PIECE.saturating_sub(self.clear.len()).min(bytes.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.clear.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last piece.
    pub(super) fn end(mut self) -> Result<W, BackupError> {
        self.flush(true)?;
        Ok(self.to)
    }

    fn flush(&mut self, is_last: bool) -> Result<(), BackupError> {
        let bound_to = self.place.bound_to(is_last);
        self.key
            .seal_in_place_append_tag(self.place.nonce(), bound_to, &mut self.clear)
            .map_err(|_| BackupError::Crypto)?;
        self.to.write_all(&self.clear)?;
        self.clear.clear();
        self.place.piece += 1;
        Ok(())
    }
}

/// Decrypts what is read.
pub(super) struct Opener<R> {
    from: R,
    key: LessSafeKey,
    place: Place,
    clear: Vec<u8>,
    /// How much of it is read.
    read: usize,
    /// The next piece, as it is in the file: that there is one says that the one before it is not
    /// the last.
    ahead: Vec<u8>,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// `first_line` is read already.
    pub(super) fn new(
        mut from: R,
        secret: BackupSecret<'_>,
        salt: &Salt,
        first_line: Vec<u8>,
    ) -> Result<Self, BackupError> {
        let ahead = piece(&mut from)?;
        let (key, place) = (key(secret, salt)?, Place::new(first_line));
        Ok(Self { from, key, place, clear: Vec::new(), read: 0, ahead, ended: false })
    }

    fn open_next(&mut self) -> io::Result<()> {
        let mut sealed = std::mem::take(&mut self.ahead);
        self.ahead = piece(&mut self.from)?;
        let is_last = self.ahead.is_empty();
        let opened = self
            .key
            .open_in_place(self.place.nonce(), self.place.bound_to(is_last), &mut sealed)
            .map(|clear| clear.len());
        let Ok(length) = opened else {
            let piece = self.place.piece.saturating_add(1);
            return Err(io::Error::other(NotOpened { piece }));
        };
        sealed.truncate(length);
        (self.clear, self.read, self.ended) = (sealed, 0, is_last);
        self.place.piece += 1;
        Ok(())
    }
}

/// What an [`Opener`] says of a piece that does not open, within the error of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("piece {piece} cannot be opened")]
pub(super) struct NotOpened {
    pub(super) piece: u64,
}

/// The next piece, as it is in the file; empty at its end.
fn piece<R: Read>(from: &mut R) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE + TAG);
    let most = u64::try_from(PIECE + TAG).unwrap_or(u64::MAX);
    from.by_ref().take(most).read_to_end(&mut piece)?;
    Ok(piece)
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.clear.len() && !self.ended {
            self.open_next()?;
        }
        let mut rest = self.clear.get(self.read..).unwrap_or_default();
        let count = rest.read(into)?;
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: BackupSecret<'_> = BackupSecret(&[7; 32]);
    const SALT: Salt = [9; 32];

    fn seal(clear: &[u8], first_line: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), SECRET, &SALT, first_line.to_vec()).unwrap();
        // In pieces that fit nothing.
        for part in clear.chunks(1_337) {
            sealer.write(part).unwrap();
        }
        sealer.end().unwrap()
    }

    fn open(sealed: &[u8], secret: BackupSecret<'_>, first_line: &[u8]) -> io::Result<Vec<u8>> {
        let mut opener = Opener::new(sealed, secret, &SALT, first_line.to_vec()).unwrap();
        let mut clear = Vec::new();
        opener.read_to_end(&mut clear).map(|_| clear)
    }

    #[test]
    fn what_is_sealed_opens_again_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5] {
            let clear: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let sealed = seal(&clear, b"first");
            let pieces = length.div_ceil(PIECE).max(1);
            assert_eq!(sealed.len(), length + pieces * TAG, "{length}");
            assert_eq!(open(&sealed, SECRET, b"first").unwrap(), clear, "{length}");
            assert!(length < 64 || !sealed.windows(64).any(|part| part == &clear[..64]));
        }
    }

    #[test]
    fn a_file_that_was_cut_mixed_or_changed_does_not_open() {
        let clear = vec![5; 3 * PIECE];
        let sealed = seal(&clear, b"first");
        let piece = PIECE + TAG;
        let (one, two, three) = (&sealed[..piece], &sealed[piece..2 * piece], &sealed[2 * piece..]);
        for (what, bytes) in [
            ("nothing", Vec::new()),
            ("cut at a piece's end", [one, two].concat()),
            ("cut within a piece", sealed[..piece + 100].to_vec()),
            ("the first one left out", [two, three].concat()),
            ("the middle left out", [one, three].concat()),
            ("another order", [two, one, three].concat()),
            ("twice", [one, one, two, three].concat()),
            ("something behind", [one, two, three, b"more".as_slice()].concat()),
        ] {
            assert!(open(&bytes, SECRET, b"first").is_err(), "{what}");
        }
        for at in [0, PIECE, piece, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, SECRET, b"first").is_err(), "byte {at}");
        }
        assert!(open(&sealed, SECRET, b"other").is_err(), "another first line");
        assert!(open(&sealed, BackupSecret(&[8; 32]), b"first").is_err(), "another key");
    }

    #[test]
    fn no_two_files_have_one_key() {
        assert_ne!(salt().unwrap(), salt().unwrap());
        let first = seal(b"same", b"first");
        let other = Sealer::new(Vec::new(), SECRET, &[8; 32], b"first".to_vec());
        let mut other = other.map_err(|error| error.to_string()).unwrap();
        other.write(b"same").unwrap();
        assert_ne!(other.end().unwrap(), first);
        assert!(!format!("{SECRET:?}").contains('7'));
    }
}
