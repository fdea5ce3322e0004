//! The limits that a route names: whether they are there, and whether its requests have what
//! they count by.

use std::sync::Arc;

use postern_limits::key::KeyPart;
use postern_request::principal::Credential;

use super::super::limits::{check_room, check_slices, check_weight};
use super::{Context, report_dangling};
use crate::model::{Allowance, AppliedLimit, Auth, Limit};
use crate::problem::{Position, Problems, told};
use crate::raw::{Positive, RawRoute};
use crate::template::PathTemplate;

/// What the limits of a route may count by.
struct Requests<'a> {
    template: Option<&'a PathTemplate>,
    auth: &'a Auth,
}

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawRoute,
    template: Option<&PathTemplate>,
    auth: &Auth,
    path: &str,
    problems: &mut Problems,
) -> Vec<AppliedLimit> {
    let path = told!("{path}.limits");
    let requests = Requests { template, auth };
    let mut applied: Vec<AppliedLimit> = Vec::with_capacity(raw.limits.len());
    for wanted in &raw.limits {
        let name = &wanted.name;
        let Some(limit) = context.limits.iter().find(|limit| limit.name == name.value) else {
            if !context.raw.limits.has(name) {
                report_dangling("limit", name, &context.raw.limits.names(), &path, problems);
            }
            continue;
        };
        if applied.iter().any(|known| known.limit.name == limit.name) {
            problems.report_as(name.at, &path, "this limit is there twice");
            continue;
        }
        requests.check(limit, name.at, &path, problems);
        let weight = wanted.weight.as_ref();
        let weight = weight.and_then(|weight| check_own_weight(limit, weight, &path, problems));
        let weight = weight.unwrap_or(limit.weight);
        applied.push(AppliedLimit { limit: Arc::clone(limit), weight });
    }
    applied
}

impl Requests<'_> {
    /// What is missing would have one value for all, and they would share one count.
    fn check(&self, limit: &Limit, at: Position, path: &str, problems: &mut Problems) {
        let knows_callers = *self.auth != Auth::None;
        // An `auth` without credentials could not be read, and that was said.
        let takes = |credential| match self.auth {
            Auth::None => false,
            Auth::Rules { any, .. } => any.is_empty() || any.contains(&credential),
        };
        let differs = !limit.tiers.is_empty() || !limit.clients.is_empty();
        if differs && !knows_callers {
            let message = told!(
                "what `{}` allows depends on the caller, but this route knows none (auth: none)",
                limit.name
            );
            problems.report_as(at, path, message);
        }
        for part in &limit.key {
            let what = match part {
                KeyPart::PathParam(param)
                    if self.template.is_some_and(|template| !template.has_param(param)) =>
                {
                    told!("path.{param}, which this route's path has not")
                }
                part if part.needs_principal() && !knows_callers => {
                    "caller, but this route knows none (auth: none)".to_owned()
                }
                KeyPart::ApiKey if !takes(Credential::ApiKey) => {
                    "API key, but this route takes none: put `api_key` into `any`".to_owned()
                }
                KeyPart::Claim(name) if !takes(Credential::Jwt) => {
                    told!("claim.{name}, but this route takes no tokens: put `jwt` into `any`")
                }
                _ => continue,
            };
            problems.report_as(at, path, told!("`{}` counts by {what}", limit.name));
        }
    }
}

/// The weight that the route gives; none where it cannot be.
fn check_own_weight(
    limit: &Limit,
    raw: &Positive,
    path: &str,
    problems: &mut Problems,
) -> Option<u64> {
    let named = limit.tiers.iter().chain(&limit.clients).map(|(_, allowance)| allowance);
    let mut all = std::iter::once(&limit.allowance).chain(named);
    if all.any(|allowance| matches!(allowance, Allowance::InFlight(_))) {
        let message = told!("`{}` is by `in_flight`: each request counts one", limit.name);
        problems.report_as(raw.at, path, message);
        return None;
    }
    let weight = check_weight(raw, path, problems)?;
    check_room(limit, weight, raw.at, path, problems);
    check_slices(limit, weight, raw.at, path, problems);
    Some(weight)
}
