//! Coalescing: what waits while Redis works goes to it in one pipeline, and decisions in one call of
//! their script.
//!
//! A command that comes alone goes at once; there is no timer, and nobody waits for company. As
//! soon as [`PIPELINES`] are on their way, what comes waits for one of them to be answered, and
//! goes with all that came meanwhile: the busier it is, the fewer writes, reads and wake-ups there
//! are for one decision.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use postern_store::StoreError;
use postern_store::volatile::{CircuitAsk, Decision, LimitAsk};
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::answer::{self, Numbers};
use crate::error::{convert, is_no_master, not_connected, unexpected};
use crate::link::{Link, Live};
use crate::pack::{self, Question};
use crate::script::Scripts;

/// Pipelines without an answer: one that Redis works on, and one that is on its way there.
const PIPELINES: usize = 2;
/// Commands of one pipeline.
const COMMANDS: usize = 64;
/// Whose answer is not what it should be.
const SCRIPT: &str = "of the decision script";
/// Commands that wait. Whoever finds no place waits for one, within a budget of its own.
const WAITING: usize = 1024;

/// Keys of one call of the decision script, which Redis works on without a pause: half a
/// millisecond.
const KEYS: usize = 96;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What is asked, and who waits for the answer.
enum Call {
    Command { command: Cmd, answer: Answer<Value> },
    Decision { asked: Asked, answer: Answer<Decision> },
}

impl Call {
    fn is_given_up(&self) -> bool {
        match self {
            Self::Command { answer, .. } => answer.is_closed(),
            Self::Decision { answer, .. } => answer.is_closed(),
        }
    }
}

/// A question of its own: the request that asked may be gone before it is sent.
struct Asked {
    looks: bool,
    limits: Vec<LimitAsk>,
    circuit: Option<CircuitAsk>,
}

impl Asked {
    fn question(&self) -> Question<'_> {
        Question { looks: self.looks, limits: &self.limits, circuit: self.circuit.as_ref() }
    }
}

/// Those who wait for one command.
enum Waiting {
    Command(Answer<Value>),
    Decisions(Vec<(Asked, Answer<Decision>)>),
}

type Exchange = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One server, and what is said to it.
pub(crate) struct Batched {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    /// Empty until somebody wants a connection.
    running: OnceLock<Running>,
}

struct Running {
    calls: mpsc::Sender<Call>,
    /// Ended when this goes.
    _tasks: JoinSet<()>,
}

impl Batched {
    pub(crate) fn new(link: Link, scripts: Arc<Scripts>) -> Self {
        Self { link: Arc::new(link), scripts, running: OnceLock::new() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Begins to connect, unless that has begun, and waits until the connection stands. Giving up
    /// the wait does not end it.
    pub(crate) async fn connect(&self) {
        self.running.get_or_init(|| self.run());
        self.link.connected().await;
    }

    fn run(&self) -> Running {
        let (sender, calls) = mpsc::channel(WAITING);
        let mut tasks = JoinSet::new();
        let (link, scripts) = (Arc::clone(&self.link), Arc::clone(&self.scripts));
        tasks.spawn(async move { link.keep(&scripts).await });
        let batcher = Batcher {
            link: Arc::clone(&self.link),
            scripts: Arc::clone(&self.scripts),
            calls,
            waiting: Vec::new(),
            flying: [const { None }; PIPELINES],
        };
        tasks.spawn(batcher.run());
        Running { calls: sender, _tasks: tasks }
    }

    /// Sends a command with whatever else waits, and waits for its answer. Giving up before it is
    /// sent keeps it from being sent.
    pub(crate) async fn call(&self, command: Cmd) -> Result<Value, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Call::Command { command, answer }).await?;
        answered.await.unwrap_or_else(|_| Err(not_connected()))
    }

    /// Decides, in one call with whatever else is to be decided; else as [`Batched::call`].
    pub(crate) async fn decide(&self, question: Question<'_>) -> Result<Decision, StoreError> {
        let Question { looks, limits, circuit } = question;
        let asked = Asked { looks, limits: limits.to_vec(), circuit: circuit.cloned() };
        let (answer, answered) = oneshot::channel();
        self.send(Call::Decision { asked, answer }).await?;
        answered.await.unwrap_or_else(|_| Err(not_connected()))
    }

    async fn send(&self, call: Call) -> Result<(), StoreError> {
        let running = self.running.get().ok_or_else(not_connected)?;
        running.calls.send(call).await.map_err(|_| not_connected())
    }
}

struct Batcher {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    calls: mpsc::Receiver<Call>,
    waiting: Vec<Call>,
    flying: [Option<Exchange>; PIPELINES],
}

impl Batcher {
    /// Until nobody can call any more.
    async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Takes what answers there are, and sends what waits where there is room for a pipeline. One
    /// task does it all: handing a pipeline to another would cost more than polling a few.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut free = None;
            for place in &mut self.flying {
                if place.as_mut().is_none_or(|exchange| exchange.as_mut().poll(cx).is_ready()) {
                    *place = None;
                    free = Some(place);
                }
            }
            let Some(place) = free else { return Poll::Pending };
            match self.calls.poll_recv_many(cx, &mut self.waiting, COMMANDS) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(0) => return Poll::Ready(()),
                Poll::Ready(_) => {
                    let calls = std::mem::take(&mut self.waiting);
                    let scripts = Arc::clone(&self.scripts);
                    *place = Some(Box::pin(exchange(self.link.live(), scripts, calls)));
                }
            }
        }
    }
}

/// Sends calls and answers them.
async fn exchange(live: Option<Live>, scripts: Arc<Scripts>, calls: Vec<Call>) {
    let (pipeline, waiting) = packed(&scripts, calls);
    if waiting.is_empty() {
        return;
    }
    let Some(mut live) = live else {
        return waiting.into_iter().for_each(|waiting| waiting.answer(Err(not_connected())));
    };
    match ask(&mut live, &scripts, &pipeline).await {
        Ok(values) => {
            let mut values = values.into_iter();
            for waiting in waiting {
                waiting.answer(match values.next() {
                    Some(Value::ServerError(error)) => {
                        let error = RedisError::from(error);
                        if is_no_master(&error) {
                            live.broke();
                        }
                        Err(convert(&error))
                    }
                    Some(value) => Ok(value),
                    None => Err(not_connected()),
                });
            }
        }
        Err(error) => {
            if error.is_unrecoverable_error() {
                live.broke();
            }
            waiting.into_iter().for_each(|waiting| waiting.answer(Err(convert(&error))));
        }
    }
}

/// The commands, and who waits for each. Who gave up is not asked for.
fn packed(scripts: &Scripts, calls: Vec<Call>) -> (Pipeline, Vec<Waiting>) {
    let mut pipeline = Pipeline::with_capacity(calls.len());
    let mut waiting = Vec::with_capacity(calls.len());
    let (mut together, mut keys) = (Vec::new(), 0);
    let close = |together: Vec<(Asked, Answer<Decision>)>, pipeline: &mut Pipeline| {
        let questions = together.iter().map(|(asked, _)| asked.question());
        pipeline.add_command(pack::decide(scripts, questions));
        Waiting::Decisions(together)
    };
    for call in calls.into_iter().filter(|call| !call.is_given_up()) {
        match call {
            Call::Command { command, answer } => {
                pipeline.add_command(command);
                waiting.push(Waiting::Command(answer));
            }
            Call::Decision { asked, answer } => {
                let more = asked.question().keys();
                if keys + more > KEYS && !together.is_empty() {
                    waiting.push(close(std::mem::take(&mut together), &mut pipeline));
                    keys = 0;
                }
                keys += more;
                together.push((asked, answer));
            }
        }
    }
    if !together.is_empty() {
        waiting.push(close(together, &mut pipeline));
    }
    (pipeline, waiting)
}

impl Waiting {
    /// Whoever gave up meanwhile needs no answer.
    fn answer(self, said: Result<Value, StoreError>) {
        match self {
            Self::Command(answer) => drop(answer.send(said)),
            Self::Decisions(together) => {
                let mut numbers = match &said {
                    Ok(value) => Numbers::of(value).ok_or_else(|| unexpected(SCRIPT)),
                    Err(error) => Err(error.clone()),
                };
                for (asked, answer) in together {
                    let decision = match &mut numbers {
                        Ok(numbers) => answer::decision(&asked.limits, asked.looks, numbers)
                            .ok_or_else(|| unexpected(SCRIPT)),
                        Err(error) => Err(error.clone()),
                    };
                    drop(answer.send(decision));
                }
            }
        }
    }
}

/// The answers to a pipeline. A server that was restarted, flushed or promoted has lost the
/// scripts: then they are loaded, and what missed them is repeated, once.
async fn ask(live: &mut Live, scripts: &Scripts, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
    let connection = &mut live.connection;
    let mut values = connection.send_packed_commands(pipeline, 0, pipeline.len()).await?;
    if !values.iter().any(is_unknown_script) {
        return Ok(values);
    }
    let mut again = scripts.loads();
    let loads = again.len();
    for (command, value) in pipeline.cmd_iter().zip(&values) {
        if is_unknown_script(value) {
            again.add_command(command.clone());
        }
    }
    let repeated = connection.send_packed_commands(&again, 0, again.len()).await?;
    let missed = values.iter_mut().filter(|value| is_unknown_script(value));
    for (value, repeated) in missed.zip(repeated.into_iter().skip(loads)) {
        *value = repeated;
    }
    Ok(values)
}

/// Whether Redis did not know the script that it was to run.
pub(crate) fn is_unknown_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

#[cfg(test)]
mod tests;
