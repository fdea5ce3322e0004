use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use postern_registry::Instance;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::{
    AuditEntry, AuditStore as _, NO_AUDIT, Profile, Sealed, SecretHash, ServiceStore as _,
    UserRecord, UserStore as _, contract,
};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_it_when_many_come_at_once() {
    let (_folder, store) = fresh().await;
    contract::parallel(Arc::new(store)).await;
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
                let (id, hash) = (format!("k{at:02}"), SecretHash([1; 32]));
                let key = ApiKeyRecord::new(id, hash, "s".to_owned(), UnixMillis(1));
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

/// Whoever renews those that stay reads all pages, and goes on behind the last one of each.
#[tokio::test]
async fn an_instance_that_cannot_be_read_hides_no_other() {
    let (_folder, store) = fresh().await;
    let said = AuditEntry {
        at: UnixMillis(5),
        actor: "test".to_owned(),
        action: "service.registered".to_owned(),
        target: "shop".to_owned(),
        detail: "{}".to_owned(),
    };
    for id in ["a", "b", "c", "d"] {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let instance = Instance::new("shop".to_owned(), id.to_owned(), address, 80);
        store.put_instance(&instance, UnixMillis(5), &said).await.unwrap();
    }
    execute(&store, "UPDATE service_registry SET host = 'nowhere' WHERE instance = 'b'").await;
    execute(&store, "UPDATE service_registry SET port = 65536 WHERE instance = 'c'").await;
    let ids = async |after, limit| {
        let records = store.list_instances(after, limit).await.unwrap();
        records.into_iter().map(|record| record.instance.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 100).await, ["a", "d"]);
    assert_eq!(ids(Some(("shop", "a")), 1).await, ["d"], "no page is empty before the last");
    assert_eq!(ids(Some(("shop", "d")), 1).await, [""; 0]);
    let asked = store.find_instance("shop", "b").await;
    assert!(matches!(asked, Err(StoreError::Corrupt(_))), "{asked:?}");
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

fn entry(target: &str) -> AuditEntry {
    AuditEntry {
        at: UnixMillis(5),
        actor: "system".to_owned(),
        action: "user.created".to_owned(),
        target: target.to_owned(),
        detail: "{}".to_owned(),
    }
}

fn user(id: &str) -> UserRecord {
    UserRecord {
        id: id.to_owned(),
        email: format!("{id}@example.test"),
        role: "student".to_owned(),
        is_active: true,
        profile: Profile::default(),
        password: None,
        must_change_password: false,
        tier: None,
        created_at: UnixMillis(1),
        updated_at: UnixMillis(1),
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen() {
    let (_folder, store) = fresh().await;
    store.insert_user(user("first"), &entry("first")).await.unwrap();
    // Somebody has put a record where the next one belongs.
    let taken = "INSERT INTO audit_log SELECT 2, at, actor, action, target, detail, previous, hash \
                 FROM audit_log";
    execute(&store, taken).await;
    let refused = store.insert_user(user("second"), &entry("second")).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(store.find_user("second").await.unwrap(), None);
    assert_eq!(store.audit_head().await.unwrap().map(|head| head.seq), Some(1));
    execute(&store, "DELETE FROM audit_head").await;
    let lost = store.insert_user(user("third"), &entry("third")).await;
    assert!(matches!(lost, Err(StoreError::Corrupt(_))), "{lost:?}");
    assert_eq!(store.find_user("third").await.unwrap(), None);
    assert!(store.append_audit(&entry("x")).await.is_err());
    assert!(matches!(store.audit_head().await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn who_changes_the_log_breaks_the_chain() {
    for change in [
        "UPDATE audit_log SET target = 'nobody' WHERE seq = 2",
        "UPDATE audit_log SET at = at + 1 WHERE seq = 2",
        "DELETE FROM audit_log WHERE seq = 2",
        "UPDATE audit_log SET previous = hash WHERE seq = 2",
    ] {
        let (_folder, store) = fresh().await;
        for target in ["a", "b", "c"] {
            store.append_audit(&entry(target)).await.unwrap();
        }
        let holds = async || {
            let records = store.audit_since(0, 10).await.unwrap();
            let mut previous = NO_AUDIT;
            records.iter().all(|record| {
                let follows = record.follows(&previous);
                previous = record.hash;
                follows
            })
        };
        assert!(holds().await);
        execute(&store, change).await;
        assert!(!holds().await, "{change}");
    }
}

#[tokio::test]
async fn what_somebody_sent_does_not_keep_it_from_being_recorded() {
    let (_folder, store) = fresh().await;
    let sent = AuditEntry { at: UnixMillis(u64::MAX), ..entry("a\0b") };
    assert_eq!(store.append_audit(&sent).await, Ok(1));
    let record = store.audit_since(0, 1).await.unwrap().remove(0);
    assert_eq!(record.entry.target, "a\u{fffd}b");
    assert!(record.follows(&NO_AUDIT), "it is hashed as it is kept");
}
