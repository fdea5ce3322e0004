//! Which document Envoys are told: the newest, once the other servers have had the time to take it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_ads::HeldDocument;
use postern_document::{Current, Document};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::serve::in_use::Kept;

/// How much earlier servers have it. Each looks once a second, and waits for issuers' keys for five.
const HEAD_START: Duration = Duration::from_secs(10);
/// Where one document follows the other, Envoys are told of one after so long.
const LONGEST: Duration = Duration::from_secs(20);

/// Follows the newest document from now on. Servers judge an Envoy by the document that it runs, as
/// long as they have that one: it must not be ahead of any of them.
pub fn following(kept: &Arc<Kept>) -> HeldDocument {
    let replaced = kept.replaced();
    let told = Arc::new(ArcSwap::new(Arc::clone(&kept.newest().document)));
    let changed = watch::Sender::new(());
    let held = Arc::clone(&told);
    let document = HeldDocument::new(Current::new(move || held.load_full()), changed.subscribe());
    tokio::spawn(follow(Arc::clone(kept), replaced, told, changed));
    document
}

/// For as long as it is polled.
async fn follow(
    kept: Arc<Kept>,
    mut replaced: watch::Receiver<()>,
    told: Arc<ArcSwap<Document>>,
    changed: watch::Sender<()>,
) {
    // Since when there is something to tell.
    let mut waits: Option<Instant> = None;
    while replaced.changed().await.is_ok() {
        let document = Arc::clone(&kept.newest().document);
        if document.stores.replicas > 1 {
            let since = *waits.get_or_insert_with(Instant::now);
            sleep(HEAD_START).await;
            let is_told = |document: &Document| document.digest == told.load().digest;
            if is_told(&kept.newest().document) {
                // All was taken back.
                waits = None;
                continue;
            }
            let is_replaced = replaced.has_changed().unwrap_or(true);
            if is_told(&document) || (is_replaced && since.elapsed() < LONGEST) {
                continue;
            }
        }
        waits = None;
        told.store(document);
        changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use postern_ads::DocumentSource as _;
    use serde_json::json;

    use super::*;
    use crate::serve::in_use::{InUse, testing};

    fn document(replicas: u64, upstream: &str) -> Document {
        let text = json!({
            "version": 1,
            "stores": {"volatile": "redis://r:1", "replicas": replicas},
            "services": {"s": {"upstream": upstream}},
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
        });
        postern_document::from_json(text.to_string().as_bytes()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn envoys_are_not_ahead_of_servers() {
        for (replicas, seconds) in [(1, 0), (3, 10)] {
            let kept = testing::kept(document(replicas, "h:1"));
            let told = following(&kept);
            let mut changes = told.changes();
            let began = Instant::now();
            let next = document(replicas, "h:2");
            let digest = next.digest.clone();
            kept.replace(InUse::of(next, &[]));
            assert_ne!(told.current().digest, digest);
            changes.changed().await.unwrap();
            assert_eq!(told.current().digest, digest);
            assert_eq!(began.elapsed().as_secs(), seconds, "{replicas}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_documents_that_follow_each_other_one_is_told_that_servers_have() {
        let kept = testing::kept(document(3, "h:1"));
        let told = following(&kept);
        let mut changes = told.changes();
        let began = Instant::now();
        let changing = async {
            for port in 2..100 {
                kept.replace(InUse::of(document(3, &format!("h:{port}")), &[]));
                sleep(Duration::from_secs(3)).await;
            }
        };
        tokio::select! {
            () = changing => panic!("nothing was told"),
            changed = changes.changed() => changed.unwrap(),
        }
        assert_eq!(began.elapsed().as_secs(), LONGEST.as_secs());
        assert_eq!(told.current().digest, document(3, "h:5").digest, "the one of the ninth second");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_back_meanwhile_is_told_to_nobody() {
        let kept = testing::kept(document(3, "h:1"));
        let told = following(&kept);
        let first = told.current().digest.clone();
        kept.replace(InUse::of(document(3, "h:2"), &[]));
        sleep(HEAD_START / 2).await;
        kept.replace(InUse::of(document(3, "h:1"), &[]));
        for _ in 0..30 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(told.current().digest, first);
        }
        let last = document(3, "h:3");
        let digest = last.digest.clone();
        kept.replace(InUse::of(last, &[]));
        sleep(HEAD_START * 2).await;
        assert_eq!(told.current().digest, digest);
    }
}
