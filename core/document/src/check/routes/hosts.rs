//! How long the lists of routes get that Envoys are configured with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Context;
use crate::host::HostPattern;
use crate::model::Route;
use crate::problem::Problems;

/// Each host has a list of its own: its routes, then those of all wider hosts. An Envoy keeps about
/// 2 KiB for each of their entries.
const MAX_LISTED: usize = 50_000;

pub(super) fn check(context: &Context<'_>, routes: &[Arc<Route>], problems: &mut Problems) {
    let listed = listed(routes);
    if listed > MAX_LISTED {
        let message = format!(
            "each host lists its own routes and those of all wider hosts, which are {listed} \
             entries in all, and an Envoy would keep them all: at most {MAX_LISTED}; name fewer \
             hosts, or for routes without `hosts` those that they are for"
        );
        problems.report_as(context.raw.at, "routes", message);
    }
}

/// How many entries [`Matcher::virtual_hosts`](crate::Matcher::virtual_hosts) would have, without
/// making them.
fn listed(routes: &[Arc<Route>]) -> usize {
    let any = [HostPattern::Any];
    let mut own: BTreeMap<&HostPattern, usize> = BTreeMap::new();
    for route in routes {
        for host in if route.hosts.is_empty() { any.as_slice() } else { route.hosts.as_slice() } {
            *own.entry(host).or_default() += 1;
        }
    }
    let of_host = |host: &HostPattern| -> usize {
        let wider = wider(host);
        let all = core::iter::once(host).chain(&wider);
        all.filter_map(|host| own.get(host)).sum()
    };
    own.keys().copied().map(of_host).fold(0, usize::saturating_add)
}

/// All that cover a host, but for itself.
fn wider(host: &HostPattern) -> Vec<HostPattern> {
    let name = match host {
        HostPattern::Any => return Vec::new(),
        HostPattern::Exact(name) => name.as_str(),
        HostPattern::Suffix(suffix) => suffix.trim_start_matches('.'),
    };
    let suffixes = name.match_indices('.').filter_map(|(at, _)| name.get(at..));
    let suffixes = suffixes.map(|suffix| HostPattern::Suffix(suffix.to_owned()));
    suffixes.chain([HostPattern::Any]).collect()
}

#[cfg(test)]
mod tests {
    use crate::from_json;

    /// A document of routes, each with its hosts.
    fn document(routes: &[String]) -> Result<crate::Document, Vec<crate::Problem>> {
        let routes = routes.iter().enumerate().map(|(at, hosts)| {
            format!(
                r#"{{"name": "r{at}", "match": {{"path": "/r{at}", "hosts": [{hosts}]}},
                    "service": "postern", "auth": "none"}}"#
            )
        });
        let routes: Vec<String> = routes.collect();
        let text = format!(r#"{{"version": 1, "routes": [{}]}}"#, routes.join(", "));
        from_json(text.as_bytes())
    }

    #[test]
    fn what_is_counted_is_what_is_listed() {
        let hosts = [
            "",
            r#""a.b.test""#,
            r#""*.b.test", "b.test""#,
            r#""*.test""#,
            r#""x.a.b.test", "*.a.b.test""#,
            r#""*""#,
        ];
        for upto in 1..=hosts.len() {
            let routes: Vec<String> =
                hosts.iter().take(upto).map(|hosts| (*hosts).to_owned()).collect();
            let document = document(&routes).unwrap();
            let virtual_hosts = document.matcher.virtual_hosts();
            let expected: usize = virtual_hosts.iter().map(|host| host.routes.len()).sum();
            assert_eq!(super::listed(&document.routes), expected, "{routes:?}");
        }
    }

    #[test]
    fn hosts_times_routes_have_a_bound() {
        let hosts = |count: usize| -> String {
            let hosts: Vec<String> = (0..count).map(|at| format!(r#""h{at}.test""#)).collect();
            hosts.join(", ")
        };
        // Each of 250 hosts lists a route of its own, and those that are for all.
        let mut routes = vec![String::new(); 198];
        routes.push(hosts(250));
        assert!(document(&routes).is_ok());
        routes.push(String::new());
        routes.push(String::new());
        let found = document(&routes).unwrap_err();
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.path == "routes" && only.message.contains("50450 entries"), "{only}");
    }
}
