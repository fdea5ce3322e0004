use super::*;

const NOW: u64 = 1_795_000_012_345;

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap())
}

/// As `standing` of circuit.lua returns it.
fn kept(state: &str, at: u64, probes: u64, forced: (&str, u64)) -> Vec<Value> {
    let (word, until) = forced;
    vec![int(NOW), text(state), int(3), int(NOW - 5), int(at), int(probes), text(word), int(until)]
}

fn circuit() -> CircuitAsk {
    CircuitAsk { service: "pay".to_owned(), settings: Settings::default() }
}

#[test]
fn a_standing_is_what_the_core_would_say() {
    let none = ("", 0);
    for (state, at, probes, forced, expected, waits) in [
        ("CLOSED", 0, 0, none, State::Closed, 0),
        ("CLOSED", NOW + 9, 0, none, State::Closed, 0),
        ("OPEN", NOW + 9, 0, none, State::Open, 9),
        ("OPEN", NOW, 0, none, State::HalfOpen, 0),
        ("HALF_OPEN", NOW + 9, 0, none, State::HalfOpen, 0),
        ("HALF_OPEN", NOW + 9, 1, none, State::HalfOpen, 9),
        ("HALF_OPEN", NOW, 1, none, State::HalfOpen, 0),
        ("OPEN", NOW + 9, 0, ("CLOSED", NOW + 1), State::Closed, 0),
        ("CLOSED", 0, 0, ("OPEN", NOW + 7), State::Open, 7),
        ("CLOSED", 0, 0, ("OPEN", NOW), State::Closed, 0),
    ] {
        let mut values = kept(state, at, probes, forced);
        values.push(int(12));
        let answer = Value::Array(values);
        let standing = standings(&answer, &[circuit()]).unwrap()[0];
        assert_eq!((standing.state, standing.retry_after_ms), (expected, waits), "{state} {at}");
        assert_eq!(standing.retry_at, (waits > 0).then_some(UnixMillis(NOW + waits)));
        let holds = forced.1 > NOW;
        assert_eq!(standing.forced.map(|forced| forced.until.0), holds.then_some(forced.1));
        assert_eq!((standing.failures, standing.reporters), (3, 12));
        assert_eq!(standing.last_failure, Some(UnixMillis(NOW - 5)));
    }
}

#[test]
fn a_report_says_what_it_has_moved() {
    let settings = Settings::default();
    for (moved, expected) in [
        (0, None),
        (1, Some((State::Open, Reason::ProbeFailed))),
        (2, Some((State::Closed, Reason::Recovered))),
    ] {
        let head = vec![int(moved), int(1), int(7), int(6), int(2)];
        let answer = Value::Array([head, kept("OPEN", NOW + 9, 0, ("", 0))].concat());
        let said = said(&answer, &settings).unwrap();
        assert!(said.judge);
        assert_eq!((said.version, said.cleared, said.now), (7, 6, UnixMillis(NOW)));
        let transition = said.reported.moved.map(|moved| (moved.to, moved.reason));
        assert_eq!(transition, expected);
        assert_eq!(said.reported.standing.reporters, 2);
    }
    let head = vec![int(1)];
    let answer = Value::Array([head, kept("OPEN", NOW + 9, 0, ("", 0))].concat());
    assert!(opened(&answer, &settings).unwrap().0);
    assert_eq!(
        granted(&Value::Array(vec![int(2), int(9)])),
        Some(Granted { probes: 2, life_ms: 9 })
    );
}

/// As `report.lua` keeps it: all of its calls in the newest slot.
fn packed(cleared: u64, heard: u64, run: u64, calls: u64) -> Vec<u8> {
    let numbers = [
        (9, 7),
        (heard, 7),
        (heard, 7),
        (run, 4),
        (cleared, 4),
        (0, 4),
        (0, 2),
        (1_000, 2),
        (heard / 1_000, 7),
        (calls, 3),
        (calls - 1, 3),
    ];
    let bytes = |(number, long): (u64, usize)| number.to_be_bytes()[8 - long..].to_vec();
    let mut packed: Vec<u8> = numbers.into_iter().flat_map(bytes).collect();
    packed.resize(RECORD_BYTES, 0);
    packed
}

#[test]
fn reporters_say_what_was_kept_of_them() {
    let settings = Settings::default();
    let now = UnixMillis(NOW);
    let fields = [
        ("own", packed(6, NOW - 1_000, 4, 5)),
        ("quiet", packed(6, NOW - 5_000, 3, 7)),
        ("forgotten", packed(6, NOW - 10_001, 3, 7)),
        ("before", packed(5, NOW, 3, 7)),
        ("count", b"2".to_vec()),
    ];
    let values = fields.map(|(name, value)| [text(name), Value::BulkString(value)]);
    let answer = Value::Array(values.concat());
    let said = reporters(&answer, &settings, 6, now).unwrap();
    let of = |calls, run, is_recent| ReporterTotals {
        totals: Totals { calls, failures: calls - 1, slow: 0 },
        run,
        is_recent,
    };
    assert_eq!(said, [of(5, 4, true), of(7, 3, false)]);
    assert_eq!(reporters(&Value::Array(Vec::new()), &settings, 0, now), Some(Vec::new()));
}

#[test]
fn anything_else_is_not_an_answer() {
    let settings = Settings::default();
    let short = Value::Array(vec![int(0), int(0), int(1)]);
    for answer in [Value::Okay, Value::Nil, short, Value::Array(Vec::new())] {
        assert!(said(&answer, &settings).is_none(), "{answer:?}");
        assert!(standings(&answer, &[circuit()]).is_none(), "{answer:?}");
    }
    let odd = Value::Array([kept("OPENED", 0, 0, ("", 0)), vec![int(0)]].concat());
    assert!(standings(&odd, &[circuit()]).is_none());
    assert!(granted(&Value::Okay).is_none());
    assert!(reporters(&Value::Okay, &settings, 0, UnixMillis(NOW)).is_none());
}
