use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::Client;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::*;
use crate::connection::Server;

const LONGEST: Duration = Duration::from_secs(10);

/// What is said to a command, on which connection.
type Says = fn(&Fake, usize, &[String]) -> &'static str;

/// As much of Redis as a connection needs. `HANG` waits for the gate.
struct Fake {
    says: Says,
    gate: Semaphore,
    connections: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

impl Fake {
    async fn start(says: Says) -> (Arc<Self>, Batched) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let fake = Arc::new(Self {
            says,
            gate: Semaphore::new(0),
            connections: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&fake);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        let batched = batched(&url);
        timeout(LONGEST, batched.connect()).await.expect("connected");
        (fake, batched)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        while let Some(words) = command(&mut reader).await {
            let named = words.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(named);
            let says = match words[0].as_str() {
                "CLIENT" | "SCRIPT" => "+OK\r\n",
                "PING" => "+PONG\r\n",
                "HANG" => {
                    self.gate.acquire().await.unwrap().forget();
                    "+OK\r\n"
                }
                _ => (self.says)(&self, number, &words),
            };
            if writer.write_all(says.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn times(&self, command: &str) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| *seen == command).count()
    }
}

/// The next command's words; none when the connection is gone.
async fn command(reader: &mut BufReader<OwnedReadHalf>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(reader).await? {
        let mut word = vec![0; number(reader).await? + 2];
        reader.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).unwrap());
    }
    Some(words)
}

/// The number of a line, behind the letter that says what it counts.
async fn number(reader: &mut BufReader<OwnedReadHalf>) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    line.trim_end().trim_start_matches(['*', '$']).parse().ok()
}

fn batched(url: &str) -> Batched {
    let client = Client::open(url).unwrap();
    Batched::new(Link::new(Server::Fixed(client)), Arc::default())
}

fn get(key: &str) -> Cmd {
    let mut get = redis::cmd("GET");
    get.arg(key);
    get
}

#[tokio::test]
async fn nothing_is_waited_for_while_there_is_no_connection() {
    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let batched = batched(&format!("redis://{}", listener.local_addr().unwrap()));
    drop(listener);
    assert_eq!(batched.call(get("a")).await, Err(not_connected()), "nobody has begun to connect");
    let connected = timeout(Duration::from_millis(300), batched.connect()).await;
    assert!(connected.is_err(), "nobody is there");
    let answer = timeout(LONGEST, batched.call(get("a"))).await;
    assert_eq!(answer.expect("an answer at once"), Err(not_connected()));
}

#[tokio::test]
async fn each_gets_its_own_answer() {
    let (_, batched) = Fake::start(|_, _, words| match words[1].as_str() {
        "a" => ":1\r\n",
        "b" => "-WRONGTYPE of a secret\r\n",
        _ => "$-1\r\n",
    })
    .await;
    let (a, b, c) =
        tokio::join!(batched.call(get("a")), batched.call(get("b")), batched.call(get("c")));
    assert_eq!((a, c), (Ok(Value::Int(1)), Ok(Value::Nil)));
    let refused = format!("{b:?}");
    assert!(refused.contains("Corrupt") && !refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn lost_scripts_are_loaded_and_what_missed_them_is_repeated() {
    const LOADS: usize = crate::script::COUNT;
    let (fake, batched) = Fake::start(|fake, _, words| match words[0].as_str() {
        "EVALSHA" if fake.times("SCRIPT LOAD") <= LOADS => "-NOSCRIPT No matching script.\r\n",
        "EVALSHA" => ":7\r\n",
        _ => ":1\r\n",
    })
    .await;
    assert_eq!(fake.times("SCRIPT LOAD"), LOADS, "before anybody asks");
    let script = || Scripts::default().publish.call(0, 0, 0);
    let (first, other, second) =
        tokio::join!(batched.call(script()), batched.call(get("a")), batched.call(script()));
    assert_eq!((first, second), (Ok(Value::Int(7)), Ok(Value::Int(7))));
    assert_eq!(other, Ok(Value::Int(1)));
    assert_eq!(fake.times("GET a"), 1, "what was answered is not repeated");
}

#[tokio::test]
async fn a_server_that_is_no_master_any_more_is_left() {
    let (fake, batched) = Fake::start(|_, number, _| match number {
        1 => "-READONLY You can't write against a read only replica.\r\n",
        _ => ":1\r\n",
    })
    .await;
    let answer = batched.call(get("a")).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    let written = async {
        while batched.call(get("a")).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONGEST, written).await.expect("another connection");
    assert_eq!(fake.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_gave_up_before_its_turn_is_not_asked_for() {
    let (fake, batched) = Fake::start(|_, _, _| ":1\r\n").await;
    let batched = Arc::new(batched);
    let mut hanging = JoinSet::new();
    for _ in 0..PIPELINES {
        let batched = Arc::clone(&batched);
        hanging.spawn(async move { batched.call(redis::cmd("HANG")).await });
        // Each is on its way before the next one comes.
        sleep(Duration::from_millis(50)).await;
    }
    let lost = timeout(Duration::from_millis(50), batched.call(get("lost"))).await;
    assert!(lost.is_err(), "it waits for its turn");
    fake.gate.add_permits(PIPELINES);
    while let Some(hung) = hanging.join_next().await {
        assert_eq!(hung.unwrap(), Ok(Value::Okay));
    }
    assert_eq!(batched.call(get("kept")).await, Ok(Value::Int(1)));
    assert_eq!((fake.times("GET lost"), fake.times("GET kept")), (0, 1));
}
