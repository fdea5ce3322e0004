//! One Envoy's stream, from its first message to its last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_render::envoy::MAX_NODE_ID_BYTES;
use postern_xds::{Heard, Kind, Stream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tonic::{Status, Streaming};

use crate::discovery::{Admitted, Asker, Discovery, NotAdmitted};
use crate::source::changed;
use crate::wire::{Said, Wire};

/// Answers on their way to one Envoy: the next one is made when there is room.
pub(crate) type Answers<W> = mpsc::Sender<Result<<W as Wire>::Response, Status>>;

/// Talks to an Envoy until one of both ends it.
pub(crate) async fn hold<W: Wire>(
    discovery: Arc<Discovery>,
    asker: Asker,
    mut requests: Streaming<W::Request>,
    answers: Answers<W>,
) {
    // From before it is let in: nothing that changes meanwhile is missed.
    let documents = discovery.documents();
    let (peer, remote) = (asker.peer.clone(), asker.remote());
    let mut id = String::new();
    let ended = match begin::<W>(&discovery, asker, &mut requests, &mut id).await {
        Ok(Some((admitted, first))) => {
            let conversation = Conversation::<W>::new(&discovery, admitted, answers.clone());
            conversation.go_on(first, &mut requests, documents).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        discovery.metrics.refused(error.refusal());
        let remote = remote.map(tracing::field::display);
        tracing::warn!(id, %peer, remote, %error, "an Envoy is told nothing");
        drop(answers.send(Err(Status::from(&error))).await);
    }
}

/// The first message, and who has sent it; none where it has gone before that. `id` becomes what it
/// calls itself, let in or not.
async fn begin<W: Wire>(
    discovery: &Discovery,
    asker: Asker,
    requests: &mut Streaming<W::Request>,
    id: &mut String,
) -> Result<Option<(Admitted, Said)>, NotAdmitted> {
    let first = timeout(discovery.settings.first_word, requests.message()).await;
    let Ok(Some(request)) = first.map_err(|_| NotAdmitted::Silent)? else { return Ok(None) };
    let mut said = W::read(request);
    *id = said.node.as_ref().map(|node| shown(&node.id)).unwrap_or_default();
    let admitted = discovery.admit(asker, W::PROTOCOL, said.node.take()).await?;
    Ok(Some((admitted, said)))
}

/// What somebody calls itself, for the log: it may be anything.
fn shown(id: &str) -> String {
    id.escape_default().take(MAX_NODE_ID_BYTES).collect()
}

struct Conversation<'d, W: Wire> {
    discovery: &'d Discovery,
    admitted: Admitted,
    answers: Answers<W>,
    stream: Stream,
    started: Instant,
    /// Since when there is something that the Envoy has not taken yet.
    behind: Option<Instant>,
}

impl<'d, W: Wire> Conversation<'d, W> {
    fn new(discovery: &'d Discovery, mut admitted: Admitted, answers: Answers<W>) -> Self {
        let target = Arc::clone(&admitted.published.borrow_and_update().snapshot);
        let stream = Stream::new(W::PROTOCOL, discovery.settings.stream, target);
        Self { discovery, admitted, answers, stream, started: Instant::now(), behind: None }
    }

    async fn go_on(
        mut self,
        first: Said,
        requests: &mut Streaming<W::Request>,
        mut documents: watch::Receiver<()>,
    ) -> Result<(), NotAdmitted> {
        let mut over = std::pin::pin!(self.discovery.drain.shutdown_signal());
        self.hear(first)?;
        loop {
            tokio::select! {
                () = &mut over => return Ok(()),
                is_there = self.send_all() => if !is_there {
                    return Ok(());
                },
            }
            let wake_at = self.stream.wake_at().and_then(|then| self.started.checked_add(then));
            tokio::select! {
                biased;
                () = &mut over => return Ok(()),
                // What it is told may be the same as before, and who may be told another one. This
                // comes first: nothing of a document goes to whom it takes it from.
                () = changed(&mut documents) => self.discovery.still_permitted(&self.admitted)?,
                changed = self.admitted.published.changed() => match changed {
                    Ok(()) if self.update() => {}
                    Ok(()) | Err(_) => return Ok(()),
                },
                request = requests.message() => match request {
                    Ok(Some(request)) => self.hear(W::read(request))?,
                    // It has gone, or its connection.
                    Ok(None) | Err(_) => return Ok(()),
                },
                () = wake(wake_at) => {}
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn hear(&mut self, said: Said) -> Result<(), NotAdmitted> {
        // Other types are nobody's here; Envoys that are rendered ask for none.
        let Some(kind) = Kind::of_type_url(&said.type_url) else { return Ok(()) };
        let heard = self.stream.heard(kind, said.ask, self.now())?;
        self.discovery.metrics.heard(kind, heard);
        if heard == Heard::Refused
            && let Some(nack) = &self.stream.report().parts.get(kind).nack
        {
            let (id, peer) = (&self.admitted.id, &self.admitted.asker.peer);
            let (error, example) = (&nack.error, nack.example.as_deref());
            let kind = kind.as_str();
            tracing::warn!(id, %peer, kind, example, error, "an Envoy refuses what it is told");
        }
        Ok(())
    }

    /// There is something new; false where the Envoy is to come back and ask anew.
    fn update(&mut self) -> bool {
        let published = self.admitted.published.borrow_and_update().clone();
        if self.stream.misses(&published.snapshot) {
            return false;
        }
        // How long something was refused says nothing of how fast changes go.
        let refusing = self.stream.report().is_refusing();
        self.stream.update(published.snapshot);
        self.behind = self.behind.filter(|_| !refusing).or(Some(published.since));
        true
    }

    /// Sends what there is to send; false where nobody is there any more.
    async fn send_all(&mut self) -> bool {
        while let Some(answer) = self.stream.next_answer(self.now()) {
            self.discovery.metrics.pushed(answer.kind);
            if self.answers.send(Ok(W::write(&answer))).await.is_err() {
                return false;
            }
        }
        let report = self.stream.report();
        if report.is_current()
            && let Some(since) = self.behind.take()
        {
            self.discovery.metrics.propagated(since.elapsed());
        }
        self.admitted.seat.report(report);
        true
    }
}

/// Done then; never where there is nothing to wake up for.
async fn wake(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_it_calls_itself_is_one_short_line() {
        for (id, expected) in [("edge-1", "edge-1"), ("a\nb\u{1b}", "a\\nb\\u{1b}"), ("", "")] {
            assert_eq!(shown(id), expected);
        }
        assert_eq!(shown(&"é".repeat(1000)).len(), MAX_NODE_ID_BYTES);
    }
}
