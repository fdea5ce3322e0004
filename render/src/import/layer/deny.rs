//! DENY and CUSTOM: what a rule keeps out, or more.
//!
//! "Keep out who is not …" is the same as "ask for …", which routes can say. "Keep out who is …"
//! they cannot: everybody is kept out then.

use postern_policies::{Action, Attribute, AuthorizationPolicy, Rule, Test};

use super::allow::{owned, texts};
use super::{Reading, origin};
use crate::import::ask::one_of;
use crate::import::cell::{Effect, Hosts, Region};
use crate::import::path::{Path, Within};
use crate::import::report::Origin;

const NOBODY: &str = "the document lets nobody in there";
const BY_HAND: &str = "write a route for those who may, if there are any";

impl Reading<'_, '_> {
    /// `is_perhaps` says that the policy may not be for this proxy at all.
    pub(super) fn deny(&mut self, policy: &AuthorizationPolicy, is_perhaps: bool) -> Vec<Region> {
        let whole = origin(policy);
        if is_perhaps {
            let why = "whether it is for these pods is not known: it counts for all of them";
            self.report.narrowed(&whole, why, "give the Deployments too");
        }
        if let Action::Custom { provider } = &policy.action {
            let why = format!(
                "what `{}` answers the document does not know, and so it lets nobody in there",
                provider.escape_debug()
            );
            self.report.left_out(&whole, why, "write routes by what it decides");
        }
        let mut regions = Vec::new();
        // Of a waypoint's policy nothing is known to hold here but that it may keep out.
        if !policy.selection.targets.is_empty() {
            let why = "it is for a waypoint or a gateway: it counts as if it kept everybody out";
            self.report.left_out(&whole, why, BY_HAND);
            return vec![region(whole)];
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            let origin = whole.part(rule.line, format!("rules[{index}]"));
            if self.is_for_other_ports(rule) {
                continue;
            }
            for effect in self.effects(policy, rule, &origin) {
                regions.extend(self.operations(rule, &origin, &effect));
            }
        }
        regions
    }

    /// Whether a rule cannot be about the port that requests come to. Every other test on ports is
    /// as good as none, which keeps out more.
    fn is_for_other_ports(&self, rule: &Rule) -> bool {
        // A port that nobody but a policy names is no reason to let somebody in.
        let Some(port) = self.proxy.port else { return false };
        let is_other = |test: &Test| {
            let is_it = |value: &&str| value.parse() == Ok(port);
            test.attribute == Attribute::Port
                && !test.values.is_empty()
                && !texts(&test.values).iter().any(is_it)
        };
        rule.when.iter().any(is_other)
            || (!rule.to.is_empty() && rule.to.iter().all(|to| to.iter().any(is_other)))
    }

    /// What a rule comes to; each counts.
    fn effects(
        &mut self,
        policy: &AuthorizationPolicy,
        rule: &Rule,
        origin: &Origin,
    ) -> Vec<Effect> {
        let is_about = |test: &&Test| test.attribute != Attribute::Port;
        let when: Vec<&Test> = rule.when.iter().filter(is_about).collect();
        let negated: Option<Vec<&Test>> = match (rule.from.is_empty(), when.as_slice()) {
            (true, []) => return vec![Effect::Close],
            (true, [test]) => Some(vec![*test]),
            // Who is none of several things must be something else for each of them.
            (false, []) => rule.from.iter().map(|tests| single(tests)).collect(),
            _ => None,
        };
        let negated = negated.filter(|tests| tests.iter().all(|test| test.values.is_empty()));
        let Some(tests) = negated else {
            let why = format!("it is for some callers, and {NOBODY}");
            self.report.narrowed(origin, why, BY_HAND);
            return vec![Effect::Close];
        };
        tests.iter().map(|test| self.asked(policy, test, origin)).collect()
    }

    fn asked(&mut self, policy: &AuthorizationPolicy, test: &Test, origin: &Origin) -> Effect {
        let asked = one_of(&self.asking(policy), &test.attribute, &texts(&test.not_values));
        let of = origin.below(&test.not_place());
        for (value, why) in &asked.lost {
            self.report.narrowed(&of, format!("`{value}`: {why}"), BY_HAND);
        }
        if asked.auths.is_empty() {
            let why = format!("nothing that routes ask for says that, and {NOBODY}");
            self.report.narrowed(&of, why, BY_HAND);
            return Effect::Close;
        }
        Effect::Ask(asked.auths)
    }

    fn operations(&mut self, rule: &Rule, origin: &Origin, effect: &Effect) -> Vec<Region> {
        let mut regions = Vec::new();
        for tests in &rule.to {
            let mut found = region(origin.clone());
            found.effect = effect.clone();
            for test in tests {
                self.operation(test, &mut found);
            }
            regions.push(found);
        }
        if rule.to.is_empty() {
            regions.push(Region { effect: effect.clone(), ..region(origin.clone()) });
        }
        regions
    }

    fn operation(&mut self, test: &Test, region: &mut Region) {
        let (of, of_not) =
            (region.origin.below(&test.place()), region.origin.below(&test.not_place()));
        match test.attribute {
            Attribute::Host => {
                if !test.not_values.is_empty() {
                    let why = "the hosts that it leaves out are kept out as well";
                    self.report.narrowed(&of_not, why, BY_HAND);
                }
                region.hosts = Hosts::Written(owned(&test.values));
            }
            Attribute::Method => {
                region.methods = owned(&test.values);
                region.not_methods = owned(&test.not_values);
            }
            Attribute::Path => {
                if !test.values.is_empty() {
                    region.paths = texts(&test.values).into_iter().map(Path::around).collect();
                }
                for value in texts(&test.values) {
                    if Path::within(value).paths != [Path::around(value)] {
                        let why = format!("`{value}`: paths around it are kept out as well");
                        self.report.narrowed(&of, why, "write it as `/a` and `/a/*`");
                    }
                }
                for value in texts(&test.not_values) {
                    let Within { paths, less } = Path::within(value);
                    if let Some(why) = less {
                        self.report.narrowed(&of_not, format!("`{value}`: {why}"), BY_HAND);
                    }
                    region.except.extend(paths);
                }
            }
            // A rule for some ports counts for all, see above.
            _ => {}
        }
    }
}

/// Everything, for nobody.
fn region(origin: Origin) -> Region {
    Region {
        origin,
        hosts: Hosts::Written(Vec::new()),
        paths: vec![Path::everything()],
        except: Vec::new(),
        methods: Vec::new(),
        not_methods: Vec::new(),
        effect: Effect::Close,
    }
}

/// The one thing that is asked.
fn single(tests: &[Test]) -> Option<&Test> {
    match tests {
        [test] => Some(test),
        _ => None,
    }
}
