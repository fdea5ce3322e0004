//! Hashing passwords, on threads of its own.
//!
//! A hash takes tens of milliseconds and megabytes on purpose. So a storm of log-ins waits in a
//! queue with a bound, and takes neither the cores from requests nor more memory than the threads
//! have from the start: one buffer each, which they keep.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_oauth::Secret;
use postern_store::durable::PasswordHash;
use tokio::sync::oneshot;

use super::LoginError;
use super::phc::{Argon2Parameters, HASH_BYTES, Phc, SALT_BYTES};
use crate::metrics::{LoginMetrics, PasswordRefused};
use crate::{IdentityError, random};

/// Most memory of one hash, in KiB.
pub(crate) const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes over it.
pub(crate) const MAX_ITERATIONS: u32 = 10;
/// Most passwords that wait.
const QUEUE: usize = 128;
/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are being decided on go first.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// What hashing a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Right {
        /// The hash is not as it would be made today.
        outdated: bool,
    },
    /// It is not, or there is none.
    Wrong,
}

/// Hashes passwords. Clones share threads and queue; the threads end with the last of them.
#[derive(Clone)]
pub struct Hasher {
    queue: SyncSender<Job>,
    parameters: Argon2Parameters,
    /// What is hashed where there is no hash, so that it takes as long.
    dummy: Arc<Phc>,
    metrics: LoginMetrics,
}

struct Job {
    password: Secret,
    task: Task,
    answer: oneshot::Sender<Result<Done, IdentityError>>,
    since: Instant,
}

enum Task {
    Verify(Phc),
    Make(Argon2Parameters),
}

enum Done {
    Compared(bool),
    Made(PasswordHash),
}

/// As many threads as hash passwords where nobody says: one for each core, at most four, and one
/// alone where there are two cores or fewer.
#[must_use]
pub fn hashing_threads(cores: usize) -> usize {
    if cores <= 2 { 1 } else { cores.min(4) }
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`IdentityError::Crypto`] where there are no threads or random numbers to be had.
    pub fn new(
        parameters: Argon2Parameters,
        threads: usize,
        metrics: LoginMetrics,
    ) -> Result<Self, IdentityError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.max(1) {
            let (jobs, metrics) = (Arc::clone(&jobs), metrics.clone());
            std::thread::Builder::new()
                .name("postern-password".to_owned())
                .spawn(move || work(&jobs, &metrics))
                .map_err(|_| IdentityError::Crypto)?;
        }
        Ok(Self { queue, parameters, dummy: Arc::new(dummy(parameters)?), metrics })
    }

    /// The same threads and the same queue, for hashes that are made by other parameters.
    ///
    /// # Errors
    /// [`IdentityError::Crypto`] where there are no random numbers to be had.
    pub fn making(&self, parameters: Argon2Parameters) -> Result<Self, IdentityError> {
        Ok(Self { parameters, dummy: Arc::new(dummy(parameters)?), ..self.clone() })
    }

    /// Whether a password is the one of a hash. Where there is no hash, or none that can be read,
    /// it is wrong and takes as long.
    ///
    /// # Errors
    /// [`LoginError::Busy`] where too many wait, or this one has waited too long.
    pub async fn verify(
        &self,
        password: Secret,
        hash: Option<PasswordHash>,
    ) -> Result<Verdict, LoginError> {
        let kept = hash.and_then(|hash| {
            let kept = Phc::parse(&hash.0);
            if kept.is_none() {
                tracing::error!("a user's password hash cannot be read");
            }
            kept
        });
        let is_there = kept.is_some();
        let outdated = kept.as_ref().is_some_and(|kept| !kept.is_of(self.parameters));
        let task = Task::Verify(kept.unwrap_or_else(|| Phc::clone(&self.dummy)));
        match self.ask(password, task).await? {
            Done::Compared(true) if is_there => Ok(Verdict::Right { outdated }),
            Done::Compared(_) => Ok(Verdict::Wrong),
            Done::Made(_) => Err(LoginError::Internal),
        }
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// As [`Hasher::verify`].
    pub async fn make(&self, password: Secret) -> Result<PasswordHash, LoginError> {
        match self.ask(password, Task::Make(self.parameters)).await? {
            Done::Made(hash) => Ok(hash),
            Done::Compared(_) => Err(LoginError::Internal),
        }
    }

    async fn ask(&self, password: Secret, task: Task) -> Result<Done, LoginError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { password, task, answer, since: Instant::now() };
        self.metrics.passwords_waiting(1);
        if let Err(error) = self.queue.try_send(job) {
            self.metrics.passwords_waiting(-1);
            return match error {
                TrySendError::Full(_) => {
                    self.metrics.password_refused(PasswordRefused::Full);
                    Err(LoginError::Busy)
                }
                TrySendError::Disconnected(_) => Err(LoginError::Internal),
            };
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "a password could not be hashed");
                Err(LoginError::Internal)
            }
            Ok(Err(_)) => Err(LoginError::Internal),
            Err(_) => {
                self.metrics.password_refused(PasswordRefused::Slow);
                Err(LoginError::Busy)
            }
        }
    }
}

/// Nobody's hash: whatever is compared with it differs, as far as chance goes.
fn dummy(parameters: Argon2Parameters) -> Result<Phc, IdentityError> {
    Ok(Phc {
        parameters,
        lanes: 1,
        salt: random::bytes::<SALT_BYTES>()?.to_vec(),
        hash: random::bytes::<HASH_BYTES>()?.to_vec(),
    })
}

/// One thread: takes jobs until nobody can send any.
fn work(jobs: &Mutex<Receiver<Job>>, metrics: &LoginMetrics) {
    step_back();
    let mut memory: Vec<Block> = Vec::new();
    loop {
        // One thread waits, the others wait for it: whoever has a job lets the next one wait.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { password, task, answer, since }) = job else { return };
        metrics.passwords_waiting(-1);
        // Whoever has gone does not wait for an answer.
        if answer.is_closed() {
            continue;
        }
        let done = match task {
            Task::Verify(kept) => compare(&password, &kept, &mut memory).map(Done::Compared),
            Task::Make(parameters) => make(&password, parameters, &mut memory).map(Done::Made),
        };
        metrics.password_hashed(since.elapsed());
        // It may have gone meanwhile.
        drop(answer.send(done));
    }
}

/// On Linux this speaks of the calling thread alone.
#[cfg(target_os = "linux")]
fn step_back() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "passwords are hashed at the priority of requests");
    }
}

/// Elsewhere it would slow the whole server down.
#[cfg(not(target_os = "linux"))]
const fn step_back() {}

fn compare(password: &Secret, kept: &Phc, memory: &mut Vec<Block>) -> Result<bool, IdentityError> {
    let hash = hash(password, kept.parameters, kept.lanes, &kept.salt, kept.hash.len(), memory)?;
    Ok(verify_slices_are_equal(&hash, &kept.hash).is_ok())
}

fn make(
    password: &Secret,
    parameters: Argon2Parameters,
    memory: &mut Vec<Block>,
) -> Result<PasswordHash, IdentityError> {
    let salt = random::bytes::<SALT_BYTES>()?.to_vec();
    let hash = hash(password, parameters, 1, &salt, HASH_BYTES, memory)?;
    Ok(Phc { parameters, lanes: 1, salt, hash }.to_record())
}

fn hash(
    password: &Secret,
    parameters: Argon2Parameters,
    lanes: u32,
    salt: &[u8],
    length: usize,
    memory: &mut Vec<Block>,
) -> Result<Vec<u8>, IdentityError> {
    let Argon2Parameters { memory_kib, iterations } = parameters;
    let params = Params::new(memory_kib, iterations, lanes, Some(length))
        .map_err(|_| IdentityError::Crypto)?;
    let blocks = params.block_count();
    // A greater one than today's stays only until a smaller one follows.
    memory.truncate(blocks);
    memory.shrink_to(blocks);
    memory.try_reserve_exact(blocks - memory.len()).map_err(|_| IdentityError::Crypto)?;
    memory.resize(blocks, Block::default());
    let mut hash = vec![0; length];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            &mut hash,
            memory.as_mut_slice(),
        )
        .map_err(|_| IdentityError::Crypto)?;
    Ok(hash)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Far below what is allowed, so that tests take no time.
    pub(crate) const CHEAP: Argon2Parameters = Argon2Parameters { memory_kib: 64, iterations: 1 };

    pub(crate) fn hasher(parameters: Argon2Parameters) -> Hasher {
        Hasher::new(parameters, 1, LoginMetrics::unregistered()).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// Made by OpenSSL; the second one is in the tests of the reference implementation, too.
    #[test]
    fn hashes_are_those_of_argon2id() {
        for (memory_kib, expected) in [
            (64, "FqGkmHNGCd0BRW2kBt6fPZ2pPmyGwwChL8FGUhTOSSI"),
            (256, "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        ] {
            let text = format!("$argon2id$v=19$m={memory_kib},t=2,p=1$c29tZXNhbHQ${expected}");
            let kept = Phc::parse(&text).unwrap();
            let mut memory = Vec::new();
            assert!(compare(&secret("password"), &kept, &mut memory).unwrap());
            assert!(!compare(&secret("Password"), &kept, &mut memory).unwrap());
            assert_eq!(memory.len(), usize::try_from(memory_kib).unwrap());
        }
    }

    #[test]
    fn memory_that_was_used_before_changes_nothing() {
        let mut memory = Vec::new();
        let first = make(&secret("one"), CHEAP, &mut memory).unwrap();
        let larger = Argon2Parameters { memory_kib: 128, ..CHEAP };
        make(&secret("two"), larger, &mut memory).unwrap();
        let kept = Phc::parse(&first.0).unwrap();
        assert!(compare(&secret("one"), &kept, &mut memory).unwrap());
        assert_eq!(memory.capacity(), 64, "what the greater one took was given back");
    }

    #[tokio::test]
    async fn the_right_password_alone_is_right() {
        let hasher = hasher(CHEAP);
        let hash = hasher.make(secret("correct horse")).await.unwrap();
        for (password, kept, expected) in [
            ("correct horse", Some(hash.clone()), Verdict::Right { outdated: false }),
            ("correct horse ", Some(hash.clone()), Verdict::Wrong),
            ("", Some(hash.clone()), Verdict::Wrong),
            ("correct horse", None, Verdict::Wrong),
            ("correct horse", Some(PasswordHash("plain".to_owned())), Verdict::Wrong),
        ] {
            assert_eq!(hasher.verify(secret(password), kept).await, Ok(expected), "{password:?}");
        }
        assert_ne!(hasher.make(secret("correct horse")).await.unwrap(), hash, "salts are random");
    }

    #[tokio::test]
    async fn a_hash_of_yesterday_is_right_and_outdated() {
        let hash = hasher(CHEAP).make(secret("pass")).await.unwrap();
        let today = hasher(Argon2Parameters { memory_kib: 72, ..CHEAP });
        let verdict = today.verify(secret("pass"), Some(hash.clone())).await;
        assert_eq!(verdict, Ok(Verdict::Right { outdated: true }));
        let back = today.making(CHEAP).unwrap().verify(secret("pass"), Some(hash.clone())).await;
        assert_eq!(back, Ok(Verdict::Right { outdated: false }), "by another document again");
        assert_eq!(today.verify(secret("fail"), Some(hash)).await, Ok(Verdict::Wrong));
    }

    /// With room for one, and nobody who works.
    fn idle() -> (Hasher, Receiver<Job>) {
        let (queue, jobs) = sync_channel(1);
        let dummy = Phc { parameters: CHEAP, lanes: 1, salt: vec![0; 16], hash: vec![0; 32] };
        let metrics = LoginMetrics::unregistered();
        (Hasher { queue, parameters: CHEAP, dummy: Arc::new(dummy), metrics }, jobs)
    }

    #[tokio::test]
    async fn beyond_the_queue_nobody_waits() {
        let (hasher, jobs) = idle();
        let first = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.verify(secret("x"), None).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(hasher.verify(secret("x"), None).await, Err(LoginError::Busy));
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        // Its place is free as soon as somebody looks, and nothing is hashed for it.
        assert!(jobs.recv().unwrap().answer.is_closed());
        drop(jobs);
        assert_eq!(hasher.make(secret("x")).await, Err(LoginError::Internal));
    }

    #[test]
    fn two_cores_hash_on_one() {
        let threads = [1, 2, 3, 4, 64].map(hashing_threads);
        assert_eq!(threads, [1, 1, 3, 4, 4]);
    }
}
