use postern_circuit::{Probes, Settings};
use postern_leases::ledger::LATE_MS;
use postern_leases::{Ask, Start, Terms};
use postern_limits::{InFlight, Rate};

use super::*;

/// The arguments of a command; packed ones as the numbers that they hold.
fn words(command: &Cmd) -> Vec<String> {
    let packed = command.get_packed_command();
    let mut rest = packed.split_at(packed.iter().position(|byte| *byte == b'\n').unwrap() + 1).1;
    let mut words = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\r').unwrap();
        let length: usize = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
        words.push(readable(&rest[end + 2..end + 2 + length]));
        rest = &rest[end + length + 4..];
    }
    words
}

fn readable(argument: &[u8]) -> String {
    let long = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    match argument {
        text if text.iter().all(u8::is_ascii_graphic) => String::from_utf8(text.to_vec()).unwrap(),
        [flags, rest @ ..] if argument.len() == 16 => {
            let (circuit, keys) = rest.split_at(7);
            let (interval, most) = (long(&circuit[..5]), long(&circuit[5..]));
            format!("{flags}:{interval}:{most}:{}:{}", long(&keys[..4]), long(&keys[4..]))
        }
        [letter, rest @ ..] => {
            let (numbers, id) = rest.split_at(35);
            let numbers: Vec<String> =
                numbers.chunks(7).map(|number| long(number).to_string()).collect();
            let id = std::str::from_utf8(id).unwrap();
            format!("{} {} {id}", char::from(*letter), numbers.join(" ")).trim_end().to_owned()
        }
        [] => String::new(),
    }
}

fn key(owner: u64, last: u8) -> LimitKey {
    let mut hash = [0xab; 16];
    hash[15] = last;
    LimitKey { owner, hash }
}

fn rate(algorithm: Algorithm, text: &str, burst: Option<u64>, anchor: Anchor, cost: u64) -> Take {
    let spec = Spec::new(algorithm, Rate::parse(text).unwrap(), burst, anchor).unwrap();
    Take::Rate { spec, cost }
}

fn ask(key: LimitKey, take: Take) -> LimitAsk {
    LimitAsk { key, take, shadow: false }
}

fn decide(
    scripts: &Scripts,
    looks: bool,
    limits: &[LimitAsk],
    circuit: Option<&CircuitAsk>,
) -> Cmd {
    super::decide(scripts, std::iter::once(Question { looks, limits, circuit }))
}

#[test]
fn every_algorithm_has_its_key_and_its_arguments() {
    use Algorithm::{FixedWindow, Gcra, SlidingLog, SlidingWindow, TokenBucket};
    let in_flight = InFlight::new(50, 60_000).unwrap();
    for (take, prefix, arguments) in [
        (rate(SlidingWindow, "9/1m", None, Anchor::Clock, 2), "window", "w 2 9 60000 1 9"),
        (
            rate(SlidingWindow, "4294967295/1h", None, Anchor::Clock, 0),
            "window",
            "w 0 4294967295 360000 10 4294967295",
        ),
        (rate(FixedWindow, "9/1m", None, Anchor::Clock, 1), "window", "f 1 9 60000 1 9"),
        (rate(FixedWindow, "9/1m", None, Anchor::FirstHit, 1), "window", "h 1 9 60000 1 9"),
        (rate(FixedWindow, "9/1mo", None, Anchor::Clock, 1), "window", "m 1 9 2678400000 1 9"),
        (rate(TokenBucket, "9/1m", Some(5), Anchor::Clock, 1), "bucket", "b 1 9 60000 1 5"),
        (rate(Gcra, "9/1m", Some(5), Anchor::Clock, u64::MAX), "gcra", "g 6 9 60000 1 5"),
        (rate(SlidingLog, "9/1m", None, Anchor::Clock, 9), "log", "l 9 9 60000 1 9"),
        (
            Take::InFlight { spec: in_flight, id: u64::MAX },
            "inflight",
            "i 1 50 60000 0 0 18446744073709551615",
        ),
    ] {
        let key = key(0x1f, 0xcd);
        let scripts = Scripts::default();
        let decide = words(&decide(&scripts, false, &[ask(key, take)], None));
        let name = format!("postern:rate:{prefix}:{{000000000000001f}}:{}cd", "ab".repeat(15));
        assert_eq!(decide[0], "EVALSHA");
        assert_eq!(decide[2..], ["1", &name, "1:0:0:1:1", arguments]);
        let given_back = words(&give_back(&scripts, &[GiveBack { key, take }]));
        assert_eq!(given_back[2..], ["1", &name, arguments]);
        assert!(words(&forget(key)).contains(&name), "{name}");
    }
}

#[test]
fn binding_limits_are_asked_first_and_circuits_before_them() {
    let window = rate(Algorithm::SlidingWindow, "9/1m", None, Anchor::Clock, 1);
    let limits = [
        LimitAsk { shadow: true, ..ask(key(1, 1), window) },
        ask(key(1, 2), window),
        ask(key(2, 3), window),
    ];
    let circuit = CircuitAsk {
        service: "payments".to_owned(),
        settings: Settings {
            probes: Probes { per_interval: 3, interval_ms: 2_000, successes: 1 },
            ..Settings::default()
        },
    };
    let packed = words(&decide(&Scripts::default(), true, &limits, Some(&circuit)));
    assert_eq!(packed[2..4], ["4", "postern:circuit:{payments}"]);
    for (key, end) in packed[4..7].iter().zip(["02", "03", "01"]) {
        assert!(key.ends_with(end), "{packed:?}");
    }
    let window = "w 1 9 60000 1 9";
    let expected = "2:2000:3:2:4";
    assert_eq!(packed[7], expected, "looks, three probes in 2 s, two are binding, four keys");
    assert_eq!(packed[8..], [window, window, window]);
}

#[test]
fn requests_share_a_call() {
    let window = rate(Algorithm::SlidingWindow, "9/1m", None, Anchor::Clock, 1);
    let bucket = rate(Algorithm::TokenBucket, "9/1m", None, Anchor::Clock, 1);
    let (first, second) =
        ([ask(key(1, 1), window)], [ask(key(1, 2), bucket), ask(key(2, 3), window)]);
    let of = |limits| Question { looks: false, limits, circuit: None };
    let scripts = Scripts::default();
    let packed = words(&super::decide(&scripts, [of(&first), of(&second)].into_iter()));
    assert_eq!(packed[2], "3");
    for (key, end) in packed[3..6].iter().zip(["01", "02", "03"]) {
        assert!(key.ends_with(end), "{packed:?}");
    }
    let (window, bucket) = ("w 1 9 60000 1 9", "b 1 9 60000 1 9");
    assert_eq!(packed[6..], ["1:0:0:1:1", window, "1:0:0:2:2", bucket, window]);
}

#[test]
fn a_key_that_is_there_twice_is_told() {
    let window = rate(Algorithm::SlidingWindow, "9/1m", None, Anchor::Clock, 1);
    let header = |keys: [u8; 3]| {
        let limits = keys.map(|last| ask(key(1, last), window));
        words(&decide(&Scripts::default(), false, &limits, None)).swap_remove(6)
    };
    assert_eq!(header([1, 2, 3]), "1:0:0:3:3");
    assert_eq!(header([1, 2, 1]), "5:0:0:3:3");
}

#[test]
fn numbers_have_seven_bytes() {
    assert_eq!(number(0x0102), [0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(number(u64::MAX), [0xff; 7]);
}

#[test]
fn a_lease_lies_beside_its_limit() {
    let scripts = Scripts::default();
    let key = key(0x1f, 0xcd);
    let end = format!("{{000000000000001f}}:{}cd", "ab".repeat(15));
    let id = LeaseId([0xa0; 16]);
    let terms = Terms::new(10, 20, 5000, Start::Strict).unwrap();
    for (algorithm, rate, prefix, late, arguments) in [
        (Algorithm::SlidingWindow, "1000/1m", "window", 60_000, "w 0 1000 60000 1 1000"),
        (Algorithm::FixedWindow, "1000/1d", "window", LATE_MS, "f 0 1000 86400000 1 1000"),
        (Algorithm::Gcra, "1000/1h", "gcra", LATE_MS, "g 0 1000 3600000 1 1000"),
    ] {
        let spec = Spec::new(algorithm, Rate::parse(rate).unwrap(), None, Anchor::Clock).unwrap();
        let keys = [prefix, "lease", "lent"].map(|of| format!("postern:rate:{of}:{end}"));
        let keys = [vec!["3".to_owned()], keys.to_vec()].concat();
        let id_hex = "a0".repeat(16);
        for (asked, at_most) in [(7, 7), (u64::MAX, 1000)] {
            let ask = LendAsk { key, spec, terms, ask: Ask { id, asked } };
            let packed = words(&lend(&scripts, &ask));
            assert_eq!(packed[2..6], keys);
            let expected = format!("{id_hex} {at_most} 200 5000 {late} {arguments}");
            assert_eq!(packed[6..].join(" "), expected);
            let back = TakeBack { key, spec, id, unused: asked };
            let packed = words(&take_back(&scripts, &back));
            assert_eq!(packed[2..6], keys);
            assert_eq!(packed[6..].join(" "), format!("{id_hex} {at_most} {late} {arguments}"));
        }
        for name in &keys[1..] {
            assert_eq!(Slot::for_key(name), slot(key), "{name}");
            assert!(words(&forget(key)).contains(name), "{name}");
        }
    }
}

#[test]
fn an_owner_has_one_slot() {
    // redis-cli CLUSTER KEYSLOT 'postern:rate:window:{000000000000001f}:ab'
    assert_eq!(slot(key(0x1f, 1)), Slot::for_key("postern:rate:window:{000000000000001f}:ab"));
    assert_eq!(slot(key(0x1f, 1)), slot(key(0x1f, 2)));
    assert_ne!(slot(key(0x1f, 1)), slot(key(0x20, 1)));
}

#[test]
fn what_is_remembered_ends_by_itself() {
    let key = format!("postern:dpop:jti:{{{}}}", "a0".repeat(32));
    let packed = words(&remember(ReplayKey([0xa0; 32]), 75_000));
    assert_eq!(packed[..6], ["SET", key.as_str(), "1", "NX", "PX", "75000"]);
    assert_eq!(words(&remember(ReplayKey([0xa0; 32]), 0))[5], "1", "Redis takes no life of 0");
}
