//! Which answers are failures, by who made them.

use super::*;
use crate::{Ended, MadeBy, StatusRanges, Verdict};

const FAILURE: Verdict = Verdict::Failure { slow: false };
const SUCCESS: Verdict = Verdict::Success { slow: false };

fn by(details: &str, status: u16) -> Verdict {
    let made_by = MadeBy::Details(details);
    let ended = Ended::Answered { status, grpc: None, made_by, took_ms: 1 };
    Counts::default().judge(&ended, None)
}

#[test]
fn the_service_is_judged_by_its_status() {
    for (status, expected) in [(200, SUCCESS), (404, SUCCESS), (499, SUCCESS), (500, FAILURE)] {
        let ended = |made_by| Ended::Answered { status, grpc: None, made_by, took_ms: 1 };
        for made_by in [MadeBy::Upstream, MadeBy::Details("via_upstream")] {
            assert_eq!(Counts::default().judge(&ended(made_by), None), expected, "{status}");
        }
    }
}

#[test]
fn no_answer_is_a_failure_whatever_envoy_makes_of_it() {
    for details in [
        "no_healthy_upstream",
        "response_timeout",
        "upstream_response_timeout",
        "upstream_per_try_timeout",
        "upstream_per_try_idle_timeout",
        "upstream_max_stream_duration_reached",
        "upstream_reset_before_response_started{connection_termination}",
        "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_111}",
        "upstream_reset_before_response_started{connection_timeout}",
        "upstream_reset_before_response_started{protocol_error}",
        "upstream_reset_after_response_started{remote_reset}",
    ] {
        for status in [503, 504, 200, 0] {
            assert_eq!(by(details, status), FAILURE, "{details}");
        }
    }
}

#[test]
fn our_own_answers_say_nothing_of_the_service() {
    for details in [
        "",
        "-",
        "ext_authz_denied",
        "ext_authz_error",
        "ext_proc_error_gRPC_error_14",
        "rbac_access_denied_matched_policy[none]",
        "request_rate_limited",
        "direct_response",
        "route_not_found",
        "cluster_not_found",
        "maintenance_mode",
        "overload",
        "fault_filter_abort",
        "stream_idle_timeout",
        "request_overall_timeout",
        "downstream_remote_disconnect",
        "downstream_local_disconnect(on_idle_timeout)",
        "http1.codec_error",
        "upstream_reset_before_response_started{overflow}",
        "upstream_reset_before_response_started{overload_manager|x}",
        "something_new",
        "not_via_upstream",
    ] {
        assert_eq!(by(details, 503), Verdict::Ignored, "{details}");
    }
}

#[test]
fn callers_who_hang_up_say_nothing_either() {
    let reset = |by_caller| Ended::Reset { by_caller, took_ms: 60_000 };
    assert_eq!(Counts::default().judge(&reset(true), slow(50)), Verdict::Ignored);
    assert_eq!(Counts::default().judge(&reset(false), slow(50)), Verdict::Failure { slow: true });
}

#[test]
fn a_call_is_slow_that_took_longer_than_it_may() {
    let ended = |status, took_ms| {
        let made_by = MadeBy::Upstream;
        Ended::Answered { status, grpc: None, made_by, took_ms }
    };
    let judge = |status, took_ms| Counts::default().judge(&ended(status, took_ms), slow(50));
    assert_eq!(judge(200, 100), SUCCESS);
    assert_eq!(judge(200, 101), Verdict::Success { slow: true });
    assert_eq!(judge(500, 101), Verdict::Failure { slow: true });
    assert_eq!(Counts::default().judge(&ended(200, u64::MAX), None), SUCCESS);
}

#[test]
fn statuses_of_grpc_count_where_they_were_chosen() {
    let judge = |counts: Counts, status| {
        let made_by = MadeBy::Upstream;
        let ended = Ended::Answered { status: 200, grpc: Some(status), made_by, took_ms: 1 };
        counts.judge(&ended, None)
    };
    let chosen = Counts { grpc: Counts::GRPC_FAILURES, ..Counts::default() };
    let failures: Vec<u32> = (0..40).filter(|status| judge(chosen, *status) == FAILURE).collect();
    assert_eq!(failures, [4, 13, 14, 15]);
    assert!((0..40).all(|status| judge(Counts::default(), status) == SUCCESS));
    assert_eq!(judge(chosen, u32::MAX), SUCCESS);
}

#[test]
fn statuses_are_kept_as_a_set() {
    let set = StatusRanges::NONE.with(502, 504).with(500, 500).with(503, 599).with(429, 429);
    assert_eq!(set.ranges(), [(429, 429), (500, 500), (502, 599)]);
    assert_eq!(StatusRanges::NONE.with(500, 549).with(550, 599), StatusRanges::default());
    assert_eq!(StatusRanges::NONE.with(0, 99).with(600, u16::MAX), StatusRanges::NONE);
    assert_eq!(StatusRanges::NONE.with(504, 500), StatusRanges::NONE, "backwards is nothing");
    let all = StatusRanges::NONE.with(0, u16::MAX);
    assert_eq!(all.ranges(), [(100, 599)]);
    for status in 0..=u16::MAX {
        assert_eq!(all.contains(status), (100..=599).contains(&status), "{status}");
    }
}
