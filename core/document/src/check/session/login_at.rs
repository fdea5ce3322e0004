//! Where a route sends browsers that have no session.

use postern_request::principal::Credential;

use super::super::routes::{Context, report_dangling};
use crate::model::LoginAt;
use crate::problem::Problems;
use crate::raw::{RawAuthRules, RawLoginAt};

pub(in crate::check) fn check(
    context: &Context<'_>,
    raw: &RawAuthRules,
    any: &[Credential],
    path: &str,
    problems: &mut Problems,
) -> Option<LoginAt> {
    let at = match raw.login.get()? {
        RawLoginAt::Pages(false) => return None,
        RawLoginAt::Pages(true) => LoginAt::Pages,
        RawLoginAt::Outside(name) => {
            let login = context.raw.login.get();
            let known = login.map(|login| login.outside.as_slice()).unwrap_or_default();
            let known: Vec<&str> = known.iter().map(|one| one.name.as_str()).collect();
            if !known.contains(&name.as_str()) && !problems.any_below("login") {
                let path = format!("{path}.login");
                report_dangling("outside provider", name, &known, &path, problems);
            }
            LoginAt::Outside(name.value.clone())
        }
    };
    let message = if raw.optional == Some(true) {
        "who has no session passes as nobody, and would never be sent to log in: drop `optional` \
         or `login`"
    } else if !any.contains(&Credential::Session) && !problems.any_below("routes[") {
        "a browser comes back from log-in with a session: add `session` to `any`"
    } else {
        return Some(at);
    };
    problems.report_as(raw.at, &format!("{path}.login"), message);
    Some(at)
}
