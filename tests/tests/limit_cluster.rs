//! Exact limits, counted by three servers in a Redis Cluster of three masters: nobody gets more
//! than a limit allows, and when a master dies each limit gives the answer that it has for that.

mod failover;
mod replicas;

use std::time::{Duration, Instant};

use postern_e2e::grpc::Grpc;
use postern_e2e::keys;
use postern_e2e::redis::is_skipped;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use replicas::{ALGORITHMS, BRISK, LIMIT, Replicas, SERVERS, path};

const CLIENTS: usize = 64;
/// Who is asked for at the same time: their keys lie in several masters.
const CALLERS: usize = 4;
/// Between two requests of a client that does not hurry.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest that a client goes on.
const LONGEST: Duration = Duration::from_secs(60);

/// Six Redis and three servers are enough for one machine.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What came of a client's requests for one caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Passed {
    passed: u64,
    /// Without the store. It may have counted them all the same, and have answered too late.
    unanswered: u64,
}

impl Passed {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.unanswered += other.unanswered;
    }

    /// As many as the limit allows, but for those that were counted for nothing.
    fn assert_exact(self, what: &str) {
        assert!(self.passed <= LIMIT, "{what}: more than {LIMIT}: {self:?}");
        assert!(self.passed + self.unanswered >= LIMIT, "{what}: less than {LIMIT}: {self:?}");
    }
}

/// Sends until the limit refuses; for limits that deny without the store.
async fn until_refused(grpc: &Grpc, path: &str, headers: &[(&str, &str)]) -> Passed {
    let started = Instant::now();
    let mut seen = Passed::default();
    while started.elapsed() < LONGEST {
        match grpc.check(path, headers).await.status {
            200 => seen.passed += 1,
            429 => return seen,
            503 => {
                seen.unanswered += 1;
                tokio::time::sleep(PAUSE).await;
            }
            other => panic!("{path}: {other}"),
        }
    }
    panic!("{path} refuses nobody: {seen:?}");
}

/// All clients at once, until each was refused: what came of it for each caller.
async fn race(replicas: &Replicas, path: &str) -> Vec<(String, Passed)> {
    let mut callers: Vec<_> =
        (0..CALLERS).map(|_| (keys::subject("racing"), Passed::default())).collect();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let at = number % CALLERS;
        let (grpc, path) = (replicas.grpc(number), path.to_owned());
        let caller = callers[at].0.clone();
        clients.spawn(async move {
            (at, until_refused(&grpc, &path, &[("x-caller", caller.as_str())]).await)
        });
    }
    for (at, passed) in clients.join_all().await {
        callers[at].1.add(passed);
    }
    callers
}

/// Every algorithm lets each caller have what its limit allows, and no more.
async fn every_algorithm_is_exact(replicas: &Replicas) {
    for algorithm in ALGORITHMS {
        let path = path(algorithm, "deny");
        for (caller, passed) in race(replicas, &path).await {
            passed.assert_exact(&path);
            // Nothing is left, whoever is asked.
            for number in 0..SERVERS {
                let said =
                    replicas.grpc(number).check(&path, &[("x-caller", caller.as_str())]).await;
                assert!([429, 503].contains(&said.status), "{path}: {said:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_of_three_servers_get_what_each_algorithm_allows_and_no_more() {
    if is_skipped() {
        return;
    }
    let _alone = ALONE.lock().await;
    let replicas = Replicas::start().await;
    every_algorithm_is_exact(&replicas).await;
    limits_in_several_parts_of_the_store(&replicas).await;
    no_second_has_more_than_the_worst_case(&replicas).await;
}

/// Two limits of one request whose keys lie in different masters: while one of them looks, others
/// may be refused for what is given back a moment later, but none of them gives too much.
async fn limits_in_several_parts_of_the_store(replicas: &Replicas) {
    let tenant = keys::subject("tenant");
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (grpc, tenant, caller) = (replicas.grpc(number), tenant.clone(), keys::subject("of"));
        clients.spawn(async move {
            let headers = [("x-caller", caller.as_str()), ("x-tenant", tenant.as_str())];
            until_refused(&grpc, "/both", &headers).await
        });
    }
    let mut seen = Passed::default();
    for passed in clients.join_all().await {
        seen.add(passed);
    }
    // One after the other: nobody is in the way of anybody.
    let caller = keys::subject("of");
    let headers = [("x-caller", caller.as_str()), ("x-tenant", tenant.as_str())];
    seen.add(until_refused(&replicas.grpc(0), "/both", &headers).await);
    seen.assert_exact("/both");
}

/// One that the store let pass.
#[derive(Debug, Clone, Copy)]
struct Pass {
    began: Instant,
    ended: Instant,
}

/// In any second, whenever it begins, no more passes than the documentation says at most.
async fn no_second_has_more_than_the_worst_case(replicas: &Replicas) {
    let callers: Vec<String> = ALGORITHMS.map(|_| keys::subject("brisk")).to_vec();
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (grpc, callers) = (replicas.grpc(number), callers.clone());
        clients.spawn(async move {
            let mut passes = Vec::new();
            for at in (0..ALGORITHMS.len()).cycle().skip(number) {
                if started.elapsed() > Duration::from_secs(3) {
                    break;
                }
                let path = path("brisk", ALGORITHMS[at]);
                let began = Instant::now();
                let said = grpc.check(&path, &[("x-caller", callers[at].as_str())]).await;
                match said.status {
                    200 => passes.push((at, Pass { began, ended: Instant::now() })),
                    429 | 503 => {}
                    other => panic!("{path}: {other}"),
                }
                tokio::time::sleep(PAUSE).await;
            }
            passes
        });
    }
    let passes = clients.join_all().await.concat();
    for (at, algorithm) in ALGORITHMS.iter().enumerate() {
        let own: Vec<Pass> =
            passes.iter().filter(|(of, _)| *of == at).map(|(_, pass)| *pass).collect();
        assert!(own.len() >= BRISK, "{algorithm} lets only {} pass", own.len());
        let worst = if *algorithm == "sliding_log" { BRISK } else { 2 * BRISK };
        let most = own.iter().map(|first| within_a_second(&own, first.began)).max();
        assert!(most <= Some(worst), "{algorithm}: {most:?} in a second, {worst} at most");
    }
}

/// How many were counted for certain in the second from then on. Stores count in milliseconds, so
/// that a second of theirs may be one shorter.
fn within_a_second(passes: &[Pass], from: Instant) -> usize {
    let to = from + Duration::from_millis(998);
    passes.iter().filter(|pass| pass.began >= from && pass.ended <= to).count()
}
