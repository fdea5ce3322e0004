//! The store is away, or stands still.

use std::time::{Duration, Instant};

use postern_e2e::client::{Call, Protocol};
use postern_e2e::redis::Redis;
use postern_e2e::{keys, wait};

use crate::rate_limit_service::{LONGEST, Limits, Stack};

const RULES: &str = "
domain: shop
descriptors:
  - key: user
    rate_limit: {unit: year, requests_per_unit: 4}
  - key: closed
    rate_limit: {unit: year, requests_per_unit: 0}
";
/// What the store may take, and the rest of an answer on a machine that has much else to do:
/// half of the answers, and each of them.
const MEDIAN: Duration = Duration::from_millis(20 + 100);
const MOST: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_store_the_service_does_what_it_was_told_to_and_at_once() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    let mut stacks = Vec::new();
    for answer in ["deny", "allow", "local_share"] {
        let options = ["--rate-limit-when-store-fails", answer];
        let limits = Limits::start_with(&redis.url(), RULES, &options).await;
        stacks.push((answer, Stack::start(limits).await));
    }
    each_does_what_it_was_told(&stacks).await;
    redis.bring_up().await;
    each_counts(&stacks).await;

    // Connections stand, and nothing is answered.
    redis.signal("STOP");
    each_does_what_it_was_told(&stacks).await;
    redis.signal("CONT");
    each_counts(&stacks).await;

    redis.take_down();
    each_does_what_it_was_told(&stacks).await;
    for (answer, stack) in &stacks {
        let name = "postern_rate_limit_store_failures_total";
        let counted = stack.limits.server.metric(name, &[("answer", *answer)]).await;
        assert!(counted >= 18, "{answer}: {counted}");
    }
}

fn of_user() -> Call {
    Call::get("/any/page").header("x-user", keys::subject("away"))
}

async fn each_does_what_it_was_told(stacks: &[(&str, Stack)]) {
    for (answer, stack) in stacks {
        let expected = match *answer {
            "deny" => [503; 6],
            "allow" => [200; 6],
            // Half of four, for this one of two replicas.
            _ => [200, 200, 429, 429, 429, 429],
        };
        let (client, call) = (stack.client(Protocol::Http1), of_user());
        let (mut statuses, mut took) = (Vec::new(), Vec::new());
        for _ in 0..expected.len() {
            let began = Instant::now();
            statuses.push(client.send(&call).await.status);
            took.push(began.elapsed());
        }
        assert_eq!(statuses, expected, "{answer}");
        took.sort_unstable();
        assert!(took[took.len() / 2] <= MEDIAN && took[took.len() - 1] <= MOST, "{took:?}");
        // What is never counted needs no store.
        let closed = Call::get("/any/page").header("x-closed", "1");
        assert_eq!(stack.statuses(&closed, 1).await, [429], "{answer}");
    }
}

async fn each_counts(stacks: &[(&str, Stack)]) {
    for (answer, stack) in stacks {
        let what = format!("counting after the store was away, {answer}");
        wait::until(&what, LONGEST, || async {
            let statuses = stack.statuses(&of_user(), 5).await;
            let counts = statuses == [200, 200, 200, 200, 429];
            if counts { Ok(()) } else { Err(format!("{statuses:?}")) }
        })
        .await;
    }
}
