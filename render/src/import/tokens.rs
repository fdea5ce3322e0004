//! Issuers of tokens: from RequestAuthentication to `credentials.jwt`.
//!
//! Istio knows issuers for each workload, the document for all. One that two workloads know by
//! different keys, or look for in different places, is taken as the first of them has it.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::from_json;
use postern_policies::{JwtRule, RequestAuthentication, Resources};
use serde_json::{Map, Value, json};

use super::report::{Origin, Report};

/// What stands where audiences must: no token names it.
pub(super) const NO_AUDIENCE: &str = "REPLACE";

/// All issuers that the document takes.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Where tokens stand; none as long as no issuer is known.
    places: Option<Value>,
    issuers: BTreeMap<String, Issuer>,
}

#[derive(Debug, Clone)]
struct Issuer {
    keys: Value,
    audiences: BTreeSet<String>,
    claim_headers: BTreeMap<String, String>,
}

/// Whose tokens one proxy trusts.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// Each with the audiences that it asks for; none asks for nothing.
    pub(super) issuers: BTreeMap<String, BTreeSet<String>>,
    /// Those whose tokens go no further.
    pub(super) stripped: BTreeSet<String>,
    /// Claims that are lists with spaces in between.
    pub(super) lists: BTreeSet<String>,
    /// Whether it looks at tokens at all.
    pub(super) is_asked: bool,
}

impl Known {
    pub(super) fn read(resources: &Resources, report: &mut Report) -> Self {
        let mut known = Self::default();
        for resource in resources.request() {
            for (index, rule) in resource.rules.iter().enumerate() {
                known.add(rule, &origin(resource, index), report);
            }
        }
        known
    }

    pub(super) fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// The audiences that tokens of an issuer must be for, whatever the route.
    pub(super) fn audiences(&self, issuer: &str) -> Option<&BTreeSet<String>> {
        self.issuers.get(issuer).map(|issuer| &issuer.audiences)
    }

    /// All issuers by their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.issuers.keys()
    }

    fn add(&mut self, rule: &JwtRule, origin: &Origin, report: &mut Report) {
        if rule.issuer.is_empty() {
            let why = "it takes every issuer whose tokens the keys have signed";
            report.left_out(origin, why, "name the issuer");
            return;
        }
        let places = match places(rule) {
            Ok(places) => places,
            Err(why) => return report.left_out(origin, why, "look at `credentials.jwt.from`"),
        };
        if self.places.as_ref().is_some_and(|known| *known != places) {
            let why = "it looks for tokens elsewhere than the first one, and the document looks \
                       in the same places for all";
            return report.left_out(origin, why, "have all issuers use the same places");
        }
        let keys = keys(rule);
        let mut issuer = match self.issuers.get(&rule.issuer) {
            Some(known) if known.keys != keys => {
                let why =
                    "another one has other keys for this issuer, and the document has one set";
                return report.left_out(origin, why, "give the issuer one set of keys");
            }
            Some(known) => known.clone(),
            None => {
                let (audiences, claim_headers) = (BTreeSet::new(), BTreeMap::new());
                Issuer { keys, audiences, claim_headers }
            }
        };
        issuer.audiences.extend(rule.audiences.iter().cloned());
        if let Some(problem) = refused(&rule.issuer, &issuer, &places) {
            return report.left_out(origin, problem, "write the issuer by hand");
        }
        add_claim_headers(&mut issuer, rule, &places, origin, report);
        self.places = Some(places);
        self.issuers.insert(rule.issuer.clone(), issuer);
        remark(rule, origin, report);
    }

    /// Whether a rule was taken over.
    fn takes(&self, rule: &JwtRule) -> bool {
        let issuer = self.issuers.get(&rule.issuer);
        issuer.is_some_and(|issuer| {
            issuer.keys == keys(rule)
                && places(rule).ok() == self.places
                && rule.audiences.iter().all(|audience| issuer.audiences.contains(audience))
        })
    }

    /// Whom a proxy trusts that these are for.
    pub(super) fn trusted_by(&self, resources: &[&RequestAuthentication]) -> Trust {
        let mut trust = Trust::default();
        trust.lists.insert("permission".to_owned());
        for rule in resources.iter().flat_map(|resource| &resource.rules) {
            trust.is_asked = true;
            trust.lists.extend(rule.space_delimited.iter().cloned());
            if !self.takes(rule) {
                continue;
            }
            // Of two rules for one issuer, a token has to meet one: the first.
            let audiences = || rule.audiences.iter().cloned().collect();
            trust.issuers.entry(rule.issuer.clone()).or_insert_with(audiences);
            if !rule.forward {
                trust.stripped.insert(rule.issuer.clone());
            }
        }
        trust
    }

    /// Headers that tokens stand in.
    pub(super) fn headers(&self) -> Vec<&str> {
        let places = self.places.as_ref().and_then(Value::as_array);
        let places = places.into_iter().flatten();
        places.filter_map(|place| place.get("header")?.as_str()).collect()
    }

    /// `credentials.jwt`
    pub(super) fn to_json(&self) -> Value {
        let issuers: Vec<Value> =
            self.issuers.iter().map(|(name, issuer)| issuer.to_json(name)).collect();
        let places = self.places.clone().unwrap_or_else(|| json!([]));
        json!({"from": places, "issuers": issuers})
    }
}

impl Issuer {
    fn to_json(&self, name: &str) -> Value {
        let mut written = Map::new();
        written.insert("issuer".to_owned(), json!(name));
        let audiences: Vec<&str> = self.audiences.iter().map(String::as_str).collect();
        let audiences = if audiences.is_empty() { vec![NO_AUDIENCE] } else { audiences };
        written.insert("audiences".to_owned(), json!(audiences));
        if !self.keys.is_null() {
            written.insert("jwks".to_owned(), self.keys.clone());
        }
        if !self.claim_headers.is_empty() {
            written.insert("claim_headers".to_owned(), json!(self.claim_headers));
        }
        Value::Object(written)
    }
}

fn origin(resource: &RequestAuthentication, index: usize) -> Origin {
    Origin {
        file: resource.meta.file.clone(),
        line: resource.meta.line,
        subject: format!("RequestAuthentication {}", resource.meta),
        field: format!("jwtRules[{index}]"),
    }
}

/// As the document writes them; null finds them from the issuer.
fn keys(rule: &JwtRule) -> Value {
    match (&rule.jwks, &rule.jwks_uri) {
        (Some(inline), _) => json!({"inline": inline}),
        (None, Some(uri)) => json!({"uri": uri}),
        (None, None) => Value::Null,
    }
}

/// Where a rule looks for tokens, as the document writes it.
fn places(rule: &JwtRule) -> Result<Value, &'static str> {
    let is_default =
        rule.from_headers.is_empty() && rule.from_params.is_empty() && rule.from_cookies.is_empty();
    if is_default {
        return Ok(json!([{"header": "authorization"}, {"query": "access_token"}]));
    }
    let mut places = Vec::new();
    for header in &rule.from_headers {
        let name = header.name.to_ascii_lowercase();
        let is_authorization = name == "authorization";
        if (header.prefix == "Bearer ") != is_authorization
            || (header.prefix.is_empty()) == is_authorization
        {
            return Err("the document has `Bearer ` in front of tokens in `authorization`, and \
                        nothing in other headers");
        }
        places.push(json!({"header": name}));
    }
    places.extend(rule.from_params.iter().map(|name| json!({"query": name})));
    places.extend(rule.from_cookies.iter().map(|name| json!({"cookie": name})));
    Ok(Value::Array(places))
}

/// Why the document would not have an issuer; asked of the document itself.
fn refused(name: &str, issuer: &Issuer, places: &Value) -> Option<String> {
    let route = json!({
        "name": "a", "match": {"path": "/"}, "service": "a", "auth": {"any": ["jwt"]},
    });
    let document = json!({
        "version": 1,
        "credentials": {"jwt": {"from": places, "issuers": [issuer.to_json(name)]}},
        "services": {"a": {"upstream": "a:80"}},
        "routes": [route],
    });
    let problems = from_json(document.to_string().as_bytes()).err()?;
    problems.into_iter().next().map(|problem| problem.message)
}

fn add_claim_headers(
    issuer: &mut Issuer,
    rule: &JwtRule,
    places: &Value,
    origin: &Origin,
    report: &mut Report,
) {
    for written in &rule.claim_headers {
        let of = origin.below("outputClaimToHeaders");
        let header = written.header.to_ascii_lowercase();
        let before = issuer.claim_headers.insert(header.clone(), written.claim.clone());
        let why = match &before {
            Some(other) if *other != written.claim => {
                format!("`{header}` gets the claim `{other}` elsewhere")
            }
            _ => match refused(&rule.issuer, issuer, places) {
                None => continue,
                Some(problem) => format!("`{header}`: {problem}"),
            },
        };
        match before {
            Some(other) => issuer.claim_headers.insert(header, other),
            None => issuer.claim_headers.remove(&header),
        };
        report.left_out(&of, why, "choose another header in `claim_headers`");
    }
}

/// What of a rule the document does otherwise.
fn remark(rule: &JwtRule, origin: &Origin, report: &mut Report) {
    if rule.audiences.is_empty() {
        let why = format!(
            "a document names the audiences of its tokens; `{NO_AUDIENCE}` stands there, which no \
             token should name"
        );
        report.fill_in(&origin.below("audiences"), why, "name them in `audiences` of the issuer");
    } else {
        let why =
            "the document compares audiences as they are, Envoy without scheme and last slash";
        report.note(&origin.below("audiences"), why, "name all spellings that tokens have");
    }
    let uses_query =
        rule.from_headers.is_empty() && rule.from_params.is_empty() && rule.from_cookies.is_empty();
    if uses_query {
        let why = "Istio takes tokens in `?access_token=`, too, and so does the document";
        let advice = "take `query: access_token` out of `from` if no client needs it";
        report.note(&origin.below("fromParams"), why, advice);
    }
    if rule.jwks.is_none() && rule.jwks_uri.is_none() {
        let why = "the server finds the keys from the issuer, and Envoys get them by the feed";
        report.note(&origin.below("jwksUri"), why, "name `jwks.uri` if Envoys should fetch them");
    }
    if rule.payload_header.is_some() {
        let why = "the document writes single claims into headers, not all of them";
        report.left_out(&origin.below("outputPayloadToHeader"), why, "name `claim_headers`");
    }
    if rule.forward && !(rule.from_params.is_empty() && rule.from_cookies.is_empty()) {
        let why = "the document takes tokens out of queries and cookies in any case";
        report.narrowed(&origin.below("forwardOriginalToken"), why, "have services read headers");
    }
    if rule.timeout.is_some() {
        let why = "the document has no time for fetching keys";
        report.left_out(&origin.below("timeout"), why, "nothing: the last good keys stay in use");
    }
    if !rule.space_delimited.is_empty() {
        let why = "of claims that are lists with spaces in between, the document knows `scope`";
        let field = origin.below("spaceDelimitedClaims");
        report.narrowed(&field, why, "have the issuer write lists");
    }
}
