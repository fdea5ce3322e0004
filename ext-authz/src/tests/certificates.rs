//! Tokens that are bound to the client's certificate (RFC 8705).

use postern_jose::Possession;

use super::*;
use crate::certificate::tests::{CLIENT, client_hash, encoded};

fn certificate_token(hash: &[u8; 32]) -> String {
    token(&json!({"cnf": {"x5t#S256": base64url::encode(hash)}}))
}

/// A request to `/pay` with a token, over a connection whose other end has shown a certificate.
fn over(certificate: Option<&str>, token: &str) -> Incoming {
    let bearer = format!("Bearer {token}");
    let request = request("GET", "/pay", &[("authorization", &bearer)]);
    Incoming { certificate: certificate.map(encoded), ..request }
}

fn forwarded(headers: &[&str], token: &str) -> Incoming {
    let mut request = over(None, token);
    for header in headers {
        request.headers.push(("x-forwarded-client-cert".to_owned(), header.as_bytes().to_vec()));
    }
    request
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_connections_certificate_is_the_tokens() {
    let gateway = Gateway::new(&json!({"bound": {"certificate": "connection"}}), memory());
    let (own, others) = (certificate_token(&client_hash()), certificate_token(&[7; 32]));
    let identified = gateway.identify(&over(Some(CLIENT), &own)).await.unwrap();
    let shown = Possession { certificate: Some(client_hash()), key: None };
    assert_eq!(identified.shown, shown);
    assert_eq!(gateway.reason(&over(Some(CLIENT), &own)).await, "", "as often as one likes");
    assert_eq!(gateway.reason(&over(Some(CLIENT), &others)).await, "token_confirmation");
    assert_eq!(gateway.reason(&over(None, &own)).await, "token_confirmation");
    let broken = over(Some("-----BEGIN CERTIFICATE-----\n"), &own);
    assert_eq!(gateway.reason(&broken).await, "certificate_unusable");
    let told = forwarded(&[&format!("Hash={}", hex(&client_hash()))], &own);
    assert_eq!(gateway.reason(&told).await, "token_confirmation", "anybody can send a header");
    let plain = over(Some("broken"), &token(&json!({})));
    assert_eq!(gateway.reason(&plain).await, "", "not looked at where no token asks for it");
}

#[tokio::test]
async fn a_forwarded_certificate_counts_where_the_document_says_so() {
    let gateway = Gateway::new(&json!({"bound": {"certificate": "forwarded"}}), memory());
    let own = certificate_token(&client_hash());
    let (ours, others) =
        (format!("Hash={}", hex(&client_hash())), format!("Hash={}", hex(&[7; 32])));
    let (last, first) = (format!("{others},{ours}"), format!("{ours},{others}"));
    // As Envoy writes the certificate of somebody who has found a CA that signs such a name.
    let forged = format!("{others};URI=spiffe://a/b,{ours}");
    let cases: &[(&[&str], &str)] = &[
        (&[&ours], ""),
        (&[&last], "certificate_unusable"),
        (&[&first], "certificate_unusable"),
        (&[&forged], "certificate_unusable"),
        (&[&others], "token_confirmation"),
        (&[], "token_confirmation"),
        (&[&ours, &ours], "certificate_unusable"),
        (&["Hash=x"], "certificate_unusable"),
    ];
    for (headers, expected) in cases {
        let request = forwarded(headers, &own);
        assert_eq!(gateway.reason(&request).await, *expected, "{headers:?}");
    }
    let direct = over(Some(CLIENT), &own);
    assert_eq!(gateway.reason(&direct).await, "token_confirmation", "the proxy's certificate");
}

#[tokio::test]
async fn a_certificate_is_nothing_where_only_proofs_count() {
    let own = certificate_token(&client_hash());
    for jwt in [json!({}), json!({"bound": {"dpop": {}}})] {
        let gateway = Gateway::new(&jwt, memory());
        let request = over(Some(CLIENT), &own);
        assert_eq!(gateway.reason(&request).await, "token_confirmation", "{jwt}");
    }
}

#[tokio::test]
async fn a_token_may_be_bound_to_both() {
    let jwt = json!({"bound": {"certificate": "connection", "dpop": {}}});
    let gateway = Gateway::new(&jwt, memory());
    let token = token(&json!({"cnf": {
        "x5t#S256": base64url::encode(&client_hash()), "jkt": base64url::encode(&thumbprint()),
    }}));
    let (authorization, proof) = (format!("DPoP {token}"), proof(&token, &json!({})));
    let only_proof = request("GET", "/pay", &[("authorization", &authorization), ("dpop", &proof)]);
    assert_eq!(gateway.reason(&only_proof).await, "token_confirmation");
    assert_eq!(gateway.proofs_checked(), 0, "the certificate costs less to judge");
    let both = Incoming { certificate: Some(encoded(CLIENT)), ..only_proof };
    let mut only_certificate = both.clone();
    only_certificate.headers.retain(|(name, _)| name != "dpop");
    assert_eq!(gateway.reason(&only_certificate).await, "dpop_missing");
    let (evidence, _) = gateway.passes(&both, NOW).await;
    let shown = (evidence.shown_certificate, evidence.shown_key);
    assert_eq!(shown, (Some(client_hash()), Some(thumbprint())));
}
