//! RequestAuthentication.

use postern_document::yaml::{Node, Problems};
use postern_request::json;

use super::Reader;
use super::fields::Fields;
use super::meta::{Meta, Opened};
use super::selection::Selection;

/// Bounds of the CRD, and for lists that it leaves open.
const MAX_RULES: usize = 4096;
const MAX_CLAIMS: usize = 64;
const MAX_ITEMS: usize = 4096;

/// Whose tokens the workloads that it selects know. It asks nobody for a token: that is for an
/// AuthorizationPolicy to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAuthentication {
    /// Whose it is.
    pub meta: Meta,
    /// Which workloads it is for.
    pub selection: Selection,
    /// Issuers, each with what holds for its tokens.
    pub rules: Vec<JwtRule>,
}

/// One issuer's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JwtRule {
    /// The claim `iss`; empty takes every issuer whose tokens the keys have signed.
    pub issuer: String,
    /// The claim `aud` must name one of these, where there are any.
    pub audiences: Vec<String>,
    /// Where the keys are.
    pub jwks_uri: Option<String>,
    /// The keys themselves.
    pub jwks: Option<String>,
    /// Headers that tokens are looked for in.
    pub from_headers: Vec<TokenHeader>,
    /// Query parameters.
    pub from_params: Vec<String>,
    /// Cookies.
    pub from_cookies: Vec<String>,
    /// The header that gets a verified token's claims.
    pub payload_header: Option<String>,
    /// The token is left where it was.
    pub forward: bool,
    /// Headers that get one claim each.
    pub claim_headers: Vec<ClaimHeader>,
    /// How long fetching the keys may take, as it is written.
    pub timeout: Option<String>,
    /// Claims besides `scope` and `permission` that are lists with spaces in between.
    pub space_delimited: Vec<String>,
}

/// A header that tokens are looked for in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHeader {
    /// The header's name.
    pub name: String,
    /// What stands in front of the token, such as `Bearer `.
    pub prefix: String,
}

/// A header that gets a claim of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The header's name.
    pub header: String,
    /// The claim, with dots where it is nested.
    pub claim: String,
}

const RULE: [&str; 13] = [
    "issuer",
    "audiences",
    "jwksUri",
    "jwks_uri",
    "jwks",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "forwardOriginalToken",
    "outputClaimToHeaders",
    "timeout",
    "spaceDelimitedClaims",
];

pub(super) fn read(opened: Opened<'_>, reader: &mut Reader<'_>) -> Option<RequestAuthentication> {
    let Opened { meta, spec, .. } = opened;
    let Some(spec) = spec else {
        let selection = Selection::default();
        return Some(RequestAuthentication { meta, selection, rules: Vec::new() });
    };
    reader.problems.within("spec", |problems| {
        let known = ["selector", "targetRef", "targetRefs", "jwtRules"];
        let fields = Fields::open(spec, &known, problems)?;
        let selection = Selection::read(&fields, problems);
        let items = fields.list("jwtRules", MAX_RULES, problems).unwrap_or_default();
        let rules = each("jwtRules", items, problems, rule);
        Some(RequestAuthentication { meta, selection, rules })
    })
}

/// Reads the items of a list.
fn each<T>(
    name: &str,
    items: &[Node],
    problems: &mut Problems,
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::with_capacity(items.len());
    problems.within(name, |problems| {
        for (index, item) in items.iter().enumerate() {
            all.extend(problems.at_index(index, |problems| read(item, problems)));
        }
    });
    all
}

fn rule(node: &Node, problems: &mut Problems) -> Option<JwtRule> {
    let fields = Fields::open(node, &RULE, problems)?;
    let sources = ["jwksUri", "jwks_uri", "jwks"];
    if sources.iter().filter(|name| fields.get(name).is_some()).count() > 1 {
        problems.report(node.at, "either `jwksUri` or `jwks`, not both");
    }
    let uri = fields.text("jwksUri", problems).or_else(|| fields.text("jwks_uri", problems));
    if fields.get("issuer").is_none() && uri.is_none() {
        problems.report(node.at, "`issuer` or `jwksUri` must be there");
    }
    if uri.as_ref().is_some_and(|uri| !uri.starts_with("https://") && !uri.starts_with("http://")) {
        problems.report(node.at, "`jwksUri` begins with `https://` or `http://`");
    }
    let jwks = fields.text("jwks", problems);
    let is_object =
        |text: &str| json::parse(text.as_bytes()).is_ok_and(|v| v.as_object().is_some());
    if jwks.as_deref().is_some_and(|text| !is_object(text)) {
        // Whatever stands there may be a secret.
        problems.report(fields.place("jwks"), "`jwks` is no JSON object");
    }
    let headers = fields.list("fromHeaders", MAX_ITEMS, problems).unwrap_or_default();
    let claims = fields.list("outputClaimToHeaders", MAX_ITEMS, problems).unwrap_or_default();
    Some(JwtRule {
        issuer: fields.text("issuer", problems).unwrap_or_default(),
        audiences: fields.names("audiences", MAX_ITEMS, problems),
        jwks_uri: uri,
        jwks,
        from_headers: each("fromHeaders", headers, problems, token_header),
        from_params: fields.names("fromParams", MAX_ITEMS, problems),
        from_cookies: fields.names("fromCookies", MAX_ITEMS, problems),
        payload_header: fields
            .optional_text("outputPayloadToHeader", problems)
            .filter(|name| !name.is_empty()),
        forward: fields.flag("forwardOriginalToken", problems),
        claim_headers: each("outputClaimToHeaders", claims, problems, claim_header),
        timeout: fields.text("timeout", problems),
        space_delimited: fields.names("spaceDelimitedClaims", MAX_CLAIMS, problems),
    })
}

fn token_header(node: &Node, problems: &mut Problems) -> Option<TokenHeader> {
    let fields = Fields::open(node, &["name", "prefix"], problems)?;
    let prefix = fields.optional_text("prefix", problems).unwrap_or_default();
    Some(TokenHeader { name: fields.required("name", problems)?, prefix })
}

fn claim_header(node: &Node, problems: &mut Problems) -> Option<ClaimHeader> {
    let fields = Fields::open(node, &["header", "claim"], problems)?;
    let (header, claim) = (fields.required("header", problems), fields.required("claim", problems));
    let (header, claim) = (header?, claim?);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !header.bytes().all(plain) {
        let message = "a header's name is letters, digits, `-` and `_`";
        problems.report(fields.place("header"), message);
    }
    Some(ClaimHeader { header, claim })
}
