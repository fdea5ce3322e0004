//! Many requests at a bounded rate beside a test, and what was answered to each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::client::{Answer, Call, Client, Kept};
use crate::wait;

/// Who send at the same time: no more requests than that are ever under way.
pub const CLIENTS: usize = 64;
const LONGEST: Duration = Duration::from_secs(60);

/// One request, and what came of it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Which of the calls it was, by its place.
    pub call: usize,
    /// None where no whole answer came.
    pub status: Option<u16>,
    /// The code of a refusal.
    pub code: Option<String>,
    /// When it was sent.
    pub began: Instant,
    /// When the answer was there.
    pub ended: Instant,
}

/// Sends until it is told to end.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

impl Load {
    /// Begins to send these calls one after the other, so many a second. Each of the clients keeps
    /// its connection. What cannot be sent in time, because all of them wait for answers, is sent
    /// as soon as one of them has its.
    #[must_use]
    pub fn begin(client: Client, calls: Vec<Call>, rate: u32) -> Self {
        let calls = Arc::new(calls);
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (next, began) = (Arc::new(AtomicU32::new(0)), Instant::now());
        let clients = (0..CLIENTS).map(|_| {
            let (calls, next) = (Arc::clone(&calls), Arc::clone(&next));
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            tokio::spawn(async move {
                let (mut client, mut sent) = (Kept::of(client), Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let due = began + Duration::from_secs(1) * number / rate;
                    tokio::time::sleep_until(due.into()).await;
                    let call = usize::try_from(number).expect("a number") % calls.len();
                    sent.push(send(&mut client, call, &calls[call]).await);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                sent
            })
        });
        let clients = clients.collect();
        Self { over, answered, clients }
    }

    /// Until so many more answers are there.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn until_more(&self, more: u32) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        wait::until("answers", LONGEST, || async {
            let found = self.answered.load(Ordering::Relaxed);
            if found >= wanted { Ok(()) } else { Err(format!("{found} of {wanted}")) }
        })
        .await;
    }

    /// Ends, and tells of all of them.
    ///
    /// # Panics
    /// When a client did.
    pub async fn end(mut self) -> Vec<Sent> {
        self.over.store(true, Ordering::Relaxed);
        let mut sent = Vec::new();
        for client in std::mem::take(&mut self.clients) {
            sent.extend(client.await.expect("a client that ended"));
        }
        sent
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.clients.iter().for_each(JoinHandle::abort);
    }
}

async fn send(client: &mut Kept, call: usize, sent: &Call) -> Sent {
    let began = Instant::now();
    let answer = client.try_send(sent).await.ok();
    Sent {
        call,
        status: answer.as_ref().map(|answer| answer.status),
        code: answer.as_ref().and_then(code),
        began,
        ended: Instant::now(),
    }
}

/// What a refusal of ours says that it is.
fn code(answer: &Answer) -> Option<String> {
    if answer.status < 400 {
        return None;
    }
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body["error"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;
    use crate::upstream::Upstream;

    #[tokio::test]
    async fn calls_are_sent_in_turn_no_faster_than_they_may() {
        let upstream = Upstream::start().await;
        upstream.fail("worse", 503);
        let client = Client::new(Protocol::Http1, upstream.address().port());
        let began = Instant::now();
        let calls = vec![Call::get("/better/a"), Call::get("/worse/b")];
        let load = Load::begin(client, calls, 200);
        load.until_more(60).await;
        let sent = load.end().await;
        let most = usize::try_from(began.elapsed().as_millis()).unwrap() / 5 + 1;
        assert!(sent.len() <= most, "{} of {most} at most", sent.len());
        for one in &sent {
            let expected = if one.call == 0 { 200 } else { 503 };
            assert_eq!(one.status, Some(expected), "{one:?}");
            assert!(one.ended >= one.began);
        }
        let first = sent.iter().filter(|one| one.call == 0).count();
        assert!(first.abs_diff(sent.len() - first) <= 1 + CLIENTS, "{first} of {}", sent.len());
        assert_eq!(upstream.total(), u64::try_from(sent.len()).unwrap());
    }
}
