//! Revisions' part of the contract.

use postern_request::UnixMillis;

use super::{entries, entry};
use crate::durable::{
    IdentityStore, MAX_PAGE, PageAsk, RevisionRecord, RevisionStore, RevisionSummary,
};

pub(super) async fn run(store: &dyn IdentityStore) {
    nothing_is_served_yet(store).await;
    the_last_one_is_the_active_one(store).await;
    only_the_next_one_is_kept(store).await;
    a_list_is_in_the_order_of_numbers(store).await;
}

/// What stands in it is nobody's business here; times are no order.
pub(super) fn revision(number: u64) -> RevisionRecord {
    let summary = RevisionSummary {
        number,
        digest: format!("{:032x}", number % 3),
        who: "cli:o'brien".to_owned(),
        at: UnixMillis(1_800_000_000_000_u64.saturating_sub(number)),
        why: "it's — \"time\"; --\n".to_owned(),
        active: true,
    };
    let document = format!("{{\"version\":1,\"é\":\"'; -- {number}{}\"}}", "x".repeat(100_000));
    RevisionRecord { summary, document }
}

fn superseded(number: u64) -> RevisionRecord {
    let mut revision = revision(number);
    revision.summary.active = false;
    revision
}

async fn nothing_is_served_yet(store: &dyn RevisionStore) {
    assert_eq!(store.active_revision().await, Ok(None));
    assert_eq!(store.find_revision(1).await, Ok(None));
    let page = store.page_revisions(all()).await.unwrap();
    assert_eq!((page.records, page.total), (Vec::new(), 0));
}

const fn all() -> PageAsk {
    PageAsk { newest_first: false, offset: 0, limit: MAX_PAGE }
}

async fn the_last_one_is_the_active_one(store: &dyn IdentityStore) {
    let (before, said) = (entries(store).await, entry("config.applied", "1"));
    // What a caller says of that changes nothing.
    assert_eq!(store.add_revision(superseded(1), &said).await, Ok(true));
    assert_eq!(store.active_revision().await, Ok(Some(revision(1).summary)));
    for number in 2..=4 {
        assert_eq!(store.add_revision(revision(number), &said).await, Ok(true));
        assert_eq!(store.active_revision().await, Ok(Some(revision(number).summary)));
        assert_eq!(store.find_revision(number).await, Ok(Some(revision(number))));
        assert_eq!(store.find_revision(number - 1).await, Ok(Some(superseded(number - 1))));
    }
    assert_eq!(entries(store).await, before + 4);
}

/// After the case before: there are four.
async fn only_the_next_one_is_kept(store: &dyn IdentityStore) {
    let (before, said) = (entries(store).await, entry("config.applied", "x"));
    for number in [0, 1, 4, 6, u64::MAX] {
        assert_eq!(store.add_revision(revision(number), &said).await, Ok(false), "{number}");
    }
    assert_eq!(entries(store).await, before, "nothing happened");
    assert_eq!(store.active_revision().await, Ok(Some(revision(4).summary)));
    assert_eq!(store.find_revision(5).await, Ok(None));
    assert_eq!(store.find_revision(u64::MAX).await, Ok(None));
}

async fn a_list_is_in_the_order_of_numbers(store: &dyn RevisionStore) {
    let numbers = async |ask: PageAsk| {
        let page = store.page_revisions(ask).await.unwrap();
        assert_eq!(page.total, 4);
        page.records.iter().map(|summary| summary.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(all()).await, [1, 2, 3, 4]);
    assert_eq!(numbers(PageAsk { newest_first: true, ..all() }).await, [4, 3, 2, 1]);
    assert_eq!(numbers(PageAsk { newest_first: true, offset: 1, limit: 2 }).await, [3, 2]);
    assert_eq!(numbers(PageAsk { offset: 4, ..all() }).await, Vec::<u64>::new());
    let page = store.page_revisions(all()).await.unwrap();
    assert_eq!(page.records.last(), Some(&revision(4).summary));
    assert_eq!(page.records.iter().filter(|summary| summary.active).count(), 1);
}
