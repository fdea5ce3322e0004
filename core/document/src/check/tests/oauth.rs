use super::{OPEN, load, problems};
use crate::{CertificateSource, OAuth, OAuthGrant, RegistrationMode, SigningAlgorithm, from_json};

const ISSUER: &str = r#""issuer": "https://login.example.test","#;

/// Where people log in, too.
fn oauth(members: &str) -> String {
    format!(r#"{} "login": {{"roles": {{"user": {{}}}}}},"#, alone(members))
}

fn alone(members: &str) -> String {
    format!(r#"{ISSUER} "oauth": {{{members}}},"#)
}

fn read(members: &str) -> OAuth {
    load(&oauth(members), &[OPEN]).unwrap_or_else(|found| panic!("{found:?}")).oauth.unwrap()
}

/// Each document has the one problem at this place, with this word in it.
fn assert_problems(table: &[(String, &str, &str)]) {
    for (members, place, word) in table {
        let found = problems(members, &[OPEN]);
        let [only] = found.as_slice() else { panic!("{found:?} for {members}") };
        assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
    }
}

#[test]
fn nothing_is_served_unless_it_is_asked_for() {
    assert!(load(ISSUER, &[OPEN]).unwrap().oauth.is_none());
    let oauth = read("");
    let grants = [
        OAuthGrant::AuthorizationCode,
        OAuthGrant::RefreshToken,
        OAuthGrant::ClientCredentials,
        OAuthGrant::DeviceCode,
    ];
    assert_eq!(oauth.grants, grants);
    assert_eq!((oauth.access_token_secs, oauth.code_secs), (3600, 600));
    assert_eq!(oauth.algorithm, SigningAlgorithm::Rs256);
    let refresh = oauth.refresh;
    assert_eq!((refresh.secs, refresh.remembered_secs), (604_800, 2_592_000));
    assert_eq!(refresh.grace_ms, 10_000);
    assert!(!oauth.require_par && oauth.resources.is_empty() && oauth.cors_origins.is_empty());
    assert_eq!(oauth.registration.mode, RegistrationMode::Off);
    assert_eq!(oauth.registration.unused_for_ms, 90 * 86_400_000);
    assert_eq!((oauth.device.secs, oauth.device.interval_secs), (900, 5));
    assert_eq!((oauth.rotate_every_ms, oauth.mutual_tls), (None, None));
}

#[test]
fn where_nobody_logs_in_clients_get_tokens_of_their_own_and_nothing_else() {
    let bare = load(&alone(""), &[OPEN]).unwrap().oauth.unwrap();
    assert_eq!(bare.grants, [OAuthGrant::ClientCredentials]);
    let machines = r#""grants": ["token_exchange", "client_credentials"]"#;
    assert!(load(&alone(machines), &[OPEN]).is_ok());
    for grant in ["authorization_code", "device_code", "refresh_token"] {
        let members = format!(r#""grants": ["client_credentials", "{grant}"]"#);
        assert_problems(&[(alone(&members), "oauth.grants", "say how in `login`")]);
        assert_problems(&[(alone(&members), "oauth.grants", grant)]);
        assert!(load(&oauth(&members), &[OPEN]).is_ok(), "{grant}");
    }
    // There are tokens to go on with for whoever has logged in without a client.
    assert!(load(&oauth(r#""grants": ["refresh_token"]"#), &[OPEN]).is_ok());
    let device = r#""device": {"lifetime": "5m"}"#;
    assert_problems(&[(alone(device), "oauth.device", "device_code")]);
}

#[test]
fn everything_is_read_and_part_of_the_digest() {
    let all = r#"
        "scopes": {"orders.read": "See your orders"},
        "grants": ["token_exchange", "refresh_token", "authorization_code", "device_code"],
        "access_token": {"lifetime": "15m", "algorithm": "EdDSA"},
        "refresh_token": {"lifetime": "60d", "remembered": "60d", "grace": "0s"},
        "code": {"lifetime": "1m"}, "require_pushed_requests": true,
        "resources": [{"resource": "https://api.example.test/orders", "scopes": ["orders.read"]}],
        "registration": {"mode": "open", "scopes": ["orders.read", "openid"], "unused_for": "1d"},
        "keys": {"rotate_every": "30d"}, "device": {"lifetime": "5m", "interval": "10s"},
        "mutual_tls": "connection", "cors_origins": ["https://app.example.test"]"#;
    let document = load(&oauth(all), &[OPEN]).unwrap();
    let again = from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!((&again.oauth, &again.digest), (&document.oauth, &document.digest));
    assert_ne!(load(&oauth(""), &[OPEN]).unwrap().digest, document.digest);
    let oauth = document.oauth.unwrap();
    assert_eq!(oauth.scopes, [("orders.read".to_owned(), "See your orders".to_owned())]);
    assert_eq!(oauth.grants[0], OAuthGrant::TokenExchange);
    assert_eq!(oauth.algorithm.as_str(), "EdDSA");
    assert_eq!((oauth.refresh.remembered_secs, oauth.refresh.grace_ms), (5_184_000, 0));
    assert_eq!(oauth.resources[0].scopes, ["orders.read"]);
    assert_eq!(oauth.registration.scopes, ["orders.read", "openid"]);
    assert_eq!(oauth.rotate_every_ms, Some(30 * 86_400_000));
    assert_eq!((oauth.device.secs, oauth.device.interval_secs), (300, 10));
    assert_eq!(oauth.mutual_tls, Some(CertificateSource::Connection));
    assert_eq!(oauth.cors_origins, ["https://app.example.test"]);
}

#[test]
fn who_is_remembered_is_so_as_long_as_anybody() {
    let refresh = read(r#""refresh_token": {"lifetime": "90d"}"#).refresh;
    assert_eq!(refresh.secs, refresh.remembered_secs);
}

#[test]
fn lives_have_their_bounds() {
    for (members, place, word) in [
        (r#""access_token": {"lifetime": "59s"}"#, "access_token.lifetime", "1m to 24h"),
        (r#""access_token": {"lifetime": "25h"}"#, "access_token.lifetime", "1m to 24h"),
        (r#""refresh_token": {"lifetime": "4m"}"#, "refresh_token.lifetime", "5m to 365d"),
        (r#""refresh_token": {"remembered": "366d"}"#, "refresh_token.remembered", "365d"),
        (
            r#""refresh_token": {"lifetime": "8d", "remembered": "7d"}"#,
            "refresh_token.remembered",
            "as long as",
        ),
        (r#""refresh_token": {"grace": "61s"}"#, "refresh_token.grace", "0s to 60s"),
        (r#""refresh_token": {"grace": "soon"}"#, "refresh_token.grace", "a duration"),
        (r#""code": {"lifetime": "11m"}"#, "code.lifetime", "10s to 10m"),
        (r#""code": {"lifetime": "0s"}"#, "code.lifetime", "zero"),
        (r#""keys": {"rotate_every": "23h"}"#, "keys.rotate_every", "1d to 365d"),
        (r#""device": {"lifetime": "31m"}"#, "device.lifetime", "1m to 30m"),
        (r#""device": {"interval": "4s"}"#, "device.interval", "5s to 60s"),
    ] {
        let place = format!("oauth.{place}");
        assert_problems(&[(oauth(members), place.as_str(), word)]);
    }
}

#[test]
fn what_nobody_could_use_is_refused() {
    for (members, place, word) in [
        (r#""grants": []"#, "oauth.grants", "at least one"),
        (r#""grants": ["device_code", "device_code"]"#, "oauth.grants", "twice"),
        (r#""grants": ["password"]"#, "oauth.grants[0]", "expected one of"),
        (
            r#""grants": ["client_credentials"], "device": {"lifetime": "5m"}"#,
            "oauth.device",
            "device_code",
        ),
        (r#""scopes": {"a b": "x"}"#, "oauth.scopes.a b", "no spaces"),
        (r#""scopes": {"a": ""}"#, "oauth.scopes.a", "tell people"),
        (r#""scopes": {"a": "x\ny"}"#, "oauth.scopes.a", "one line"),
        (r#""scopes": {"a": "x\u202ey"}"#, "oauth.scopes.a", "one line"),
        (r#""registration": {"mode": "open"}"#, "oauth.registration.scopes", "nobody has looked"),
        (r#""registration": {"scopes": ["openid"]}"#, "oauth.registration", "may register"),
        (
            r#""registration": {"mode": "open", "scopes": ["openid", "postern.admin"]}"#,
            "oauth.registration.scopes",
            "an operator has made",
        ),
        (
            r#""registration": {"mode": "token", "scopes": ["client.register"]}"#,
            "oauth.registration.scopes",
            "an operator has made",
        ),
        (
            r#""scopes": {"orders.read": "x"}, "registration": {"mode": "token", "scopes": ["order.read"]}"#,
            "oauth.registration.scopes",
            "did you mean `orders.read`",
        ),
        (r#""cors_origins": ["*"]"#, "oauth.cors_origins[0]", "an origin"),
        (
            r#""cors_origins": ["https://a.test", "https://a.test"]"#,
            "oauth.cors_origins[1]",
            "twice",
        ),
        (r#""resources": [{"resource": "/orders"}]"#, "oauth.resources[0].resource", "absolute"),
        (
            r#""resources": [{"resource": "https://a.test/#x"}]"#,
            "oauth.resources[0].resource",
            "fragment",
        ),
        (
            r#""resources": [{"resource": "urn:a:b"}, {"resource": "urn:a:b"}]"#,
            "oauth.resources[1]",
            "twice",
        ),
        (
            r#""resources": [{"resource": "https://login.example.test"}]"#,
            "oauth.resources[0]",
            "always",
        ),
        (
            r#""resources": [{"resource": "urn:a:b", "scopes": []}]"#,
            "oauth.resources[0].scopes",
            "leave `scopes` out",
        ),
        (
            r#""resources": [{"resource": "urn:a:b", "scopes": ["c"]}]"#,
            "oauth.resources[0].scopes",
            "says nothing of `c`: add `c: TEXT` under `oauth.scopes`",
        ),
    ] {
        assert_problems(&[(oauth(members), place, word)]);
    }
}

#[test]
fn an_authorization_server_is_a_host_with_a_name() {
    let of = |issuer: &str| format!(r#"{issuer} "oauth": {{}},"#);
    assert_problems(&[
        (of(""), "oauth", "has a name"),
        (of(r#""issuer": "https://example.test/login","#), "issuer", "without path"),
        (of(r#""issuer": "http://login.example.test","#), "issuer", "an https URL"),
    ]);
    assert!(problems(&of(r#""issuer": "http://127.0.0.1:8080","#), &[OPEN]).is_empty());
}

#[test]
fn replicas_share_what_they_remember() {
    let of = |stores: &str| format!(r#"{} "stores": {{{stores}}},"#, oauth(""));
    let memory = r#""volatile": "memory", "durable": "env:D", "replicas": 2"#;
    assert_problems(&[(of(memory), "stores.volatile", "Redis")]);
    for good in [
        r#""volatile": "memory""#,
        r#""volatile": "env:R", "durable": "env:D", "replicas": 2"#,
        // The command line may say where.
        r#""durable": "env:D", "replicas": 2"#,
    ] {
        assert!(problems(&of(good), &[OPEN]).is_empty(), "{good}");
    }
}

#[test]
fn certificates_are_seen_in_one_place() {
    let of = |mutual: &str, bound: &str| {
        format!(
            r#"{} "credentials": {{"jwt": {{"bound": {{"certificate": "{bound}"}}, "issuers": [
                {{"issuer": "https://login.example.test", "audiences": ["a"],
                  "jwks": {{"service": "postern"}}}}]}}}},"#,
            oauth(&format!(r#""mutual_tls": "{mutual}""#))
        )
    };
    assert_problems(&[(of("connection", "forwarded"), "oauth.mutual_tls", "overwrite")]);
    for (mutual, bound) in
        [("connection", "connection"), ("forwarded", "forwarded"), ("forwarded", "connection")]
    {
        assert!(problems(&of(mutual, bound), &[OPEN]).is_empty(), "{mutual} {bound}");
    }
}
