//! Cases that are made, not thought of.
//!
//! What must be in enough of them comes in turn: questions, modes, reaches, callers, tokens.
//! What they are put together of is left to chance, which is always the same.

use std::net::{IpAddr, Ipv4Addr};

use postern_e2e::policies::{
    Caller, Case, Place as TokenPlace, Placed, ROOT, Sent, TCP_PORT, Token,
};
use serde_json::{Value, json};

use super::random::Random;
use super::vocabulary::{HEADERS, HOSTS, METHODS, PATHS, Place, QUESTIONS, Question, TEMPLATES};

const CASES: usize = 400;
const REQUESTS: usize = 5;
/// How much a case's policy asks.
const ASKED: usize = 3;
const SEED: u64 = 20;

/// What a case's policy does, in turn.
const ACTIONS: [Action; 10] = [
    Action::Allow,
    Action::Deny,
    Action::Allow,
    Action::Audit,
    Action::Allow,
    Action::Custom,
    Action::Deny,
    Action::Allow,
    Action::Deny,
    Action::CustomForAll,
];
const CALLERS: [Caller; 7] = [
    Caller::Web,
    Caller::Plain,
    Caller::Gateway,
    Caller::Web,
    Caller::Neighbour,
    Caller::Stranger,
    Caller::Web,
];
/// Tokens of requests to who knows some, in turn.
const TOKENS: [&[Token]; 14] = [
    &[Token::Good],
    &[],
    &[Token::Other],
    &[Token::Good],
    &[Token::Expired],
    &[Token::Good],
    &[Token::Unknown],
    &[Token::Other],
    &[Token::Forged],
    &[Token::Good],
    &[Token::Nameless],
    &[Token::Good, Token::Other],
    &[Token::Garbage],
    &[Token::Other, Token::Good],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Allow,
    Deny,
    Audit,
    Custom,
    CustomForAll,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::Audit => "AUDIT",
            Self::Custom | Self::CustomForAll => "CUSTOM",
        }
    }
}

/// All of them.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut generator =
        Generator { random: Random::new(SEED), asked: 0, of_custom: 0, sent: 0, tokens: 0 };
    (0..CASES).map(|number| generator.case(number)).collect()
}

struct Generator {
    random: Random,
    /// How many questions were asked, and of CUSTOM policies.
    asked: usize,
    of_custom: usize,
    /// How many requests were made, and of those to who knows tokens.
    sent: usize,
    tokens: usize,
}

impl Generator {
    fn case(&mut self, number: usize) -> Case {
        let action = ACTIONS[number % ACTIONS.len()];
        let mut policies = vec![self.main(number, action)];
        policies.extend(self.beside(number));
        policies.extend(number.is_multiple_of(4).then(|| peer(number / 4)));
        let asks_for_tokens = policies.iter().any(|policy| {
            let text = policy.to_string();
            text.contains("equestPrincipals") || text.contains("request.auth.")
        });
        let knows_tokens = asks_for_tokens || number.is_multiple_of(3);
        policies.extend(knows_tokens.then(|| issuers(number)));
        let requests = (0..REQUESTS).map(|_| (self.request(knows_tokens), None)).collect();
        let name = format!("generated {number:03}, {}", action.as_str());
        Case { name, policies, requests }
    }

    fn main(&mut self, number: usize, action: Action) -> Value {
        let rules = match action {
            Action::CustomForAll => vec![json!({})],
            _ => self.rules(action),
        };
        let mut spec = json!({"action": action.as_str(), "rules": rules});
        if matches!(action, Action::Custom | Action::CustomForAll) {
            let name = if number % 80 == 5 { "nobody" } else { "permit" };
            spec["provider"] = json!({"name": name});
        }
        let mut policy = json!({"kind": "AuthorizationPolicy", "name": "p", "spec": spec});
        let own = json!({"matchLabels": {"app": "guarded", "slot": "$SLOT"}});
        // Not in step with the actions, so that each has each reach.
        match number % 9 {
            3 => policy["spec"]["selector"] = own,
            5 => {
                policy["namespace"] = json!(ROOT);
                policy["name"] = json!("p-$SLOT");
                policy["spec"]["selector"] = own;
            }
            7 if number.is_multiple_of(2) => {
                policy["namespace"] = json!("away");
                policy["name"] = json!("p-$SLOT");
            }
            7 => policy["spec"]["selector"] = json!({"matchLabels": {"app": "other"}}),
            _ => {}
        }
        policy
    }

    /// Rules that ask what is next: each question in a rule of its own, or several in one.
    fn rules(&mut self, action: Action) -> Vec<Value> {
        let together = if action == Action::Audit { 0 } else { self.random.below(ASKED) };
        let mut rules: Vec<Value> = Vec::new();
        for position in 0..ASKED {
            let (question, negated) = self.next_question(action);
            let values = self.random.some(question.values);
            if position == 0 || position > together {
                rules.push(json!({}));
            }
            let rule = rules.last_mut().expect("a rule");
            add(rule, question.place, question.ask(&values, negated));
        }
        rules
    }

    fn next_question(&mut self, action: Action) -> (Question, bool) {
        let known = |question: &&Question| action != Action::Custom || question.of_custom;
        let among: Vec<Question> = QUESTIONS.iter().filter(known).copied().collect();
        let counter = if action == Action::Custom { &mut self.of_custom } else { &mut self.asked };
        let at = *counter;
        *counter += 1;
        // In the second round, the other way round.
        (among[at % among.len()], at / among.len() % 2 == 1)
    }

    /// A second policy of half of the cases.
    fn beside(&mut self, number: usize) -> Option<Value> {
        let action = *self.random.pick(&["ALLOW", "DENY", "AUDIT", "ALLOW"]);
        let mut rule = json!({});
        if number % 16 == 3 {
            let template = TEMPLATES[number / 16 % TEMPLATES.len()];
            add(&mut rule, Place::To, json!({"operation": {"paths": [template]}}));
        } else if number.is_multiple_of(2) {
            let question = *self.random.pick(QUESTIONS);
            let values = self.random.some(question.values);
            let negated = self.random.one_in(2);
            add(&mut rule, question.place, question.ask(&values, negated));
        } else {
            return None;
        }
        let spec = json!({"action": action, "rules": [rule]});
        Some(json!({"kind": "AuthorizationPolicy", "name": "q", "spec": spec}))
    }

    fn request(&mut self, knows_tokens: bool) -> Sent {
        let number = self.sent;
        self.sent += 1;
        let mut sent = Sent {
            from: CALLERS[number % CALLERS.len()],
            method: (*self.random.pick(METHODS)).to_owned(),
            path: (*self.random.pick(PATHS)).to_owned(),
            host: (*self.random.pick(HOSTS)).to_owned(),
            tokens: self.tokens(knows_tokens),
            ..Sent::default()
        };
        if self.random.one_in(2) {
            let lines = *self.random.pick(HEADERS);
            sent.headers = lines.iter().map(|line| (*line).to_owned()).collect();
        }
        if self.random.one_in(6) {
            sent.source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
        }
        match number % 11 {
            4 | 9 => sent.port = TCP_PORT,
            6 => sent.port = 8081,
            _ => {}
        }
        sent
    }

    fn tokens(&mut self, knows_tokens: bool) -> Vec<Placed> {
        if !knows_tokens {
            let one = if self.random.one_in(8) { vec![Token::Good] } else { Vec::new() };
            return one.into_iter().map(Placed::bearer).collect();
        }
        let number = self.tokens;
        self.tokens += 1;
        let tokens = TOKENS[number % TOKENS.len()];
        let mut placed: Vec<Placed> = tokens.iter().copied().map(Placed::bearer).collect();
        // Where everybody looks, too.
        if let ([only], true) = (placed.as_mut_slice(), self.random.one_in(4)) {
            only.place = TokenPlace::Param("access_token".to_owned());
        }
        placed
    }
}

/// Adds an item to a side of a rule.
fn add(rule: &mut Value, place: Place, item: Value) {
    let side = match place {
        Place::From => "from",
        Place::To => "to",
        Place::When => "when",
    };
    match rule[side].as_array_mut() {
        Some(items) => items.push(item),
        None => rule[side] = json!([item]),
    }
}

/// How the workload wants to be talked to, in turn.
fn peer(number: usize) -> Value {
    let spec = match number % 5 {
        0 => json!({"mtls": {"mode": "STRICT"}}),
        1 => json!({"mtls": {"mode": "DISABLE"}}),
        2 => json!({"mtls": {"mode": "PERMISSIVE"}}),
        3 => json!({"mtls": {"mode": "UNSET"}}),
        _ => json!({
            "selector": {"matchLabels": {"app": "guarded"}},
            "mtls": {"mode": "PERMISSIVE"},
            "portLevelMtls": {"8080": {"mode": "STRICT"}, "9090": {"mode": "DISABLE"}},
        }),
    };
    json!({"kind": "PeerAuthentication", "name": "pa", "spec": spec})
}

/// Whose tokens the workload knows, in turn.
fn issuers(number: usize) -> Value {
    let issuer =
        |name: &str| json!({"issuer": format!("https://{name}.example.test"), "jwks": "$JWKS"});
    let (mut first, mut second) = (issuer("issuer"), issuer("other"));
    let rules = match number % 4 {
        0 => json!([first]),
        1 => {
            first["audiences"] = json!(["gateway", "x"]);
            json!([first, second])
        }
        2 => {
            first["forwardOriginalToken"] = json!(true);
            second["forwardOriginalToken"] = json!(true);
            json!([second, first])
        }
        _ => json!([first, second]),
    };
    json!({"kind": "RequestAuthentication", "name": "r", "spec": {"jwtRules": rules}})
}
