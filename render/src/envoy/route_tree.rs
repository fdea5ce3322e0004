//! Many routes in a form that Envoy finds its way through without trying one after another.
//!
//! A list of routes is tried in order, for every request once, and once more when a filter has
//! written a request header: with a hundred routes that is a tenth of what Envoy does for a
//! request. A matcher tree goes by the first segment of the path and leaves only the few routes
//! behind it to be tried, in the same order and with the same matches.

use std::collections::BTreeMap;

use postern_document::{Route, Segment};
use serde_json::{Map, Value, json};

use super::typed;

/// Fewer routes than this are easier to read as a list, and cost little.
const FEWEST_ROUTES: usize = 16;

/// Routes that may begin with any segment stand behind every first segment; no tree when that
/// would write each route out more often than this.
const MOST_COPIES: usize = 4;

/// What a virtual host has for routes: a list, or a tree. `routes` go with their rendering, in
/// order; `last` is tried when none of them matches.
pub(crate) fn members(routes: &[(&Route, Value)], last: &Value) -> Map<String, Value> {
    let list = || routes.iter().map(|(_, rendered)| rendered).chain([last]).collect::<Vec<_>>();
    let (name, value) = match Groups::of(routes) {
        Some(groups) => ("matcher", groups.matcher(routes, last)),
        None => ("routes", json!(list())),
    };
    Map::from_iter([(name.to_owned(), value)])
}

/// Routes, by their places, as the first segment of a path parts them.
struct Groups {
    /// Behind every first segment: its own routes and those of any segment, in order.
    by_segment: BTreeMap<String, Vec<usize>>,
    /// Routes that may begin with any segment.
    any: Vec<usize>,
}

impl Groups {
    /// None where a tree is of no use.
    fn of(routes: &[(&Route, Value)]) -> Option<Self> {
        if routes.len() < FEWEST_ROUTES {
            return None;
        }
        let first = |route: &Route| match route.path.segments().first() {
            Some(Segment::Literal(text)) => Some(format!("/{text}")),
            _ => None,
        };
        let keys = routes.iter().filter_map(|(route, _)| first(route));
        let mut groups =
            Self { by_segment: keys.map(|key| (key, Vec::new())).collect(), any: Vec::new() };
        for (place, (route, _)) in routes.iter().enumerate() {
            if let Some(key) = first(route) {
                groups.by_segment.entry(key).or_default().push(place);
            } else {
                groups.any.push(place);
                groups.by_segment.values_mut().for_each(|group| group.push(place));
            }
        }
        let written: usize = groups.by_segment.values().map(Vec::len).sum();
        (written <= routes.len() * MOST_COPIES).then_some(groups)
    }

    /// The longest first segment that a path begins with decides. A route of a shorter one
    /// cannot be meant: all routes name whole segments.
    fn matcher(&self, routes: &[(&Route, Value)], last: &Value) -> Value {
        let behind = |places: &[usize]| {
            let routes = places.iter().filter_map(|place| routes.get(*place));
            route_list(&routes.map(|(_, rendered)| rendered).chain([last]).collect::<Vec<_>>())
        };
        let by_segment = self.by_segment.iter();
        let map: Map<String, Value> =
            by_segment.map(|(key, places)| (key.clone(), behind(places))).collect();
        json!({
            "matcher_tree": {
                "input": {
                    "name": "path",
                    "typed_config": typed(
                        "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                        json!({"header_name": ":path"}),
                    ),
                },
                "prefix_match_map": {"map": map},
            },
            "on_no_match": behind(&self.any),
        })
    }
}

fn route_list(routes: &[&Value]) -> Value {
    json!({
        "action": {
            "name": "routes",
            "typed_config": typed("envoy.config.route.v3.RouteList", json!({"routes": routes})),
        },
    })
}
