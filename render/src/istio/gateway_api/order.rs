//! Order: which form each path is written in, so that Istio tries routes as the document does.
//!
//! The bundle judges a request by the route that the document's matcher finds. Where it is sent
//! is Istio's choice, and under the Gateway API Istio does not keep the order of rules: it sorts
//! them, per host, by form (exact, then prefix, then regular expression), then by the length of
//! the text, then by whether they name a method. So `/a/{id}`, a regular expression, would lose to
//! `/a/{rest=**}`, a prefix, and a request that was judged by the one route's rules would reach
//! the other one's service. Here the sort is made to agree: a path that would be tried too early
//! becomes a regular expression, and one that would be tried too late is made longer by a group
//! that matches nothing. What cannot be put in order is an error.
//!
//! What the sort is, and where it was read: `sortHTTPRoutes` in Istio's
//! `pilot/pkg/config/kube/gateway/conversion.go`, and `BuildHTTPRoutesForVirtualService` in
//! `pilot/pkg/networking/core/route/route.go`, which drops what follows a rule for everything.

use postern_document::{PathTemplate, Route, Segment};

use crate::path_tree::PathTree;
use crate::routing::{PathMatch, path_match, regex};

/// The longest text that the Gateway API takes for a path.
pub(super) const MAX_BYTES: usize = 1024;

/// The shortest group that matches nothing: `(?:)`.
const SHORTEST_PADDING: usize = 4;

/// A path in the Gateway API's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathForm {
    /// This path and no other.
    Exact(String),
    /// This path and everything below it: whole segments, so that `/a` matches `/a` and `/a/b`, but
    /// not `/ab`. `/` matches everything.
    Prefix(String),
    /// RE2, over the whole path.
    Regex(String),
}

/// What stands in front in Istio's sort is greater. Only what is strictly greater is certain to
/// stand in front: what is equal is in the order in which somebody created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    form: u8,
    length: usize,
    names_method: bool,
}

/// A route of a host, in the form in which it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate<'d> {
    /// Where it stands among the host's routes.
    pub(super) index: usize,
    /// Its name.
    pub(super) name: &'d str,
    /// Its path.
    pub(super) path: &'d PathTemplate,
    /// Its path as it is written.
    pub(super) form: PathForm,
    /// The methods that are left for it; none means all.
    pub(super) methods: Vec<&'d str>,
}

/// Two routes that cannot be put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfOrder<'d> {
    /// The route that the document asks for.
    pub(super) route: &'d str,
    /// The one that Istio could choose.
    pub(super) other: &'d str,
}

impl PathForm {
    /// The text, as it is written.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Regex(text) => text,
        }
    }

    fn tightest(template: &PathTemplate) -> Self {
        let form = match path_match(template) {
            PathMatch::Exact(path) => Self::Exact(path),
            // Istio takes the last slash off, and counts what is left.
            PathMatch::Prefix(prefix) => Self::Prefix(match prefix.strip_suffix('/') {
                Some("") | None => prefix,
                Some(whole_segments) => whole_segments.to_owned(),
            }),
            PathMatch::Regex(regex) => return Self::Regex(regex),
        };
        // Whether the Gateway API lets it stand as it is. Regular expressions may hold anything.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-/._~!$&'()*+,;=:@%".contains(c);
        if form.text().chars().all(is_plain) { form } else { Self::Regex(regex(template)) }
    }
}

impl Candidate<'_> {
    fn key(&self) -> Key {
        let form = match self.form {
            PathForm::Exact(_) => 3,
            PathForm::Prefix(_) => 2,
            PathForm::Regex(_) => 1,
        };
        Key { form, length: self.form.text().len(), names_method: !self.methods.is_empty() }
    }

    fn is_regex(&self) -> bool {
        matches!(self.form, PathForm::Regex(_))
    }

    fn shares_method(&self, other: &Self) -> bool {
        self.methods.is_empty()
            || other.methods.is_empty()
            || self.methods.iter().any(|method| other.methods.contains(method))
    }

    /// The path that a prefix takes beyond the document's: `/a`, where the template is
    /// `/a/{rest=**}`.
    fn too_much(&self) -> Option<&[Segment]> {
        let PathForm::Prefix(_) = self.form else { return None };
        let (_, head) = self.path.segments().split_last()?;
        (!head.is_empty()).then_some(head)
    }
}

/// The routes of a host, given in the order of the document's matcher, in forms that Istio sorts
/// into that order. Routes that no request can reach are left out.
///
/// # Errors
/// Two routes for which there are no such forms.
pub(super) fn forms<'d>(
    routes: impl IntoIterator<Item = &'d Route>,
) -> Result<Vec<Candidate<'d>>, OutOfOrder<'d>> {
    let mut candidates = reachable(routes);
    let paths = PathTree::of(candidates.iter().map(|candidate| candidate.path));
    while lower(&mut candidates, &paths) {}
    pad(&mut candidates, &paths);
    // The finished rules once more, with nothing in mind but the sort.
    for (at, candidate) in candidates.iter().enumerate() {
        if let Some(robbed) = taken_from(&candidates, &paths, at) {
            return Err(OutOfOrder { route: robbed.name, other: candidate.name });
        }
    }
    Ok(candidates)
}

/// A route of a wider host may be hidden on this one, wholly or for some methods. Rules that never
/// match could still tie with those that do.
fn reachable<'d>(routes: impl IntoIterator<Item = &'d Route>) -> Vec<Candidate<'d>> {
    let mut candidates: Vec<Candidate<'d>> = Vec::new();
    let mut seen: Vec<&'d Route> = Vec::new();
    let mut paths = PathTree::default();
    for (index, route) in routes.into_iter().enumerate() {
        let hiding = paths.covering(route.path.segments()).into_iter();
        let mut methods: Vec<&str> = route.methods.iter().map(String::as_str).collect();
        let mut is_hidden = false;
        for earlier in hiding.filter_map(|at| seen.get(at)) {
            methods.retain(|method| !earlier.methods.iter().any(|taken| taken == method));
            let nothing_left = methods.is_empty() && !route.methods.is_empty();
            is_hidden |= earlier.methods.is_empty() || nothing_left;
        }
        seen.push(route);
        paths.insert(&route.path, index);
        if !is_hidden {
            let (name, path) = (route.name.as_str(), &route.path);
            let form = PathForm::tightest(path);
            candidates.push(Candidate { index, name, path, form, methods });
        }
    }
    candidates
}

/// Makes regular expressions of what would be tried too early. Says whether there was any: what
/// has been lowered may now stand behind others that it stood before.
fn lower(candidates: &mut [Candidate<'_>], paths: &PathTree<'_>) -> bool {
    let mut lowered = false;
    for at in 0..candidates.len() {
        if candidates.get(at).is_none_or(Candidate::is_regex) {
            continue;
        }
        let too_early = taken_from(candidates, paths, at).is_some();
        if let (true, Some(candidate)) = (too_early, candidates.get_mut(at)) {
            candidate.form = PathForm::Regex(regex(candidate.path));
            lowered = true;
        }
    }
    lowered
}

/// A route that this one could take requests from, as both are written now.
fn taken_from<'c, 'd>(
    candidates: &'c [Candidate<'d>],
    paths: &PathTree<'_>,
    at: usize,
) -> Option<&'c Candidate<'d>> {
    let candidate = candidates.get(at)?;
    let key = candidate.key();
    let mut robbed = paths.meeting(candidate.path.segments());
    robbed.retain(|other| *other < at);
    if let Some(path) = candidate.too_much() {
        robbed.extend(paths.meeting(path).into_iter().filter(|other| *other != at));
        robbed.sort_unstable();
    }
    let mut robbed = robbed.into_iter().filter_map(|other| candidates.get(other));
    robbed.find(|other| other.key() <= key && other.shares_method(candidate))
}

/// Makes regular expressions longer than all of those that they have to stand before.
fn pad(candidates: &mut [Candidate<'_>], paths: &PathTree<'_>) {
    for at in (0..candidates.len()).rev() {
        let Some(candidate) = candidates.get(at).filter(|candidate| candidate.is_regex()) else {
            continue;
        };
        let key = candidate.key();
        let later =
            paths.meeting(candidate.path.segments()).into_iter().filter(|other| *other > at);
        let behind = later.filter_map(|other| candidates.get(other)).filter(|other| {
            other.is_regex() && other.key() >= key && other.shares_method(candidate)
        });
        let wanted = behind.map(|other| {
            let other = other.key();
            // Of two that are equally long, the one that names a method is the first.
            let is_first = key.names_method && !other.names_method;
            if is_first { other.length } else { other.length + 1 }
        });
        let wanted = wanted.max();
        let form = candidates.get_mut(at).map(|candidate| &mut candidate.form);
        if let (Some(wanted), Some(PathForm::Regex(regex))) = (wanted, form) {
            lengthen(regex, wanted);
        }
    }
}

/// `(?:|||)` matches nothing, whichever of its branches is taken, and is as long as need be.
fn lengthen(regex: &mut String, wanted: usize) {
    let missing = wanted.saturating_sub(regex.len());
    let branches = missing.saturating_sub(SHORTEST_PADDING);
    if missing > 0 && regex.len() + SHORTEST_PADDING + branches <= MAX_BYTES {
        regex.push_str("(?:");
        regex.extend(core::iter::repeat_n('|', branches));
        regex.push(')');
    }
}

#[cfg(test)]
mod tests;
