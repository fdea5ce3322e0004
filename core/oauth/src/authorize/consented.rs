//! What a user has agreed to: each scope at each place, and nothing that nobody has asked about.

use super::decide::Consented;
use crate::ScopeSet;

impl Consented {
    /// Whether it is about all places where these resources lead.
    pub(super) fn is_for(&self, resources: &[String], issuer: &str) -> bool {
        let agreed = places(&self.resources, issuer);
        places(resources, issuer).iter().all(|place| agreed.contains(place))
    }

    /// What holds once this was agreed to, of scopes that were `shown`, and `before` it something
    /// else. To be within it is to have been agreed to: a scope that was agreed to for one place,
    /// and another one for another place, do not lend each other their places. Where both cannot
    /// be told apart, what was said last stays, and the user is asked again for the rest.
    #[must_use]
    pub fn after(self, before: Option<Self>, shown: &ScopeSet, issuer: &str) -> Self {
        let Some(before) = before else { return self };
        if before.scopes.is_within(&self.scopes) && self.scopes.is_within(&before.scopes) {
            let mut resources: Vec<String> = [&before.resources, &self.resources]
                .into_iter()
                .flat_map(|some| places(some, issuer))
                .map(str::to_owned)
                .collect();
            resources.sort_unstable();
            resources.dedup();
            return Self { resources, ..self };
        }
        if !before.is_for(&self.resources, issuer) {
            return self;
        }
        // What was not given this time goes.
        let left = before.scopes.filtered(|name| !shown.contains(name));
        let names = left.names().iter().chain(self.scopes.names()).map(String::as_str);
        // More than anybody may have: what was said last stays.
        let Ok(scopes) = ScopeSet::from_names(names) else { return self };
        let resources = match scopes.is_within(&before.scopes) {
            true => before.resources,
            false => self.resources,
        };
        Self { scopes, resources }
    }
}

/// Where tokens for these resources can be used. One for none of them is for the issuer.
fn places<'a>(resources: &'a [String], issuer: &'a str) -> Vec<&'a str> {
    match resources {
        [] => vec![issuer],
        named => named.iter().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{API, ISSUER, OTHER_API, scopes};

    fn agreed(names: &str, resources: &[&str]) -> Consented {
        let resources = resources.iter().map(|one| (*one).to_owned()).collect();
        Consented { scopes: scopes(names), resources }
    }

    fn is_within(consented: &Consented, names: &str, resources: &[&str]) -> bool {
        let asked = agreed(names, resources);
        asked.scopes.is_within(&consented.scopes) && consented.is_for(&asked.resources, ISSUER)
    }

    #[test]
    fn whoever_names_no_place_means_the_issuer() {
        let table: [(&[&str], &[&str], bool); 8] = [
            (&[], &[], true),
            (&[], &[ISSUER], true),
            (&[ISSUER], &[], true),
            (&[API], &[], false),
            (&[], &[API], false),
            (&[API, ISSUER], &[], true),
            (&[API, OTHER_API], &[API], true),
            (&[API], &[API, OTHER_API], false),
        ];
        for (resources, asked, expected) in table {
            let found = is_within(&agreed("read", resources), "read", asked);
            assert_eq!(found, expected, "{resources:?} {asked:?}");
        }
    }

    #[test]
    fn scopes_do_not_lend_each_other_their_places() {
        let read_here = agreed("read", &[API]);
        let write_there = agreed("write", &[OTHER_API]);
        let kept = write_there.clone().after(Some(read_here.clone()), &scopes("write"), ISSUER);
        assert_eq!(kept, write_there);

        let write_here = agreed("write", &[API]);
        let both = write_here.after(Some(read_here.clone()), &scopes("write"), ISSUER);
        assert_eq!(both, agreed("read write", &[API]));

        let at_both = agreed("read", &[API, OTHER_API]);
        let more_here = agreed("write", &[API]).after(Some(at_both), &scopes("write"), ISSUER);
        assert!(is_within(&more_here, "read write", &[API]));
        assert!(!is_within(&more_here, "write", &[OTHER_API]));

        let also_there = agreed("read", &[OTHER_API]);
        let kept = also_there.after(Some(read_here), &scopes("read"), ISSUER);
        assert!(is_within(&kept, "read", &[API, OTHER_API]) && !is_within(&kept, "read", &[]));
    }

    #[test]
    fn what_is_not_given_again_is_taken_back() {
        let before = agreed("openid read write", &[]);
        let now = agreed("openid", &[]).after(Some(before.clone()), &scopes("openid read"), ISSUER);
        assert!(is_within(&now, "openid write", &[]) && !is_within(&now, "read", &[]));
        let same = before.clone().after(None, &scopes("read"), ISSUER);
        assert_eq!(same, before);
    }
}
