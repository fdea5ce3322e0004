//! Requests of every kind, each with the answer that is right, and what came of them.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::load::{Load, Sent};

use crate::profile::Profile;

const SCOPES: &str = "content.read checked.read";

/// Somebody's call, and how it is to be answered.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: &'static str,
    pub call: Call,
    /// The status while all is well; anything but 200 is for those who have no right to pass.
    pub right: u16,
}

/// Tokens and callers of one test.
#[derive(Debug, Clone)]
pub struct Mix {
    pub good: String,
    pub revoked: String,
    cases: Vec<Case>,
}

/// What a route is asked with.
pub fn content(token: &str) -> Call {
    Call::get("/content/items").bearer(token)
}

pub fn checked(token: &str) -> Call {
    Call::get("/checked/items").bearer(token)
}

pub fn limited(limit: &str, token: &str) -> Call {
    Call::get(&format!("/limited/{limit}")).bearer(token)
}

/// A token of somebody else's each time.
pub fn token(name: &str) -> String {
    Token::of(&keys::subject(name)).scope(SCOPES).sign()
}

impl Mix {
    /// What needs no store: filters, `ext_authz` and `ext_proc`. One token is revoked, and every
    /// worker knows.
    pub async fn begin(gateway: &Gateway) -> Self {
        let (good, revoked) = (token("good"), token("revoked"));
        gateway.until_everywhere(200, &content(&good)).await;
        gateway.until_status(200, &checked(&good)).await;
        gateway.until_status(200, &content(&revoked)).await;
        gateway.revoke(&[&revoked]).await;
        gateway.until_revoked_everywhere(&content(&revoked)).await;
        gateway.until_status(401, &checked(&revoked)).await;
        let narrow = Token::of(&keys::subject("narrow")).scope("content.read").sign();
        let wrong_key = keys::API_KEY.replace("ZGGR", "ZGGS");
        assert_ne!(wrong_key, keys::API_KEY);
        let keyed = |key: &str| Call::get("/keyed/items").header("x-api-key", key);
        let tampered = keys::tampered(&good);
        let case = |name, call, right| Case { name, call, right };
        let cases = vec![
            case("content", content(&good), 200),
            case("content, revoked", content(&revoked), 401),
            case("content, tampered", content(&tampered), 401),
            case("checked", checked(&good), 200),
            case("checked, revoked", checked(&revoked), 401),
            case("checked, tampered", checked(&tampered), 401),
            case("checked, nobody", Call::get("/checked/items"), 401),
            case("checked, without the scope", checked(&narrow), 403),
            case("keyed", keyed(keys::API_KEY), 200),
            case("keyed, wrong", keyed(&wrong_key), 401),
            case("stamped", Call::get("/stamped/items").bearer(&good), 200),
            case("open", Call::get("/open/items"), 200),
        ];
        let mix = Self { good, revoked, cases };
        for case in &mix.cases {
            gateway.until_status(case.right, &case.call).await;
        }
        mix
    }

    /// With one case more.
    pub fn with(mut self, name: &'static str, call: Call, right: u16) -> Self {
        self.cases.push(Case { name, call, right });
        self
    }

    /// With a limit of four that is used up, of a caller who is told so by every server. Without
    /// its store it denies.
    pub async fn with_one_used_up(self, gateway: &Gateway) -> Self {
        let call = limited("few", &token("spent"));
        gateway.until_status(429, &call).await;
        self.with("few, used up", call, 429)
    }

    /// Sends all of it in turn, so often a second.
    pub fn send(&self, gateway: &Gateway, rate: u32) -> Load {
        let calls = self.cases.iter().map(|case| case.call.clone()).collect();
        Load::begin(gateway.client(Protocol::Http1), calls, rate)
    }

    /// As hard and as long as the profile says.
    pub async fn send_some(&self, gateway: &Gateway) -> Load {
        let profile = Profile::get();
        let load = self.send(gateway, profile.rate);
        load.until_more(profile.requests()).await;
        load
    }

    /// Which case a request was of.
    pub fn case(&self, sent: &Sent) -> &Case {
        &self.cases[sent.call]
    }

    /// Asserts that nobody has passed who had no right to: they were told so, or that nobody can
    /// tell.
    pub fn assert_no_wrong_allow(&self, sent: &[Sent]) {
        let mut asked = 0;
        for one in sent.iter().filter(|one| self.case(one).right != 200) {
            let Case { name, right, .. } = self.case(one);
            let is_fine = one.status.is_none_or(|status| [*right, 503].contains(&status));
            assert!(is_fine, "{name}: {one:?}");
            asked += 1;
        }
        assert!(asked > 0, "nobody without a right has asked");
    }

    /// Those who had a right to pass and did not. Whatever kept them, they were told to come again.
    pub fn wrong_denials<'s>(&self, sent: &'s [Sent]) -> Vec<&'s Sent> {
        let denied: Vec<&Sent> = sent
            .iter()
            .filter(|one| self.case(one).right == 200 && one.status != Some(200))
            .collect();
        for one in &denied {
            let is_told = one.status == Some(503) && one.code.as_deref() == Some("UNAVAILABLE");
            assert!(is_told || one.status.is_none(), "{}: {one:?}", self.case(one).name);
        }
        denied
    }

    /// Asserts that everybody got the right answer.
    pub fn assert_all_right(&self, sent: &[Sent]) {
        self.assert_no_wrong_allow(sent);
        let denied = self.wrong_denials(sent);
        let named: Vec<_> = denied.iter().map(|one| (self.case(one).name, one)).collect();
        assert!(denied.is_empty(), "{} of {} were denied: {named:#?}", denied.len(), sent.len());
        assert_all_answered(sent);
    }
}

/// Asserts that every request has got an answer.
pub fn assert_all_answered(sent: &[Sent]) {
    let unanswered = sent.iter().filter(|one| one.status.is_none()).count();
    assert_eq!(unanswered, 0, "of {} requests", sent.len());
}
