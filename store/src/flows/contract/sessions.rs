//! Sessions: begun, found, renewed, ended and listed.

use postern_request::UnixMillis;

use super::{Case, LONG_MS};
use crate::StoreError;
use crate::durable::SecretHash;
use crate::flows::{MAX_SESSIONS_LISTED, SessionRecord};

pub(super) async fn run(case: Case<'_>) {
    a_session_comes_back_as_it_was(case).await;
    a_session_ends_once(case).await;
    another_authentication_renews_it(case).await;
    a_user_sees_their_own(case).await;
    a_list_has_a_bound(case).await;
}

impl Case<'_> {
    /// A session with nothing in it that need not be.
    pub(super) fn session(self, id: &str, user_id: &str) -> SessionRecord {
        let now = self.now();
        SessionRecord {
            id: self.name(id),
            user_id: self.name(user_id),
            created_at: now,
            last_used: now,
            authenticated_at: now,
            mfa_at: None,
            methods: Vec::new(),
            device_id: None,
            fingerprint: None,
            client_id: None,
            scopes: Vec::new(),
            parent: None,
            secret: None,
            person: Vec::new(),
            remember: false,
            idle_ms: LONG_MS,
            ends_at: self.in_ms(LONG_MS),
        }
    }

    pub(super) async fn begin(self, session: &SessionRecord) {
        self.store.start_session(session, self.now()).await.unwrap();
    }

    pub(super) async fn find(self, id: &str) -> Option<SessionRecord> {
        self.store.find_session(id, self.now()).await.unwrap()
    }

    pub(super) async fn ids_of(self, user_id: &str) -> Vec<String> {
        let sessions = self.store.sessions_of(user_id, self.now()).await.unwrap();
        sessions.into_iter().map(|session| session.id).collect()
    }
}

fn full(session: SessionRecord) -> SessionRecord {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    SessionRecord {
        authenticated_at: UnixMillis(session.created_at.0 - 5_000),
        mfa_at: Some(session.created_at),
        methods: texts(&["pwd", "otp", "mfa"]),
        device_id: Some("device-'1'_é".to_owned()),
        fingerprint: Some([0xfe; 16]),
        client_id: Some("client 1".to_owned()),
        scopes: texts(&["read", "orders:write"]),
        parent: Some("parent".to_owned()),
        secret: Some(SecretHash([0xff; 32])),
        person: (0..=u8::MAX).collect(),
        remember: true,
        idle_ms: LONG_MS / 2,
        ..session
    }
}

async fn a_session_comes_back_as_it_was(case: Case<'_>) {
    let bare = case.session("bare", "u'1 — é");
    let full = full(case.session("full", "u'1 — é"));
    // Not there is another thing than empty.
    let empty = SessionRecord {
        device_id: Some(String::new()),
        client_id: Some(String::new()),
        parent: Some(String::new()),
        ..case.session("empty", "u'1 — é")
    };
    for session in [&bare, &full, &empty] {
        assert_eq!(case.find(&session.id).await, None);
        case.begin(session).await;
        for _ in 0..2 {
            assert_eq!(case.find(&session.id).await.as_ref(), Some(session));
        }
    }
    let another = SessionRecord { user_id: case.name("another"), ..bare.clone() };
    let taken = case.store.start_session(&another, case.now()).await;
    assert_eq!(taken, Err(StoreError::Conflict));
    assert_eq!(case.find(&bare.id).await.as_ref(), Some(&bare));
    assert!(case.ids_of(&another.user_id).await.is_empty(), "it is in no list either");
    for other in [bare.id.to_uppercase(), format!("{}\0", bare.id), String::new()] {
        assert_eq!(case.find(&other).await, None, "{other:?}");
    }
}

async fn a_session_ends_once(case: Case<'_>) {
    let (ends, stays) = (full(case.session("ends", "ender")), case.session("stays", "ender"));
    case.begin(&ends).await;
    case.begin(&stays).await;
    let end = async |id: &str| case.store.end_session(id, case.now()).await.unwrap();
    assert_eq!(end("none").await, None);
    assert_eq!(end(&ends.id).await.as_ref(), Some(&ends));
    assert_eq!(end(&ends.id).await, None, "the second time");
    assert_eq!(case.find(&ends.id).await, None);
    assert_eq!(case.ids_of(&ends.user_id).await, [stays.id.as_str()]);
    assert_eq!(case.find(&stays.id).await.as_ref(), Some(&stays));
    assert_eq!(case.store.renew_session(&ends, case.now()).await, Ok(false));
    let used = [(ends.id.clone(), case.in_ms(1_000))];
    case.store.touch_sessions(&used, case.now()).await.unwrap();
    assert_eq!(case.find(&ends.id).await, None, "nothing wakes it up");
    assert_eq!(case.ids_of(&ends.user_id).await, [stays.id.as_str()]);
}

async fn another_authentication_renews_it(case: Case<'_>) {
    let first = case.session("renewed", "renewer");
    let secret = |byte| Some(SecretHash([byte; 32]));
    case.begin(&SessionRecord { secret: secret(1), ..first.clone() }).await;
    let later = case.in_ms(2_000);
    let renewed = SessionRecord {
        last_used: later,
        authenticated_at: later,
        mfa_at: Some(later),
        methods: vec!["pwd".to_owned(), "otp".to_owned()],
        secret: secret(2),
        ..first.clone()
    };
    assert_eq!(case.store.renew_session(&renewed, case.now()).await, Ok(true));
    assert_eq!(case.find(&first.id).await.as_ref(), Some(&renewed), "the old secret is gone");
    // What was written by somebody with an older copy of it.
    let older = SessionRecord {
        created_at: later,
        last_used: first.last_used,
        mfa_at: None,
        methods: Vec::new(),
        ..renewed.clone()
    };
    assert_eq!(case.store.renew_session(&older, case.now()).await, Ok(true));
    let is = SessionRecord { mfa_at: None, methods: Vec::new(), ..renewed };
    assert_eq!(case.find(&first.id).await.as_ref(), Some(&is), "what was there is gone as well");

    let stolen = SessionRecord { user_id: case.name("thief"), ..is.clone() };
    assert_eq!(case.store.renew_session(&stolen, case.now()).await, Ok(false));
    assert_eq!(case.find(&first.id).await.as_ref(), Some(&is));
    assert!(case.ids_of(&stolen.user_id).await.is_empty());

    let unknown = case.session("never begun", "renewer");
    assert_eq!(case.store.renew_session(&unknown, case.now()).await, Ok(false));
    assert_eq!(case.find(&unknown.id).await, None, "nor is it begun by that");
    assert_eq!(case.ids_of(&first.user_id).await, [first.id.as_str()]);
}

async fn a_user_sees_their_own(case: Case<'_>) {
    let now = case.now().0;
    let mut expected = Vec::new();
    for (name, age_ms) in [("middle", 2_000), ("oldest", 3_000), ("newest", 1_000)] {
        let created_at = UnixMillis(now - age_ms);
        let session = SessionRecord { created_at, ..full(case.session(name, "owner")) };
        case.begin(&session).await;
        expected.push(session);
    }
    case.begin(&case.session("another's", "Owner")).await;
    expected.sort_by_key(|session| std::cmp::Reverse(session.created_at));
    let owner = case.name("owner");
    assert_eq!(case.store.sessions_of(&owner, case.now()).await.unwrap(), expected);
    for other in [case.name("nobody"), format!("{owner}\0"), String::new()] {
        assert!(case.ids_of(&other).await.is_empty(), "{other:?}");
    }
}

async fn a_list_has_a_bound(case: Case<'_>) {
    let mut user_id = String::new();
    for at in 0..MAX_SESSIONS_LISTED + 5 {
        let session = case.session(&format!("many {at}"), "many");
        case.begin(&session).await;
        user_id = session.user_id;
    }
    assert_eq!(case.ids_of(&user_id).await.len(), MAX_SESSIONS_LISTED);
}
