//! The server's clock jumps by an hour, ahead and back. No revocation and no count of Redis' is
//! forgotten; what differs is when tokens end, and nobody gets in by that.
//!
//! libfaketime stands between the server and its clock; Envoy, Redis and this test go by the right
//! one.

use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::client::Protocol;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Token};
use postern_e2e::server::Surroundings;
use postern_e2e::watch::Watch;
use postern_e2e::{documents, env, wait};
use serde_json::json;

use crate::LONGEST;
use crate::mix::{checked, content, limited, token};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// How far a clock may be from where it was set: it is read anew every second.
const OFF: i64 = 5;

/// The file that says how wrong the server's clock is.
struct Clock(PathBuf);

impl Clock {
    fn right(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.set(0);
        clock
    }

    /// In one step, since it may be read at any moment.
    fn set(&self, ahead: i64) {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{ahead:+}\n")).expect("the clock's file");
        fs::rename(new, &self.0).expect("the clock's file in its place");
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings::default()
            .variable("LD_PRELOAD", env::faketime().display().to_string())
            .variable("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string())
            .variable("FAKETIME_CACHE_DURATION", "1")
            // A clock that is set moves no stopwatch; by its older name, too.
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .variable("DONT_FAKE_MONOTONIC", "1")
            .variable("NO_FAKE_STAT", "1")
    }

    /// Sets it, and waits until the server goes by it.
    async fn jump(&self, gateway: &Gateway, ahead: i64) {
        self.set(ahead);
        wait::until("server with another time", LONGEST, || async {
            let health = gateway.server.health().await.json();
            let time = health["timestamp"].as_str().expect("a time");
            let now = i64::try_from(keys::now()).expect("a time");
            let off = (second_of_the_day(time) - now - ahead).rem_euclid(DAY);
            if off <= OFF || off >= DAY - OFF { Ok(()) } else { Err(time.to_owned()) }
        })
        .await;
    }
}

/// Of `2026-11-23T08:15:30.000Z`.
fn second_of_the_day(time: &str) -> i64 {
    let number = |from: usize| time[from..from + 2].parse::<i64>().expect("two digits");
    number(11) * HOUR + number(14) * 60 + number(17)
}

/// Good for hours.
fn long(name: &str) -> String {
    let end = i64::try_from(keys::now()).expect("a time") + 3 * HOUR;
    let token = Token::of(&keys::subject(name)).scope("content.read checked.read");
    token.claim("exp", json!(end)).sign()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_ahead_or_back_nothing_is_forgotten_and_nobody_gets_in() {
    let folder = tempfile::tempdir().expect("a folder for the clock");
    let clock = Clock::right(folder.path());
    let builder = Gateway::builder().document(documents::chaos(1, "15s")).durable().workers(2);
    let builder = builder.store(Store::Redis).serve_in(clock.surroundings());
    let gateway = builder.start().await;
    clock.jump(&gateway, 0).await;
    let client = gateway.client(Protocol::Http1);
    let (good, revoked, short) = (long("good"), long("revoked"), token("short"));
    for token in [&good, &revoked, &short] {
        gateway.until_everywhere(200, &content(token)).await;
        gateway.until_status(200, &checked(token)).await;
    }
    gateway.revoke(&[&revoked]).await;
    gateway.until_revoked_everywhere(&content(&revoked)).await;
    gateway.until_status(401, &checked(&revoked)).await;
    let spent = limited("few", &long("spent"));
    gateway.until_status(429, &spent).await;

    for ahead in [HOUR, -HOUR, 0] {
        let refused = [content(&revoked), checked(&revoked)].map(|call| Watch::begin(client, call));
        let passes = [content(&good), checked(&good)].map(|call| Watch::begin(client, call));
        clock.jump(&gateway, ahead).await;
        let status = gateway.send(&spent).await.status;
        assert!([429, 503].contains(&status), "{ahead}: {status} by a limit that is used up");
        // Good for ten minutes: the stricter of both clocks counts.
        gateway.send(&content(&short)).await.expect(200);
        let is_over = ahead == HOUR;
        gateway.send(&checked(&short)).await.expect(if is_over { 401 } else { 200 });

        let later = long("later");
        gateway.until_everywhere(200, &content(&later)).await;
        gateway.revoke(&[&later]).await;
        gateway.until_revoked_everywhere(&content(&later)).await;
        gateway.until_status(401, &checked(&later)).await;
        for watch in refused {
            watch.end(&[401]).await;
        }
        for watch in passes {
            watch.end(&[200]).await;
        }
    }
}
