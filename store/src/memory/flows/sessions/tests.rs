use super::*;

const IDLE_MS: u64 = 1_000;

fn session(id: &str, user_id: &str, created_at: u64) -> SessionRecord {
    SessionRecord {
        id: id.to_owned(),
        user_id: user_id.to_owned(),
        created_at: UnixMillis(created_at),
        last_used: UnixMillis(created_at),
        authenticated_at: UnixMillis(created_at),
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
        idle_ms: IDLE_MS,
        ends_at: UnixMillis(created_at + 5_000),
    }
}

fn holding(sessions: &[SessionRecord]) -> Sessions {
    let mut all = Sessions::default();
    for session in sessions {
        all.start(session, session.created_at).unwrap();
    }
    all
}

fn ids(sessions: &Sessions, user_id: &str, now: u64) -> Vec<String> {
    sessions.of(user_id, UnixMillis(now)).iter().map(|session| session.id.clone()).collect()
}

#[test]
fn a_session_ends_unused_and_ends_at_last() {
    let mut sessions = holding(&[session("a", "u", 0)]);
    let is_there = |sessions: &Sessions, at| sessions.find("a", UnixMillis(at)).is_some();
    assert!(is_there(&sessions, 999) && !is_there(&sessions, 1_000));
    for at in (900..=4_500).step_by(900) {
        sessions.touch(&[("a".to_owned(), UnixMillis(at))], UnixMillis(at)).unwrap();
    }
    assert!(is_there(&sessions, 4_999) && !is_there(&sessions, 5_000));
    sessions.touch(&[("a".to_owned(), UnixMillis(5_000))], UnixMillis(5_000)).unwrap();
    assert!(!is_there(&sessions, 5_000), "what has ended is not woken up");
}

#[test]
fn lists_hold_what_lives_and_nothing_else() {
    let mut sessions =
        holding(&[session("a", "u", 0), session("b", "u", 500), session("c", "v", 0)]);
    assert_eq!(ids(&sessions, "u", 900), ["b", "a"]);
    assert_eq!(ids(&sessions, "u", 1_000), ["b"], "one has ended, and nobody has looked yet");
    assert_eq!(
        sessions.end("b", UnixMillis(1_000)).map(|ended| ended.id.clone()),
        Some("b".into())
    );
    assert_eq!(sessions.end("b", UnixMillis(1_000)), None);
    assert_eq!(sessions.end("a", UnixMillis(1_000)), None, "it has ended before");
    assert!(ids(&sessions, "u", 1_000).is_empty());
    assert_eq!(sessions.of_user.len(), 1, "no empty list stays");
    // Whoever comes next clears away what has ended.
    sessions.start(&session("d", "u", 9_000), UnixMillis(9_000)).unwrap();
    assert_eq!(ids(&sessions, "u", 9_000), ["d"]);
    assert_eq!(sessions.of_user.len(), 1);
}

#[test]
fn an_ended_session_leaves_its_id_to_anybody() {
    let mut sessions = holding(&[session("a", "u", 0)]);
    let anothers = session("a", "v", 1_000);
    assert_eq!(sessions.start(&anothers, UnixMillis(999)), Err(StoreError::Conflict));
    assert_eq!(sessions.renew(&anothers, UnixMillis(1_000)), Ok(false));
    assert_eq!(sessions.start(&anothers, UnixMillis(1_000)), Ok(()));
    assert!(ids(&sessions, "u", 1_000).is_empty());
    assert_eq!(ids(&sessions, "v", 1_000), ["a"]);
    assert_eq!(sessions.of_user.len(), 1);
}

#[test]
fn renewing_keeps_its_user_and_its_beginning() {
    let mut sessions = holding(&[session("a", "u", 100)]);
    let stolen = SessionRecord { user_id: "v".to_owned(), ..session("a", "u", 100) };
    assert_eq!(sessions.renew(&stolen, UnixMillis(200)), Ok(false));
    let renewed = SessionRecord { methods: vec!["otp".to_owned()], ..session("a", "u", 150) };
    assert_eq!(sessions.renew(&renewed, UnixMillis(200)), Ok(true));
    let found = sessions.find("a", UnixMillis(200)).unwrap();
    assert_eq!(*found, SessionRecord { created_at: UnixMillis(100), ..renewed });
    assert_eq!(ids(&sessions, "u", 200), ["a"]);
}

#[test]
fn a_full_memory_refuses_and_logs_nobody_out() {
    let bounds = Bounds { entries: 10, bytes: 4_096 };
    let mut sessions = Sessions { all: Expiring::new(bounds), of_user: HashMap::new() };
    sessions.start(&session("a", "u", 0), UnixMillis(0)).unwrap();
    let large = SessionRecord { person: vec![b'x'; 4_096], ..session("b", "u", 0) };
    let refused = sessions.start(&large, UnixMillis(1));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(ids(&sessions, "u", 1), ["a"]);
    let grown = SessionRecord { id: "a".to_owned(), ..large };
    assert!(sessions.renew(&grown, UnixMillis(1)).is_err());
    assert!(sessions.find("a", UnixMillis(1)).unwrap().person.is_empty(), "it is as it was");
}
