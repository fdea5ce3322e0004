//! Runs a [`Plugin`] as a proxy-wasm module.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType, MetricType};

use crate::{Effects, EnvoyHost, HeaderList, HttpCall, Outcome, Plugin};

/// Bytes of an HTTP call's answer that are looked at.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Starts a module whose plugin is `P`. Call it from [`crate::filter!`] only.
pub fn run<P: Plugin>() {
    // Panic texts are logged only after this; there should be none, and if there is one it
    // must be seen.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> {
        Box::new(Root::<P> {
            plugin: Rc::new(RefCell::new(None)),
            uncounted_ms: 0,
            counters: Vec::new(),
            gauges: Vec::new(),
        })
    });
}

/// How often counters and gauges are handed to Envoy.
const COUNTS_MS: u64 = 1000;

struct Root<P> {
    plugin: Rc<RefCell<Option<P>>>,
    /// Milliseconds since counters were handed over.
    uncounted_ms: u64,
    /// Metric ids, in the order of [`Plugin::METRICS`].
    counters: Vec<u32>,
    /// And in that of [`Plugin::GAUGES`].
    gauges: Vec<u32>,
}

impl<P: Plugin> Context for Root<P> {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        // No headers at all is how the SDK tells a call that failed.
        let map = MapType::HttpCallResponseHeaders;
        let headers = if headers == 0 { HeaderList::new() } else { header_list(map) };
        let status = status_of(&headers);
        let size = body.min(MAX_ANSWER_BYTES);
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size);
        let body = body.ok().flatten().unwrap_or_default();
        if let Some(plugin) = &mut *self.plugin.borrow_mut() {
            match plugin.on_http_call_answer(EnvoyHost, token, status, &headers, &body) {
                Ok(calls) => send(plugin, &calls),
                Err(message) => log(LogLevel::Warn, &message),
            }
        }
    }
}

fn status_of(headers: &HeaderList) -> Option<u16> {
    let (_, status) = headers.iter().find(|(name, _)| name == ":status")?;
    core::str::from_utf8(status).ok()?.parse().ok()
}

/// Ids of metrics, in the order of their names.
fn define(kind: MetricType, names: &[&str]) -> Vec<u32> {
    let define = |name: &&str| hostcalls::define_metric(kind, name).ok();
    names.iter().filter_map(define).collect()
}

impl<P: Plugin> RootContext for Root<P> {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let configuration = configuration.ok().flatten().unwrap_or_default();
        match P::configure(EnvoyHost, &configuration) {
            Ok(plugin) => {
                self.counters = define(MetricType::Counter, P::METRICS);
                self.gauges = define(MetricType::Gauge, P::GAUGES);
                let tick = Duration::from_millis(plugin.tick_ms());
                *self.plugin.borrow_mut() = Some(plugin);
                // Nothing is asked of anybody before the first tick: Envoy configures one VM only
                // to see whether that works, and throws it away with its calls. It has no ticks.
                let _ = hostcalls::set_tick_period(tick);
                true
            }
            Err(messages) => {
                for message in messages {
                    log(LogLevel::Error, &message);
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(plugin) = &mut *self.plugin.borrow_mut() else { return };
        self.uncounted_ms = self.uncounted_ms.saturating_add(plugin.tick_ms());
        if self.uncounted_ms >= COUNTS_MS {
            self.uncounted_ms = 0;
            for (counter, value) in self.counters.iter().zip(plugin.take_counts()) {
                // An increment by zero is refused by Envoy as a bad argument.
                if let (1.., Ok(by)) = (value, i64::try_from(value)) {
                    let _ = hostcalls::increment_metric(*counter, by);
                }
            }
            for (gauge, value) in self.gauges.iter().zip(plugin.take_gauges()) {
                if let Some(value) = value {
                    let _ = hostcalls::record_metric(*gauge, value);
                }
            }
        }
        let calls = plugin.on_tick(EnvoyHost);
        send(plugin, &calls);
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { plugin: Rc::clone(&self.plugin), state: None }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn send<P: Plugin>(plugin: &mut P, calls: &[HttpCall]) {
    for call in calls {
        let token = dispatch(call);
        plugin.on_http_call_sent(EnvoyHost, call, token);
    }
}

fn dispatch(call: &HttpCall) -> Option<u32> {
    let mut headers = vec![(":path", call.path.as_str()), (":authority", call.authority.as_str())];
    if call.message.is_some() {
        headers.extend([
            (":method", "POST"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]);
    } else {
        headers.extend([(":method", "GET"), ("accept", "application/json")]);
    }
    let timeout = Duration::from_millis(call.timeout_ms);
    let body = call.message.as_deref();
    hostcalls::dispatch_http_call(&call.cluster, headers, body, Vec::new(), timeout).ok()
}

struct Stream<P: Plugin> {
    plugin: Rc<RefCell<Option<P>>>,
    state: Option<P::Stream>,
}

impl<P: Plugin> Context for Stream<P> {}

/// Envoy deletes a stream when it has ended, however it did. It enters the module for that in any
/// case; a callback for the end alone would be one entry more for every request.
impl<P: Plugin> Drop for Stream<P> {
    fn drop(&mut self) {
        if let (Some(state), Ok(mut plugin)) = (self.state.take(), self.plugin.try_borrow_mut()) {
            if let Some(plugin) = &mut *plugin {
                plugin.on_end(EnvoyHost, state);
            }
        }
    }
}

impl<P: Plugin> HttpContext for Stream<P> {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers = header_list(MapType::HttpRequestHeaders);
        let Ok(mut plugin) = self.plugin.try_borrow_mut() else { return refuse() };
        let Some(plugin) = &mut *plugin else { return refuse() };
        let mut effects = StreamEffects { map: MapType::HttpRequestHeaders };
        match plugin.on_request_headers(EnvoyHost, &headers, &mut effects) {
            Outcome::Continue(state) => {
                self.state = state;
                Action::Continue
            }
            Outcome::Deny(denial, state) => {
                self.state = Some(state);
                let headers = denial.headers.iter();
                let headers = headers.map(|(name, value)| (*name, value.as_str())).collect();
                answer(denial.status, headers, denial.body.as_bytes())
            }
            Outcome::Answer(fixed, state) => {
                self.state = Some(state);
                let headers = fixed.headers.iter();
                let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
                answer(fixed.status, headers.collect(), &fixed.body)
            }
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let trailers = header_list(MapType::HttpRequestTrailers);
        if let Ok(mut plugin) = self.plugin.try_borrow_mut() {
            if let Some(plugin) = &mut *plugin {
                let mut effects = StreamEffects { map: MapType::HttpRequestTrailers };
                plugin.on_request_trailers(&trailers, &mut effects);
            }
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let (Some(state), Ok(mut plugin)) = (&mut self.state, self.plugin.try_borrow_mut()) {
            if let Some(plugin) = &mut *plugin {
                let mut effects = StreamEffects { map: MapType::HttpResponseHeaders };
                plugin.on_response_headers(EnvoyHost, state, &mut effects);
            }
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, ends: bool) -> Action {
        if let Some(state) = &mut self.state
            && P::reads_body(state)
            && let Ok(mut plugin) = self.plugin.try_borrow_mut()
            && let Some(plugin) = &mut *plugin
        {
            let read = || {
                let piece = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size);
                piece.ok().flatten().unwrap_or_default()
            };
            plugin.on_response_body(EnvoyHost, state, size, &read, ends);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        if let (Some(state), Ok(mut plugin)) = (&mut self.state, self.plugin.try_borrow_mut()) {
            if let Some(plugin) = &mut *plugin {
                let trailers = StreamEffects { map: MapType::HttpResponseTrailers };
                plugin.on_response_trailers(EnvoyHost, state, &trailers);
            }
        }
        Action::Continue
    }
}

fn header_list(map: MapType) -> HeaderList {
    hostcalls::get_map_bytes(map).unwrap_or_default()
}

/// A request that cannot be decided on is denied.
fn refuse() -> Action {
    let _ = hostcalls::send_http_response(503, Vec::new(), None);
    Action::Pause
}

fn answer(status: u16, headers: Vec<(&str, &str)>, body: &[u8]) -> Action {
    let _ = hostcalls::send_http_response(u32::from(status), headers, Some(body));
    Action::Pause
}

fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, &format!("postern: {message}"));
}

struct StreamEffects {
    map: MapType,
}

impl Effects for StreamEffects {
    fn set_header(&mut self, name: &str, value: &str) {
        let _ = hostcalls::set_map_value_bytes(self.map, name, Some(value.as_bytes()));
    }

    fn add_header(&mut self, name: &str, value: &str) {
        let _ = hostcalls::add_map_value_bytes(self.map, name, value.as_bytes());
    }

    fn rewrite_header(&mut self, name: &str, value: &[u8]) {
        let _ = hostcalls::set_map_value_bytes(self.map, name, Some(value));
    }

    fn remove_header(&mut self, name: &str) {
        let _ = hostcalls::remove_map_value(self.map, name);
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(self.map, name).ok().flatten()
    }

    fn headers(&self) -> HeaderList {
        header_list(self.map)
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        let _ = hostcalls::set_property(vec![key], Some(value));
    }

    fn log(&mut self, message: &str) {
        log(LogLevel::Warn, message);
    }
}
