//! What a filter asks of its host, and what the host asks of a filter.

use postern_filter_shared_data::SharedData;
use postern_request::{RenderedDenial, UnixMillis};

use crate::ForeignFunctions;

/// A request's headers, pseudo-headers included, in Envoy's order.
pub type HeaderList = Vec<(String, Vec<u8>)>;

/// What filters ask of the host while they decide on a request.
pub trait RequestHost: ForeignFunctions + SharedData {
    /// The wall clock.
    fn now(&self) -> UnixMillis;

    /// An attribute of the request, e.g. `["source", "address"]`.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;

    /// The process's seed for keyed hashes, and whether it is truly random.
    fn seed(&self) -> (u128, bool);
}

/// What filters do to a message.
pub trait Effects {
    /// Sets a header, in place of any of its name.
    fn set_header(&mut self, name: &str, value: &str);

    /// Adds a header of which the caller knows that the message has none, for a third less than
    /// [`Effects::set_header`] costs.
    fn add_header(&mut self, name: &str, value: &str);

    /// Sets a header to what is left of what the client sent under its name, in place of any of
    /// it. Bytes: nothing guarantees text.
    fn rewrite_header(&mut self, name: &str, value: &[u8]);

    /// Removes a header, however often it is there.
    fn remove_header(&mut self, name: &str);

    /// A header that Envoy or an upstream writes once, such as `:status`; the first of its name
    /// where it is there more often. What a client sends is read from the whole list.
    fn header(&self, name: &str) -> Option<Vec<u8>>;

    /// All headers of the message, pseudo-headers included.
    fn headers(&self) -> HeaderList;

    /// Writes `wasm.<key>` in the stream's filter state, for access logs and RBAC.
    fn set_filter_state(&mut self, key: &str, value: &[u8]);

    /// Writes a warning to Envoy's log. Never with what the client sent.
    fn log(&mut self, message: &str);
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<S> {
    /// It goes on; what is kept until it has ended.
    Continue(Option<S>),
    /// It is refused here.
    Deny(RenderedDenial, S),
    /// It is answered here, as the document says.
    Answer(Answer, S),
}

/// An answer in place of the service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body; empty where it has none.
    pub body: Vec<u8>,
}

/// A call that a plugin wants made: a GET, or a gRPC call with one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// What the plugin wants it for.
    pub purpose: usize,
    /// Envoy's cluster.
    pub cluster: String,
    /// `:authority`
    pub authority: String,
    /// `:path`
    pub path: String,
    /// Longest time for an answer.
    pub timeout_ms: u64,
    /// The framed message of a gRPC call; none for a GET.
    pub message: Option<Vec<u8>>,
}

/// A filter: the plain half of a module.
pub trait Plugin: Sized + 'static {
    /// What is kept of a request until it has ended.
    type Stream: 'static;

    /// Names of the counters, in the order of [`Plugin::take_counts`].
    const METRICS: &'static [&'static str];

    /// Names of the gauges, in the order of [`Plugin::take_gauges`].
    const GAUGES: &'static [&'static str];

    /// Makes the plugin of its configuration.
    ///
    /// # Errors
    /// Every problem; Envoy then refuses the configuration.
    fn configure(host: impl RequestHost, configuration: &[u8]) -> Result<Self, Vec<String>>;

    /// Milliseconds between ticks; the first one is that long after [`Plugin::configure`].
    fn tick_ms(&self) -> u64;

    /// At every tick: the calls that are due.
    fn on_tick(&mut self, host: impl RequestHost) -> Vec<HttpCall>;

    /// A call was sent, or could not be (no such cluster).
    fn on_http_call_sent(&mut self, host: impl RequestHost, call: &HttpCall, token: Option<u32>);

    /// A call was answered; without a status, and then without headers, it failed. The calls that
    /// follow at once, without waiting for a tick.
    ///
    /// # Errors
    /// What to log.
    fn on_http_call_answer(
        &mut self,
        host: impl RequestHost,
        token: u32,
        status: Option<u16>,
        headers: &HeaderList,
        body: &[u8],
    ) -> Result<Vec<HttpCall>, String>;

    /// What was counted since the last call.
    fn take_counts(&mut self) -> Vec<u64>;

    /// What holds now; none for what this VM does not know, and another one may. One gauge is
    /// written by all VMs of a process.
    fn take_gauges(&self) -> Vec<Option<u64>>;

    /// Decides on a request.
    fn on_request_headers(
        &mut self,
        host: impl RequestHost,
        headers: &HeaderList,
        effects: &mut dyn Effects,
    ) -> Outcome<Self::Stream>;

    /// Cleans a request's trailers.
    fn on_request_trailers(&mut self, trailers: &HeaderList, effects: &mut dyn Effects);

    /// Completes a response, whoever made it.
    fn on_response_headers(
        &mut self,
        host: impl RequestHost,
        stream: &mut Self::Stream,
        effects: &mut dyn Effects,
    );

    /// Whether pieces of a response's body are to be told. Asked for every piece of every body, so
    /// that it costs the others no more than this.
    fn reads_body(stream: &Self::Stream) -> bool;

    /// A piece of so many bytes goes by, which `read` copies; nothing holds it back. The last one
    /// where the response ends with it.
    fn on_response_body(
        &mut self,
        host: impl RequestHost,
        stream: &mut Self::Stream,
        size: usize,
        read: &dyn Fn() -> Vec<u8>,
        ends: bool,
    );

    /// Reads a response's trailers.
    fn on_response_trailers(
        &mut self,
        host: impl RequestHost,
        stream: &mut Self::Stream,
        trailers: &dyn Effects,
    );

    /// A request has ended, however it did: answered, refused, or broken off. What Envoy knows of
    /// it can still be asked.
    fn on_end(&mut self, host: impl RequestHost, stream: Self::Stream);
}
