//! Asking all workers of an Envoy.

use std::time::Instant;

use super::{Gateway, SETTLE};
use crate::client::{Answer, Call, Protocol};
use crate::{keys, server};

/// Enough requests on connections of their own to meet each of four workers.
const EVERY_WORKER: usize = 24;

impl Gateway {
    /// Sends a call on many connections, so that every worker answers some.
    pub async fn everywhere(&self, call: &Call) -> Vec<Answer> {
        let client = self.client(Protocol::Http1);
        let mut answers = Vec::with_capacity(EVERY_WORKER);
        for _ in 0..EVERY_WORKER {
            answers.push(client.send(call).await);
        }
        answers
    }

    /// Until every worker answers a call with this status. How long that takes is the bench's
    /// business.
    ///
    /// # Panics
    /// When one does not within some seconds.
    pub async fn until_everywhere(&self, status: u16, call: &Call) -> Vec<Answer> {
        let started = Instant::now();
        loop {
            let answers = self.everywhere(call).await;
            let Some(other) = answers.iter().find(|answer| answer.status != status) else {
                return answers;
            };
            assert!(started.elapsed() < SETTLE, "not {status} everywhere for {call}:\n{other}");
        }
    }

    /// Until every worker says that the token is revoked.
    ///
    /// # Panics
    /// When one does not within some seconds.
    pub async fn until_revoked_everywhere(&self, call: &Call) {
        for answer in self.until_everywhere(401, call).await {
            answer.expect_denial(401, "TOKEN_REVOKED");
        }
    }

    /// `postern token revoke …`, of tokens of the test issuer. Whoever listens on the stack's
    /// Redis is told.
    ///
    /// # Panics
    /// When the stack has no durable store, or the command fails.
    pub async fn revoke(&self, what: &[&str]) {
        let durable = self.durable.as_ref().expect("a durable store");
        let words = [&["token", "revoke", "--issuer", keys::ISSUER][..], what].concat();
        let mut arguments = durable.arguments(&words);
        arguments.extend(["--volatile".to_owned(), self.volatile.clone()]);
        server::run(arguments).await.expect_success();
    }
}
