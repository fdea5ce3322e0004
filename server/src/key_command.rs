//! The encryption key from a program's standard output: whatever a key management service has as
//! its command line unwraps the key, and nothing of it is built in here.
//!
//! The program is started as it is named, by no shell. It is run once, however often the key is
//! asked for; what it writes to standard error goes nowhere, because nobody knows what stands
//! there.

use std::fmt;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use postern_identity::{IdentityError, KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey, KeySource};
use zeroize::Zeroizing;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How often it is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// More than any form of a key takes.
const MOST: usize = 4_096;
/// What the program has no use for.
const NOT_HANDED_ON: [&str; 3] = [KEY_ENCRYPTION_KEY_ENV, "POSTERN_DURABLE", "POSTERN_VOLATILE"];

/// A program and its arguments, and the key once it has brought one.
#[derive(Clone)]
pub struct KeyCommand {
    program: String,
    arguments: Vec<String>,
    limit: Duration,
    fetched: Arc<OnceLock<Result<KeyEncryptionKey, String>>>,
}

/// Words are separated by spaces, and there is no way to write one that holds a space: what needs
/// that is a script.
impl FromStr for KeyCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace().map(str::to_owned);
        let program = words.next().ok_or("name a program, and its arguments behind it")?;
        if text.contains(['"', '\'', '$', '`', '|', '>', '<', ';', '&']) {
            return Err("no shell reads it: words are separated by spaces, and nothing is quoted \
                        or expanded; for more, write a script and name that"
                .to_owned());
        }
        Ok(Self { program, arguments: words.collect(), limit: LIMIT, fetched: Arc::default() })
    }
}

impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCommand({:?}, …)", self.program)
    }
}

impl KeySource for KeyCommand {
    fn place(&self) -> String {
        format!("--key-command {}", self.program)
    }

    fn fetch(&self) -> Result<KeyEncryptionKey, IdentityError> {
        let fetched = self.fetched.get_or_init(|| self.run()).clone();
        fetched.map_err(|reason| IdentityError::KeyEncryptionKey { place: self.place(), reason })
    }
}

impl KeyCommand {
    fn run(&self) -> Result<KeyEncryptionKey, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        for name in NOT_HANDED_ON {
            command.env_remove(name);
        }
        let until = Instant::now() + self.limit;
        let child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
        let mut running = Ended(child);
        let content = self.read(&mut running.0)?;
        if content.len() > MOST {
            return Err(format!("it has written more than {MOST} bytes"));
        }
        let status = loop {
            match running.0.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < until => thread::sleep(LOOK_EVERY),
                Ok(None) => return Err(self.too_long()),
                Err(error) => return Err(format!("nobody knows how it ended: {error}")),
            }
        };
        if !status.success() {
            return Err(format!("it ended with {status}; run it by hand to see why"));
        }
        KeyEncryptionKey::from_content(&self.place(), &content).map_err(|error| match error {
            IdentityError::KeyEncryptionKey { reason, .. } => reason,
            other => other.to_string(),
        })
    }

    /// What it writes, until it closes its output. In a thread of its own, which is left behind
    /// where that does not come: some child of the program may still hold it.
    fn read(&self, child: &mut Child) -> Result<Zeroizing<Vec<u8>>, String> {
        let Some(output) = child.stdout.take() else {
            return Err("it has no output".to_owned());
        };
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut content = Zeroizing::new(Vec::with_capacity(2 * MOST));
            let most = u64::try_from(MOST + 1).unwrap_or(u64::MAX);
            let read = output.take(most).read_to_end(&mut content).map(|_| content);
            // Whoever waited has gone.
            drop(sender.send(read));
        });
        match receiver.recv_timeout(self.limit) {
            Ok(Ok(content)) => Ok(content),
            Ok(Err(error)) => Err(format!("its output cannot be read: {error}")),
            Err(RecvTimeoutError::Timeout) => Err(self.too_long()),
            Err(RecvTimeoutError::Disconnected) => Err("its output cannot be read".to_owned()),
        }
    }

    fn too_long(&self) -> String {
        format!("it did not end within {} s", self.limit.as_secs_f32())
    }
}

/// A child that does not outlive whoever waits for it.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEX: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn script(folder: &Path, name: &str, lines: &str) -> KeyCommand {
        let path = folder.join(name);
        std::fs::write(&path, lines).unwrap();
        format!("sh {}", path.display()).parse().unwrap()
    }

    fn reason(command: &KeyCommand) -> String {
        let error = command.fetch().unwrap_err().to_string();
        assert!(error.contains("--key-command"), "{error}");
        assert!(!error.contains("hush"), "{error}");
        error
    }

    #[test]
    fn a_program_brings_the_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let lines = format!("echo x >> {}\necho {HEX}", count.display());
        let command = script(folder.path(), "kms", &lines);
        let file = folder.path().join("file");
        std::fs::write(&file, HEX).unwrap();
        let expected = KeyEncryptionKey::from_file(&file).unwrap();
        for _ in 0..3 {
            // Clones are what the parts of the command line are.
            let key = command.clone().fetch().unwrap();
            assert_eq!(*key.derive("a"), *expected.derive("a"));
        }
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    }

    #[test]
    fn arguments_are_words_and_no_shell_reads_them() {
        let command: KeyCommand = " kms  unwrap --key a ".parse().unwrap();
        assert_eq!(command.program, "kms");
        assert_eq!(command.arguments, ["unwrap", "--key", "a"]);
        for bad in ["", "  ", "kms \"a b\"", "kms $KEY", "kms | head", "kms; kms"] {
            assert!(bad.parse::<KeyCommand>().is_err(), "{bad}");
        }
        assert!(!format!("{command:?}").contains("unwrap"));
    }

    #[test]
    fn what_brings_no_key_is_an_error_that_shows_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        for (name, lines, word) in [
            ("fails", format!("echo {HEX}; echo hush >&2; exit 3"), "exit status: 3"),
            ("nothing", "exit 0".to_owned(), "32 random bytes"),
            ("other", "echo hush".to_owned(), "32 random bytes"),
            ("much", "head -c 100000 /dev/zero".to_owned(), "4096 bytes"),
        ] {
            let error = reason(&script(folder.path(), name, &lines));
            assert!(error.contains(word), "{name}: {error}");
        }
        let missing: KeyCommand = "/no/such/program".parse().unwrap();
        assert!(reason(&missing).contains("cannot be started"));
    }

    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        for lines in [format!("echo {HEX}\nexec sleep 60"), "sleep 5 &\nexit 0".to_owned()] {
            let mut command = script(folder.path(), "slow", &lines);
            command.limit = Duration::from_millis(300);
            let began = Instant::now();
            assert!(reason(&command).contains("did not end"), "{lines}");
            assert!(began.elapsed() < Duration::from_secs(20));
        }
    }
}
