//! What routes say to filters, and which headers they write themselves.

use postern_document::{HeaderRules, Route};
use serde_json::{Map, Value, json};

use super::overwrite;
use crate::envoy::names::{EXT_AUTHZ, EXT_PROC};
use crate::envoy::rendering::Rendering;
use crate::envoy::{traffic, typed};
use crate::rate_limit;

/// The server is asked only where a route needs it, and is enforced here: `ext_authz` is switched
/// off elsewhere, the other filters are switched on there. A filter that is not in the chain must
/// not be named here. None: for what no route is for.
pub(super) fn per_filter(rendering: &Rendering<'_>, route: Option<&Route>) -> Value {
    let mut filters = Map::new();
    let guarded = route.filter(|route| rendering.guards(route));
    if rendering.asked.ext_authz && !guarded.is_some_and(Route::needs_ext_authz) {
        let message = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";
        filters.insert(EXT_AUTHZ.to_owned(), typed(message, json!({"disabled": true})));
    }
    if guarded.is_some_and(Route::needs_ext_proc) {
        let message = "envoy.config.route.v3.FilterConfig";
        filters.insert(EXT_PROC.to_owned(), typed(message, json!({"config": {}})));
    }
    if let (Some(told), Some(_)) =
        (guarded.and_then(rate_limit::per_route), rendering.rate_limit_filter())
    {
        filters.insert(rate_limit::FILTER.to_owned(), told);
    }
    if let (Some(fault), true) = (route.and_then(|route| route.fault), rendering.asked.faults) {
        filters.insert(traffic::FAULT.to_owned(), traffic::fault(&fault));
    }
    Value::Object(filters)
}

/// Fixed values are Envoy's own business; what depends on the request is `ext_proc`'s. `own` are
/// headers that are written besides those of the rules, `lost` those that go besides them.
pub(super) fn add_header_rules(
    members: &mut Map<String, Value>,
    direction: &str,
    rules: &HeaderRules,
    own: &[Value],
    lost: &[&str],
) {
    let fixed = rules.set.iter().filter(|(_, value)| value.is_fixed()).map(|(name, value)| {
        // A percent sign begins one of Envoy's own placeholders.
        overwrite(name, &value.render(|_| None).replace('%', "%%"))
    });
    let set: Vec<Value> = own.iter().cloned().chain(fixed).collect();
    if !set.is_empty() {
        members.insert(format!("{direction}_headers_to_add"), json!(set));
    }
    let removed: Vec<&str> =
        rules.remove.iter().map(String::as_str).chain(lost.iter().copied()).collect();
    if !removed.is_empty() {
        members.insert(format!("{direction}_headers_to_remove"), json!(removed));
    }
}
