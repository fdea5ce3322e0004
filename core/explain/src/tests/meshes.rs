//! A mesh's own policies, by a port that says what a test wants.

use super::*;
use crate::{MeshPolicies, MeshRequest, MeshVerdict, Phase};

/// Answers both phases.
struct Fake {
    refused: [Option<u16>; 2],
    asks_server: bool,
    /// A header that must be there for the second phase.
    wants: Option<&'static str>,
}

const OPEN: Fake = Fake { refused: [None, None], asks_server: false, wants: None };

impl MeshPolicies for Fake {
    fn judge(&self, request: &MeshRequest<'_>) -> MeshVerdict {
        let [first, second] = self.refused;
        let lacks = |name: &str| {
            let written = request.rewritten.unwrap_or_default();
            !written.iter().any(|(known, _)| known == name)
        };
        let refused = match request.phase {
            Phase::Custom => first,
            Phase::Rbac if self.wants.is_some_and(lacks) => Some(403),
            Phase::Rbac => second,
        };
        MeshVerdict {
            refused,
            asks_server: self.asks_server,
            text: format!("{} {}", request.method, request.target),
            assumed: vec!["this is a test".to_owned()],
        }
    }
}

fn ask(policies: &Fake, request: &Request) -> Explanation {
    explained(request, &Assumptions { policies: Some(policies), ..Assumptions::at(NOW) })
}

#[test]
fn policies_refuse_before_and_behind_the_bundle() {
    for (refused, expected) in [
        ([Some(403), None], (By::Istio, 403, "")),
        ([Some(503), None], (By::Istio, 503, "")),
        ([None, Some(401)], (By::Istio, 401, "")),
    ] {
        let explanation = ask(&Fake { refused, ..OPEN }, &get("/open"));
        assert_eq!(refusal(&explanation), expected);
        assert_eq!(explanation.uncertain, ["this is a test"]);
    }
    let passed = ask(&OPEN, &get("/open"));
    let stages: Vec<Stage> = passed.steps.iter().map(|step| step.stage).collect();
    let place = |stage: Stage| stages.iter().position(|known| *known == stage).unwrap();
    assert!(place(Stage::MeshCustom) < place(Stage::Route));
    assert!(place(Stage::Auth) < place(Stage::MeshRbac));
}

#[test]
fn policies_see_what_the_bundle_writes() {
    let policies = Fake { wants: Some("x-postern-subject"), ..OPEN };
    let known = get("/read/7").claiming(&alice(r#","scope":"read list","tenant":"blue""#));
    assert_eq!(forwarded(&ask(&policies, &known)).route, "read");
    let forged = get("/open").with("x-postern-subject", "root");
    assert_eq!(refusal(&ask(&policies, &forged)), (By::Istio, 403, ""));
}

#[test]
fn policies_say_whether_the_server_is_asked() {
    let asks = Fake { asks_server: true, ..OPEN };
    let paying = get("/pay").claiming(&alice(r#","scope":"pay""#));
    assert_eq!(forwarded(&ask(&asks, &paying)).route, "pay");
    // Not asked, the server vouches for nothing, and the bundle closes.
    let refused = ask(&OPEN, &paying);
    assert_eq!(refusal(&refused), (By::Bundle, 503, "evidence_missing"));
    // Asked needlessly, it judges by the same rules.
    let refused = ask(&asks, &get("/read/7"));
    assert_eq!(refusal(&refused), (By::ExtAuthz, 401, "credential_missing"));
    assert!(refused.steps.iter().any(|step| step.text.contains("the mesh's policies say so")));
}
