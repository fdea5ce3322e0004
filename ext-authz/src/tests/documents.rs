//! Two documents, while one takes the place of the other.

use super::*;
use crate::{Documents, Judged};

struct Two {
    newest: Judged,
    earlier: Judged,
}

impl Documents for Two {
    fn judging(&self, told: Option<&str>) -> Judged {
        let is_earlier = told == Some(self.earlier.document.digest.as_str());
        if is_earlier { self.earlier.clone() } else { self.newest.clone() }
    }
}

/// Has nothing at `/pay`.
fn without_pay() -> Document {
    let document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "routes": [
            {"name": "other", "match": {"path": "/other"}, "service": "s", "auth": "none"},
        ],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn an_envoy_is_answered_by_the_document_that_it_runs() {
    let earlier = Judged::new(document(&json!({})));
    let newest = Judged::new(without_pay());
    let digests = [&earlier, &newest].map(|one| one.document.digest.clone());
    let two = Arc::new(Two { newest, earlier });
    let gateway =
        Gateway::of(without_pay(), memory(), |parts| parts.documents = Arc::<Two>::clone(&two));
    let token = format!("Bearer {}", token(&json!({})));
    let asked = |told: Option<&str>| Incoming {
        document: told.map(str::to_owned),
        ..request("GET", "/pay", &[("authorization", &token)])
    };
    let (evidence, _) = gateway.passes(&asked(Some(&digests[0])), NOW).await;
    assert_eq!((evidence.route.as_str(), &evidence.document), ("pay", &digests[0]));
    for told in [Some(digests[1].as_str()), Some("of nobody"), None] {
        assert_eq!(gateway.status(&asked(told), NOW).await, 404, "{told:?}");
    }
}
