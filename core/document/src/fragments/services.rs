//! Whose services are whose. A workload knows no owners: whoever gives it a route decides for all
//! that its pods serve who may call them, so an owner does that for its own workloads only.

use crate::check::read_upstream;
use crate::host;
use crate::problem::{Position, Problems};
use crate::raw::{RawDocument, RawFragment, RawGuard, RawOwner, RawRoute, RawService};

/// A service, and whose it is.
pub(super) struct Owned {
    pub(super) name: String,
    /// None for those of the main file.
    pub(super) owner: Option<String>,
    at: Position,
    workload: Option<String>,
    is_guarded: bool,
    places: Vec<(String, u16)>,
}

impl Owned {
    fn of(name: &str, at: Position, owner: Option<&str>, raw: &RawService) -> Self {
        Self {
            name: name.to_owned(),
            owner: owner.map(str::to_owned),
            at,
            workload: raw.workload.get().map(|workload| workload.value.clone()),
            is_guarded: raw.guard.get() == Some(&RawGuard::Workload),
            places: places(raw),
        }
    }

    /// Whether an owner may speak for the workload that runs it.
    fn is_open_to(&self, rights: &RawOwner) -> bool {
        self.workload.as_ref().is_some_and(|workload| lists(rights, workload))
    }
}

/// The services of all files.
pub(super) fn owned(document: &RawDocument, fragments: &[RawFragment]) -> Vec<Owned> {
    let of_main = document.services.0.iter();
    let of_main = of_main.map(|(name, at, raw)| Owned::of(name, *at, None, raw));
    let mut all: Vec<Owned> = of_main.collect();
    for fragment in fragments {
        let owner = Some(fragment.owner.as_str());
        let services = fragment.services.0.iter();
        all.extend(services.map(|(name, at, raw)| Owned::of(name, *at, owner, raw)));
    }
    all
}

/// Which service of an owner's fragment is checked.
pub(super) struct Mine<'a> {
    pub(super) owner: &'a str,
    pub(super) rights: &'a RawOwner,
    pub(super) name: &'a str,
}

/// Checks a service of an owner's fragment.
pub(super) fn check(mine: &Mine<'_>, raw: &RawService, all: &[Owned], problems: &mut Problems) {
    let Mine { owner, rights, name } = *mine;
    if let Some(workload) = raw.workload.get().filter(|workload| !lists(rights, workload)) {
        let message = format!(
            "`{owner}` may not speak for the workload `{}`; the main file says which it may, by \
             `owners.{owner}.workloads`",
            workload.value
        );
        problems.report_as(workload.at, &format!("services.{name}.workload"), message);
    }
    let places = places(raw);
    let is_others = |known: &&Owned| known.owner.as_deref() != Some(owner);
    let is_there = |known: &&Owned| known.places.iter().any(|place| places.contains(place));
    let mut others = all.iter().filter(is_others).filter(is_there);
    if let Some(other) = others.find(|known| !known.is_open_to(rights)) {
        let message = format!(
            "`{}` {} is asked at the same address, and `{owner}` may not speak for its workload: \
             go to that service, or ask for the workload in `owners.{owner}.workloads`",
            other.name,
            problems.at(other.at)
        );
        problems.report_as(raw.at, &format!("services.{name}"), message);
    }
}

/// Checks which service of the main file a fragment's route goes to.
pub(super) fn check_route(
    owner: &str,
    rights: &RawOwner,
    route: &RawRoute,
    all: &[Owned],
    problems: &mut Problems,
) {
    let mut of_main = all.iter().filter(|known| known.owner.is_none());
    let Some(service) = of_main.find(|known| known.name == route.service.value) else { return };
    if service.is_guarded && !service.is_open_to(rights) {
        let message = format!(
            "a workload guards `{}`, and `{owner}` may not say who calls it; the main file says \
             for which it may, by `owners.{owner}.workloads`",
            service.name
        );
        let path = format!("routes.{}.service", route.name.value);
        problems.report_as(route.service.at, &path, message);
    }
}

fn lists(rights: &RawOwner, workload: &str) -> bool {
    rights.workloads.iter().any(|known| known.as_str() == workload)
}

/// Everywhere that its requests may go.
fn places(raw: &RawService) -> Vec<(String, u16)> {
    let versions = raw.versions.get().into_iter().flat_map(|named| &named.0);
    let of_versions = versions.filter_map(|(.., version)| version.upstream.as_ref());
    let upstreams = raw.upstream.iter().chain(of_versions);
    let upstreams = upstreams.filter_map(|text| read_upstream(text));
    let endpoints = raw.endpoints.get().into_iter().flatten();
    let endpoints = endpoints.filter_map(|endpoint| {
        Some((endpoint.address.value.clone(), u16::try_from(endpoint.port.value).ok()?))
    });
    // Whoever is registered by a name is what stands at an address elsewhere.
    let found = raw.discover.get().map(|found| (format!("registry {}", found.registry.value), 0));
    let places = upstreams.chain(endpoints).map(|(host, port)| (host::place(&host), port));
    places.chain(found).collect()
}

#[cfg(test)]
mod tests {
    use crate::{Source, load};

    const MAIN: &str = "\
version: 1
owners:
  partner: {hosts: ['*.partner.test'], workloads: [OWNED]}
  other: {paths: [/other/]}
workloads:
  pay: {namespace: shop, labels: {app: pay}, service_account: pay, ports: [8080]}
  web: {namespace: shop, labels: {app: web}, service_account: web, ports: [8080]}
services:
  pay: {upstream: 'pay.shop.svc.cluster.local:8080', workload: pay, guard: workload}
  plain: {upstream: 'plain:80'}
routes:
  - {name: pay, match: {path: /pay}, service: pay, auth: none}
  - {name: plain, match: {path: /plain}, service: plain, auth: none}
";

    /// What is wrong where `partner` owns workloads, and has a service and a route to another one.
    fn problems(owned: &str, mine: &str, to: &str) -> Vec<String> {
        let fragment = format!(
            "owner: partner\nservices:\n  mine: {{{mine}}}\nroutes:\n  - {{name: mine, match: \
             {{hosts: [x.partner.test], path: '/{{rest=**}}'}}, service: {to}, auth: none}}\n"
        );
        let other = "owner: other\nservices:\n  theirs: {upstream: 'theirs:80'}\n";
        let source =
            |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        let sources = [
            source("main.yaml", &MAIN.replace("OWNED", owned)),
            source("partner.yaml", &fragment),
            source("other.yaml", other),
        ];
        let found = load(&sources, &|_| Err(String::new())).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_owner_speaks_for_its_own_workloads_alone() {
        let guarded = "upstream: 'pay.shop.svc:8080', workload: pay, guard: workload";
        assert_eq!(problems("pay", guarded, "mine"), [""; 0]);
        for (owned, mine, expected) in [
            ("", guarded, &["the workload `pay`", "`pay` at main.yaml:9 is asked"][..]),
            ("web", guarded, &["the workload `pay`", "`pay` at main.yaml:9 is asked"]),
            ("", "upstream: 'web:80', workload: web", &["the workload `web`"]),
        ] {
            let mut found = problems(owned, mine, "mine");
            found.sort();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for word in expected {
                assert!(found.iter().any(|problem| problem.contains(word)), "{word} {found:?}");
            }
            assert!(found.iter().all(|problem| problem.starts_with("partner.yaml:3:")));
        }
        assert_eq!(problems("web", "upstream: 'web:80', workload: web", "mine"), [""; 0]);
    }

    #[test]
    fn an_address_of_another_file_is_not_an_owners() {
        for taken in ["upstream: 'Plain:80'", "upstream: 'theirs:80'"] {
            let mut found = problems("", taken, "mine");
            // Both owners hear of what they share.
            found.retain(|problem| problem.starts_with("partner.yaml:3:"));
            let [only] = found.as_slice() else { panic!("{taken} {found:?}") };
            assert!(only.contains("at the same address"), "{only}");
        }
        assert_eq!(problems("", "upstream: 'plain:81'", "mine"), [""; 0]);
    }

    #[test]
    fn a_route_of_a_fragment_opens_no_workload_of_others() {
        let found = problems("", "upstream: 'mine:80'", "pay");
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.contains("a workload guards `pay`"), "{only}");
        assert_eq!(problems("pay", "upstream: 'mine:80'", "pay"), [""; 0]);
        assert_eq!(problems("", "upstream: 'mine:80'", "plain"), [""; 0]);
    }

    #[test]
    fn workloads_of_owners_are_there() {
        let found = problems("pya", "upstream: 'mine:80'", "mine");
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.contains("owners.partner.workloads") && only.contains("`pay`"), "{only}");
        let found = problems("web, web", "upstream: 'mine:80'", "mine");
        assert!(found.len() == 1 && found[0].contains("twice"), "{found:?}");
    }
}
