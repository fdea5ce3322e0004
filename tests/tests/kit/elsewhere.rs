//! Logging in at a provider `corp`: the document that names it, the way there, and the way back.

use std::fs;

use postern_e2e::browser::{self, Browser, Page};
use postern_e2e::gateway::Gateway;
use postern_e2e::provider::{CLIENT_ID, Provider};
use tempfile::TempDir;

/// A document like [`documents::IDENTITY`](postern_e2e::documents::IDENTITY), and people may log in
/// at this issuer, where the suite has this secret; `more` are further members of the provider. The
/// secret stands in the folder.
pub fn document(of: &str, issuer: &str, secret: &str, more: &str) -> (String, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the secret");
    let file = folder.path().join("secret");
    fs::write(&file, format!("{secret}\n")).expect("the secret's file");
    let provider = format!(
        "  default_role: student\n  outside:\n    - {{name: corp, issuer: '{issuer}', client_id: \
         {CLIENT_ID}, client_secret: 'file:{}'{more}}}\n",
        file.display()
    );
    let document = of.replace("  default_role: student\n", &provider);
    assert!(document.contains("outside:"), "the document has no place for it");
    (document, folder)
}

/// A browser that was sent to the provider, and the parameters of that request.
pub async fn sent(gateway: &Gateway, return_to: &str) -> (Browser, Page) {
    let mut browser = gateway.browser();
    let query = browser::encode(&[("return_to", return_to)]);
    let page = browser.open(&format!("/login/outside/corp?{query}")).await.expect(303);
    (browser, page)
}

/// Where the provider sends a browser back to, with a code.
pub fn back(provider: &Provider, code: &str, state: &str) -> String {
    let issuer = provider.issuer();
    let pairs = [("code", code), ("state", state), ("iss", issuer.as_str())];
    format!("/login/outside/corp/callback?{}", browser::encode(&pairs))
}
