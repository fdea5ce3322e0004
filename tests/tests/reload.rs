//! Another document takes the place of the one that is served, while requests come in.

mod files;
mod revisions;

use std::path::Path;
use std::time::Duration;

use postern_e2e::server::{self, Server};
use postern_e2e::{documents, ports, wait};
use serde_json::Value;

/// The longest until a change has been found and taken over.
const LONGEST: Duration = Duration::from_secs(20);
const METRIC: &str = "postern_document_reloads_total";

/// One route that asks the server; documents differ in how long its service may take.
fn document(timeout: &str) -> String {
    format!(
        "version: 1
issuer: $ISSUER
services:
  content: {{upstream: '$UPSTREAM', timeout: {timeout}}}
routes:
  - {{name: content, match: {{path: '/content/{{rest=**}}'}}, service: content, auth: none,
     ext_authz: true}}
"
    )
}

/// The same where nothing is behind it.
fn alone(timeout: &str) -> String {
    documents::fill_in(&document(timeout), ports::local(9), "http://127.0.0.1:8080")
}

/// What `/health` says of the document.
async fn told(server: &Server) -> Value {
    server.health().await.expect(200).json()["document"].clone()
}

async fn digest(server: &Server) -> String {
    told(server).await["digest"].as_str().expect("a digest").to_owned()
}

/// Until another document than this one is in use: its digest.
async fn until_other_than(server: &Server, before: &str) -> String {
    wait::until("another document", LONGEST, || async {
        let found = digest(server).await;
        if found == before { Err(found) } else { Ok(found) }
    })
    .await
}

async fn until_digest(server: &Server, expected: &str) {
    wait::until("the document", LONGEST, || async {
        let found = digest(server).await;
        if found == expected { Ok(()) } else { Err(found) }
    })
    .await;
}

/// Until so many documents had this outcome.
async fn until_counted(server: &Server, outcome: &str, times: u64) {
    wait::until(outcome, LONGEST, || async {
        let found = server.metric(METRIC, &[("outcome", outcome)]).await;
        if found >= times { Ok(()) } else { Err(found) }
    })
    .await;
}

fn options(document: &Path, folder: &Path) -> server::Options {
    server::Options {
        document: document.to_path_buf(),
        volatile: "memory".to_owned(),
        durable: None,
        folder: folder.to_path_buf(),
    }
}
