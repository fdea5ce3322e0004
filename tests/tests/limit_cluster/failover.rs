//! A master dies while everybody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postern_e2e::redis::cluster::NODE_TIMEOUT;
use postern_e2e::redis::is_skipped;
use postern_e2e::{keys, wait};
use tokio::task::{JoinHandle, JoinSet};

use crate::limit_cluster::replicas::{ALGORITHMS, ANSWERS, LIMIT, MANY, Replicas, SERVERS, path};
use crate::limit_cluster::{ALONE, CLIENTS, PAUSE, every_algorithm_is_exact, until_refused};

const LONGEST: Duration = Duration::from_secs(40);
/// For each answer, callers that have nothing left: what they are told is either the store's no,
/// or what their limit says without the store.
const SPENT: usize = 15;
/// Callers that have plenty, of a limit that denies: whatever passes, the store has counted.
const SPENDING: usize = 12;
/// Answers before the master dies, and after everything is well again.
const ENOUGH: usize = 200;
/// What the store may take of a request.
const BUDGET: Duration = Duration::from_millis(20);
/// For the rest of an answer, on a machine that has much else to do: half of the answers, and
/// each of them.
const REST: Duration = Duration::from_millis(100);
const ALL_REST: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Caller {
    name: String,
    path: String,
    answer: &'static str,
    is_spent: bool,
}

/// One request, and what was answered.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// Whose.
    caller: usize,
    server: usize,
    status: u16,
    began: Instant,
    ended: Instant,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_master_dies_each_limit_gives_its_own_answer_in_time_and_nothing_else_is_lost() {
    if is_skipped() {
        return;
    }
    let _alone = ALONE.lock().await;
    let mut replicas = Replicas::start().await;
    let callers = Arc::new(callers());
    use_up(&replicas, &callers).await;
    // From here on only what comes later can be lost.
    replicas.cluster.until_replicated().await;

    let traffic = Traffic::begin(&replicas, &callers);
    traffic.until_more(ENOUGH).await;
    let killing = Instant::now();
    replicas.cluster.kill_master(0);
    let killed = Instant::now();
    replicas.cluster.until_taken_over(0).await;
    replicas.until_all_count().await;
    let counting = Instant::now();
    traffic.until_more(ENOUGH).await;
    let sent = traffic.end().await;

    let meanwhile: Vec<Sent> =
        sent.iter().filter(|one| one.began >= killed && one.ended <= counting).copied().collect();
    each_limit_gives_its_own_answer(&callers, &sent, &meanwhile);
    no_answer_takes_longer_than_the_budget(&callers, &meanwhile);
    let at_risk = |one: &&Sent| one.began <= killed && one.ended + NODE_TIMEOUT >= killing;
    let at_risk: Vec<Sent> = sent.iter().filter(at_risk).copied().collect();
    no_more_is_lost_than_was_counted_last(&replicas, &callers, &sent, &at_risk).await;
    what_is_used_up_stays_so(&replicas, &callers).await;
    every_algorithm_is_exact(&replicas).await;
}

fn callers() -> Vec<Caller> {
    let mut callers = Vec::new();
    for answer in ANSWERS {
        for number in 0..SPENT {
            let path = path(ALGORITHMS[number % ALGORITHMS.len()], answer);
            callers.push(Caller { name: keys::subject("spent"), path, answer, is_spent: true });
        }
    }
    for _ in 0..SPENDING {
        let (name, path) = (keys::subject("spending"), "/many".to_owned());
        callers.push(Caller { name, path, answer: "deny", is_spent: false });
    }
    callers
}

/// Until every caller that is to have nothing left has nothing, and every server knows it.
async fn use_up(replicas: &Replicas, callers: &[Caller]) {
    let mut spending = JoinSet::new();
    for (number, caller) in callers.iter().enumerate().filter(|(_, caller)| caller.is_spent) {
        let (grpc, caller) = (replicas.grpc(number), caller.clone());
        spending.spawn(async move {
            until_refused(&grpc, &caller.path, &[("x-caller", caller.name.as_str())]).await
        });
    }
    spending.join_all().await;
    for caller in callers.iter().filter(|caller| caller.is_spent) {
        until_used_up(replicas, caller).await;
    }
}

/// Without the store a limit may have let pass or refused for a moment; that is over.
async fn until_used_up(replicas: &Replicas, caller: &Caller) {
    for number in 0..SERVERS {
        let grpc = replicas.grpc(number);
        let what = format!("refusal at {} by server {number}", caller.path);
        wait::until(&what, LONGEST, || async {
            let said = grpc.check(&caller.path, &[("x-caller", caller.name.as_str())]).await;
            if said.status == 429 { Ok(()) } else { Err(said.status) }
        })
        .await;
    }
}

async fn what_is_used_up_stays_so(replicas: &Replicas, callers: &[Caller]) {
    for caller in callers.iter().filter(|caller| caller.is_spent) {
        if caller.answer == "deny" {
            let grpc = replicas.grpc(0);
            let said = grpc.check(&caller.path, &[("x-caller", caller.name.as_str())]).await;
            assert_ne!(said.status, 200, "counts of {} were lost", caller.path);
        }
        until_used_up(replicas, caller).await;
    }
}

/// All clients, each asking for one caller after the other.
struct Traffic {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

impl Traffic {
    fn begin(replicas: &Replicas, callers: &Arc<Vec<Caller>>) -> Self {
        let (over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (grpc, server) = (replicas.grpc(number), number % SERVERS);
            let (callers, over, answers) =
                (Arc::clone(callers), Arc::clone(&over), Arc::clone(&answers));
            tokio::spawn(async move {
                let mut sent = Vec::new();
                for caller in (0..callers.len()).cycle().skip(number) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let Caller { name, path, .. } = &callers[caller];
                    let began = Instant::now();
                    let status = grpc.check(path, &[("x-caller", name.as_str())]).await.status;
                    let ended = Instant::now();
                    sent.push(Sent { caller, server, status, began, ended });
                    answers.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                sent
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { over, answers, clients }
    }

    /// Until so many more answers are there.
    async fn until_more(&self, more: usize) {
        let wanted = self.answers.load(Ordering::Relaxed) + more;
        wait::until("answers", LONGEST, || async {
            let found = self.answers.load(Ordering::Relaxed);
            if found >= wanted { Ok(()) } else { Err(format!("{found} of {wanted}")) }
        })
        .await;
    }

    async fn end(self) -> Vec<Sent> {
        self.over.store(true, Ordering::Relaxed);
        let mut sent = Vec::new();
        for client in self.clients {
            sent.extend(client.await.expect("a client that got its answers"));
        }
        sent
    }
}

fn each_limit_gives_its_own_answer(callers: &[Caller], sent: &[Sent], meanwhile: &[Sent]) {
    for one in sent {
        let caller = &callers[one.caller];
        let expected = match (caller.answer, caller.is_spent) {
            ("deny", true) => [429, 503],
            ("deny", false) => [200, 503],
            // What the store refuses passes without it: all of it, or a share.
            _ => [429, 200],
        };
        assert!(expected.contains(&one.status), "{caller:?}: {one:?}");
    }
    // It is the store that was away, and not only slow.
    for (answer, status) in [("deny", 503), ("allow", 200), ("local_share", 200)] {
        let of_answer = |one: &&Sent| callers[one.caller].answer == answer;
        let by_answer: Vec<&Sent> = meanwhile.iter().filter(of_answer).collect();
        let without = by_answer.iter().filter(|one| one.status == status).count();
        assert!(without > 0, "{answer} was never asked for in {} answers", by_answer.len());
    }
    // Each server lets its share pass, all of the time together.
    let share = usize::try_from(LIMIT).expect("a number") / SERVERS;
    for (at, caller) in callers.iter().enumerate() {
        for server in 0..SERVERS {
            let of_server = |one: &&Sent| one.caller == at && one.server == server;
            let passed = sent.iter().filter(of_server).filter(|one| one.status == 200).count();
            if caller.answer == "local_share" {
                assert!(passed <= share, "{caller:?}: {passed} at server {server}");
            }
        }
    }
}

fn no_answer_takes_longer_than_the_budget(callers: &[Caller], meanwhile: &[Sent]) {
    let without_store = meanwhile.iter().filter(|one| {
        let denies = callers[one.caller].answer == "deny";
        one.status == if denies { 503 } else { 200 }
    });
    let mut took: Vec<Duration> = without_store.map(|one| one.ended - one.began).collect();
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    assert!(median <= BUDGET + REST, "{median:?} in the middle of {} answers", took.len());
    assert!(longest <= BUDGET + ALL_REST, "{longest:?} at most");
}

/// What a master has counted and its replica has not heard of when it dies is counted anew: no
/// more than it answered in the last moments, `at_risk`.
async fn no_more_is_lost_than_was_counted_last(
    replicas: &Replicas,
    callers: &[Caller],
    sent: &[Sent],
    at_risk: &[Sent],
) {
    let grpc = replicas.grpc(0);
    for (at, caller) in callers.iter().enumerate().filter(|(_, caller)| !caller.is_spent) {
        let passed = |of: &[Sent]| {
            let own = of.iter().filter(|one| one.caller == at && one.status == 200).count();
            u64::try_from(own).expect("a number")
        };
        let left = wait::until("answer of the store", LONGEST, || async {
            let said = grpc.check(&caller.path, &[("x-caller", caller.name.as_str())]).await;
            said.left.filter(|_| said.status == 200).ok_or(said.status)
        })
        .await;
        let (counted, acknowledged) = (MANY - left, passed(sent) + 1);
        let lost = acknowledged.saturating_sub(counted);
        let most = passed(at_risk);
        assert!(lost <= most, "{lost} of {acknowledged} were lost, and {most} were at risk");
    }
}
