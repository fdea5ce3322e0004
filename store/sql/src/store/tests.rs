use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::contract;
use postern_store::durable::{Sealed, SecretHash};
use tempfile::TempDir;

use super::*;

async fn fresh() -> (TempDir, SqlStore) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("postern.db").display());
    let store = SqlStore::open(&url).await.unwrap();
    store.migrator().up(None, UnixMillis(1)).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let (_folder, store) = fresh().await;
    contract::run(&store).await;
}

#[tokio::test]
async fn what_is_committed_survives_a_restart() {
    let (folder, store) = fresh().await;
    let key = SigningKeyRecord {
        kid: "k".to_owned(),
        algorithm: "ES256".to_owned(),
        public_jwk: "{}".to_owned(),
        private_sealed: Sealed(vec![0, 255]),
        created_at: UnixMillis(1),
        activates_at: UnixMillis(2),
        retires_at: None,
    };
    store.insert_signing_key(key.clone()).await.unwrap();
    store.close().await;
    let url = format!("sqlite:{}", folder.path().join("postern.db").display());
    let store = SqlStore::open_migrated(&url).await.unwrap();
    assert_eq!(store.list_signing_keys().await.unwrap(), [key]);
}

#[tokio::test]
async fn writers_wait_for_each_other() {
    let (_folder, store) = fresh().await;
    let tasks: Vec<_> = (0..32)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = ApiKeyRecord {
                    id: format!("k{at:02}"),
                    sha256: SecretHash([1; 32]),
                    subject: "s".to_owned(),
                    client_id: None,
                    scopes: Vec::new(),
                    tier: None,
                    expires_at: None,
                    created_at: UnixMillis(1),
                    revoked_at: None,
                };
                store.insert_api_key(key).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.list_api_keys(None, 100).await.unwrap().len(), 32);
}

async fn execute(store: &SqlStore, statement: &'static str) {
    on!(&store.database, pool => sqlx::query(statement).execute(pool).await.map(drop)).unwrap();
}

#[tokio::test]
async fn a_damaged_row_is_told_from_a_lost_database() {
    let (_folder, store) = fresh().await;
    let key = "INSERT INTO signing_keys VALUES ('k', 'RS256', '{}', 'not base64!', 1, 1, NULL)";
    execute(&store, key).await;
    assert!(matches!(store.list_signing_keys().await, Err(StoreError::Corrupt(_))));
    // Revocations that nobody here could have written do not hide the one after them.
    execute(&store, "INSERT INTO revocations VALUES (1, 'token', 'i', 't', 5, 9, 1, NULL)").await;
    execute(&store, "INSERT INTO revocations VALUES (2, 'key', 'i', '', NULL, 9, 1, NULL)").await;
    execute(&store, "INSERT INTO revocations VALUES (3, 'key', 'i', 'k', NULL, 9, 1, NULL)").await;
    let found = store.revocations_since(0, 10, UnixMillis(0)).await.unwrap();
    let readable: Vec<_> = found.iter().map(|one| one.revocation.is_some()).collect();
    assert_eq!(readable, [false, false, true]);
    execute(&store, "DELETE FROM revocation_counter").await;
    let revoked = store.revoke(vec![token("t")]).await;
    assert!(matches!(revoked, Err(StoreError::Corrupt(_))), "{revoked:?}");
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
}

fn token(value: &str) -> NewRevocation {
    let revocation = Revocation::at(5, RevocationKind::Token, "i", value, 1_000).unwrap();
    NewRevocation { revocation, created_at: UnixMillis(5_000), reason: None }
}

#[tokio::test]
async fn a_reader_misses_nothing_while_many_revoke() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 12;
    let (_folder, store) = fresh().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for at in 0..EACH {
                    let pair = vec![token(&format!("{writer}-{at}")), token("all the same")];
                    store.revoke(pair).await.unwrap();
                }
            })
        })
        .collect();
    let (mut cursor, mut seen) = (0, 0);
    loop {
        let over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let page = store.revocations_since(cursor, 7, UnixMillis(0)).await.unwrap();
        for record in &page {
            assert!(record.seq > cursor, "{} after {cursor}", record.seq);
            cursor = record.seq;
            // The second of each pair has an even number, and is there once at most.
            let second = record.revocation.as_ref().unwrap().value() == "all the same";
            assert_eq!(record.seq.is_multiple_of(2), second);
            seen += u64::from(!second);
        }
        if over && page.is_empty() {
            break;
        }
    }
    assert_eq!(seen, WRITERS * EACH);
    assert_eq!(store.count_revocations(UnixMillis(0)).await.unwrap(), seen + 1);
}

#[tokio::test]
async fn the_identity_is_made_once() {
    let (folder, store) = fresh().await;
    let (first, second) = tokio::join!(store.feed_identity(), store.feed_identity());
    let identity = first.unwrap();
    assert_eq!(second.unwrap(), identity);
    store.close().await;
    let url = format!("sqlite:{}", folder.path().join("postern.db").display());
    let store = SqlStore::open_migrated(&url).await.unwrap();
    assert_eq!(store.feed_identity().await.unwrap(), identity);
    let (_folder, other) = fresh().await;
    assert_ne!(other.feed_identity().await.unwrap(), identity);
}

#[tokio::test]
async fn a_clock_that_is_ahead_deletes_nothing_that_has_not_ended_by_the_databases_own() {
    let (_folder, store) = fresh().await;
    // Both made by whoever has the wrong clock: the one thing that tells is the database.
    let year_2100 = 4_102_444_800;
    let token = |value: &str, expires_at| NewRevocation {
        revocation: Revocation::at(1_000, RevocationKind::Token, "i", value, expires_at).unwrap(),
        created_at: UnixMillis((year_2100 + 86_400) * 1_000),
        reason: None,
    };
    store.revoke(vec![token("ended", 2_000), token("lives", year_2100)]).await.unwrap();
    let ahead = UnixMillis((year_2100 + 86_400) * 1_000);
    assert_eq!(store.delete_expired_revocations(ahead, 10).await.unwrap(), 1);
    let left = store.revocations_since(0, 10, UnixMillis(0)).await.unwrap();
    assert_eq!(left.iter().map(|one| one.seq).collect::<Vec<_>>(), [2]);
}
