//! What any WASM filter of this kind costs: the same reads and writes that the bundle makes for
//! a request with a good token (all headers once, the clock, three identity headers,
//! correlation id, trace context, one filter-state value; two headers on the response), and no
//! logic at all. The bench measures the stages against it.

#[cfg(target_arch = "wasm32")]
mod filter {
    use proxy_wasm::hostcalls;
    use proxy_wasm::traits::{Context, HttpContext, RootContext};
    use proxy_wasm::types::{Action, ContextType, MapType};

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root) });
    }}

    struct Root;
    impl Context for Root {}
    impl RootContext for Root {
        fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
            Some(Box::new(Stream))
        }
        fn get_type(&self) -> Option<ContextType> {
            Some(ContextType::HttpContext)
        }
    }

    struct Stream;
    impl Context for Stream {}
    impl HttpContext for Stream {
        fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
            let map = MapType::HttpRequestHeaders;
            let headers = hostcalls::get_map_bytes(map).unwrap_or_default();
            let _ = core::hint::black_box((headers, hostcalls::get_current_time()));
            for (name, value) in [
                ("x-postern-subject", "user-1234"),
                ("x-postern-client", "bench"),
                ("x-postern-scopes", "content.read"),
                ("x-correlation-id", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
            ] {
                let _ = hostcalls::add_map_value_bytes(map, name, value.as_bytes());
            }
            let _ = hostcalls::set_property(vec!["postern.subject"], Some(b"user-1234"));
            Action::Continue
        }

        fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
            let _ = core::hint::black_box(hostcalls::get_current_time());
            for (name, value) in [
                ("x-correlation-id", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
                ("x-response-time", "0"),
            ] {
                let map = MapType::HttpResponseHeaders;
                let _ = hostcalls::add_map_value_bytes(map, name, value.as_bytes());
            }
            Action::Continue
        }
    }
}
