//! Routes against each other: each has a name of its own, and none hides another.

use std::sync::Arc;

use super::Checked;
use crate::host::HostPattern;
use crate::model::Route;
use crate::problem::{Problems, told};
use crate::raw::RawRoute;

/// What a route without hosts is for.
static ANY: [HostPattern; 1] = [HostPattern::Any];

/// Routes that were checked for themselves. To compare each with each would be most of what it
/// takes to check a long document, in every VM of a filter, too; so they are found by what two of
/// them must not have in common.
pub(super) struct Earlier {
    checked: Vec<Checked>,
    by_name: Sorted,
    by_shape: Sorted,
}

impl Earlier {
    pub(super) fn with_room_for(count: usize) -> Self {
        Self {
            checked: Vec::with_capacity(count),
            by_name: Sorted::by(|checked| checked.route.name.as_str()),
            by_shape: Sorted::by(|checked| checked.shape.as_str()),
        }
    }

    /// Compares a route with those before it, and takes it over. `path` is where it stands.
    pub(super) fn add(
        &mut self,
        path: &str,
        raw: &RawRoute,
        checked: Checked,
        problems: &mut Problems,
    ) {
        for other in self.by_name.like(&self.checked, &checked) {
            let name = &other.route.name;
            let message = told!("there is a route `{name}` already, {}", problems.at(other.at));
            problems.report_as(raw.name.at, &told!("{path}.name"), message);
        }
        for other in self.by_shape.like(&self.checked, &checked) {
            if !hides(other, &checked) {
                continue;
            }
            let message = told!(
                "hidden by route `{}` {}: same path, host and method",
                other.route.name,
                problems.at(other.at)
            );
            problems.report_as(raw.matches.at, &told!("{path}.match"), message);
        }
        self.checked.push(checked);
        self.by_name.take_last(&self.checked);
        self.by_shape.take_last(&self.checked);
    }

    pub(super) fn into_routes(self) -> Vec<Arc<Route>> {
        self.checked.into_iter().map(|checked| checked.route).collect()
    }
}

/// Where routes stand, in the order of one of their texts; those with one text in their own order.
struct Sorted {
    text: fn(&Checked) -> &str,
    places: Vec<usize>,
}

impl Sorted {
    const fn by(text: fn(&Checked) -> &str) -> Self {
        Self { text, places: Vec::new() }
    }

    fn text_at<'c>(&self, checked: &'c [Checked], place: usize) -> &'c str {
        checked.get(place).map_or("", self.text)
    }

    /// Those with the same text as this one.
    fn like<'c>(
        &'c self,
        checked: &'c [Checked],
        one: &'c Checked,
    ) -> impl Iterator<Item = &'c Checked> {
        let text = (self.text)(one);
        let first = self.places.partition_point(|place| self.text_at(checked, *place) < text);
        let from_there = self.places.iter().skip(first);
        from_there
            .filter_map(move |place| checked.get(*place))
            .take_while(move |known| (self.text)(known) == text)
    }

    /// Takes the last one over.
    fn take_last(&mut self, checked: &[Checked]) {
        let Some(last) = checked.len().checked_sub(1) else { return };
        let text = self.text_at(checked, last);
        // Behind those with the same text: they came before.
        let at = self.places.partition_point(|place| self.text_at(checked, *place) <= text);
        self.places.insert(at, last);
    }
}

/// Whether a route takes requests from another one of its shape. Of others it cannot: the most
/// specific route wins.
fn hides(earlier: &Checked, later: &Checked) -> bool {
    let (a, b) = (&*earlier.route, &*later.route);
    let same_host = || hosts(a).iter().any(|host| hosts(b).contains(host));
    let same_method = match (a.methods.is_empty(), b.methods.is_empty()) {
        (true, true) => true,
        (false, false) => a.methods.iter().any(|method| b.methods.contains(method)),
        // Listed methods go before all methods, so neither hides the other.
        _ => false,
    };
    earlier.is_clear && later.is_clear && same_method && same_host()
}

fn hosts(route: &Route) -> &[HostPattern] {
    if route.hosts.is_empty() { &ANY } else { &route.hosts }
}
