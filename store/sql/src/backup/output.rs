//! The lines of a file, as they are written.

use std::io::Write;

use aws_lc_rs::digest::{Context, SHA256};
use postern_request::UnixMillis;
use serde_json::{Map, Value, json};

use super::seal::{Sealer, salt};
use super::{BackupError, BackupSecret, FORMAT};

/// Writes lines, and hashes them.
pub(super) struct Output<W> {
    to: Sink<W>,
    digest: Context,
}

enum Sink<W> {
    Clear(W),
    Sealed(Box<Sealer<W>>),
}

impl<W: Write> Output<W> {
    /// Begins a file.
    pub(super) fn begin(
        mut to: W,
        made_at: UnixMillis,
        migrations: &[String],
        secret: Option<BackupSecret<'_>>,
    ) -> Result<Self, BackupError> {
        let salt = match secret {
            Some(_) => Some(salt()?),
            None => None,
        };
        let first = json!({
            "format": FORMAT,
            "made_at": made_at.0,
            "release": env!("CARGO_PKG_VERSION"),
            "migrations": migrations,
            "sealed": secret.is_some(),
            "salt": salt.as_ref().map(crate::column::write_digest),
        });
        let first = format!("{first}\n");
        to.write_all(first.as_bytes())?;
        let mut digest = Context::new(&SHA256);
        digest.update(first.as_bytes());
        let to = match (secret, salt) {
            (Some(secret), Some(salt)) => {
                Sink::Sealed(Box::new(Sealer::new(to, secret, &salt, first.into_bytes())?))
            }
            _ => Sink::Clear(to),
        };
        Ok(Self { to, digest })
    }

    /// A row's line, without its end.
    pub(super) fn line(&mut self, mut line: String) -> Result<(), BackupError> {
        line.push('\n');
        self.digest.update(line.as_bytes());
        self.write(line.as_bytes())
    }

    /// The last line; where it was written to.
    pub(super) fn end(mut self, rows: &[(&'static str, u64)]) -> Result<W, BackupError> {
        let rows: Map<String, Value> =
            rows.iter().map(|(name, rows)| ((*name).to_owned(), Value::from(*rows))).collect();
        let digest = super::input::hex(self.digest.clone().finish().as_ref());
        let last = format!("{}\n", json!({"rows": rows, "sha256": digest}));
        self.write(last.as_bytes())?;
        let mut to = match self.to {
            Sink::Clear(to) => to,
            Sink::Sealed(sealer) => sealer.end()?,
        };
        to.flush()?;
        Ok(to)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        match &mut self.to {
            Sink::Clear(to) => Ok(to.write_all(bytes)?),
            Sink::Sealed(sealer) => sealer.write(bytes),
        }
    }
}
