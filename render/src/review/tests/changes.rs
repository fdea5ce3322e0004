//! What a change opens and closes.

use super::*;

fn text(auth: &str, limit: &str, more: &str) -> String {
    gateway(&format!(
        "  per-user: {{key: [claim.sub], mode: local, rate: {limit}}}\nroutes:\n\
         - {{name: a, match: {{path: /a}}, service: shop, limits: [few, per-user], {auth}}}\n{more}"
    ))
}

fn changed(before: &str, after: &str) -> Vec<Change> {
    let (before, after) = (document(before), document(after));
    let options = IstioOptions::default();
    let before = Some(Before::Document(&before, None));
    let input = Input { before, ..input(&after, &options) };
    review(&input).unwrap().changes.unwrap()
}

fn kinds(changes: &[Change]) -> Vec<ChangeKind> {
    let mut kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

const STRICT: &str = "auth: {any: [jwt], scopes: [read, write]}";

#[test]
fn no_change_is_no_change() {
    let same = text(READ, "10/1m", "");
    assert_eq!(changed(&same, &same), []);
}

#[test]
fn a_scope_that_goes_opens_and_one_that_comes_closes() {
    let (loose, strict) = (text(READ, "10/1m", ""), text(STRICT, "10/1m", ""));
    let opened = changed(&strict, &loose);
    assert_eq!(kinds(&opened), [ChangeKind::Opened], "{opened:#?}");
    assert!(opened.iter().any(|change| change.after == "forwarded to shop"), "{opened:#?}");
    assert_eq!(kinds(&changed(&loose, &strict)), [ChangeKind::Closed]);
}

#[test]
fn a_new_open_route_opens() {
    let more = "- {name: b, match: {path: /b}, service: shop, limits: [few], auth: none}\n";
    let (before, after) = (text(READ, "10/1m", ""), text(READ, "10/1m", more));
    let changes = changed(&before, &after);
    let opens = |change: &Change| {
        change.kind == ChangeKind::Opened
            && change.subject == "routes.b"
            && change.caller == "nobody"
            && change.before.starts_with("404")
    };
    assert!(changes.iter().any(opens), "{changes:#?}");
}

#[test]
fn limits_open_and_close_by_what_they_allow() {
    let of = |rate: &str| text(READ, rate, "");
    assert_eq!(kinds(&changed(&of("10/1m"), &of("20/1m"))), [ChangeKind::Opened]);
    assert_eq!(kinds(&changed(&of("20/1m"), &of("10/1m"))), [ChangeKind::Closed]);
    // What counts is how many pass in time, and at once.
    assert_eq!(kinds(&changed(&of("20/1m"), &of("20/1h"))), [ChangeKind::Closed]);
    assert_eq!(kinds(&changed(&of("20/1h"), &of("20/1s"))), [ChangeKind::Opened]);
    assert_eq!(kinds(&changed(&of("20/1m"), &of("1200/1h"))), [ChangeKind::Opened]);
    let without = of("10/1m").replace("limits: [few, per-user]", "limits: [few]");
    assert_eq!(kinds(&changed(&of("10/1m"), &without)), [ChangeKind::Opened]);
}

#[test]
fn what_holds_while_the_server_is_away_is_a_change() {
    let deny = text("auth: {any: [jwt], scopes: [read]}, ext_authz: true", "10/1m", "");
    let allow = deny.replace("services:\n", "failures: {ext_authz: allow}\nservices:\n");
    assert!(kinds(&changed(&deny, &allow)).contains(&ChangeKind::Opened));
    assert!(!kinds(&changed(&allow, &deny)).contains(&ChangeKind::Opened));
}

/// Whether a fact about a route is told to open, and with a request.
fn opens(changes: &[Change], subject: &str, before: &str, after: &str) -> bool {
    changes.iter().any(|change| {
        change.kind == ChangeKind::Opened
            && (change.subject.as_str(), change.before.as_str(), change.after.as_str())
                == (subject, before, after)
            && change.request.contains("https://")
    })
}

#[test]
fn a_route_by_another_name_hides_nothing() {
    let before = text(READ, "10/1m", "");
    let renamed = before.replace("name: a,", "name: b,");
    assert_eq!(kinds(&changed(&before, &renamed)), [ChangeKind::Changed], "it is the same");
    let after = renamed.replace("limits: [few, per-user]", "limits: [few]");
    let changes = changed(&before, &after);
    assert!(opens(&changes, "routes.b.limits", "few, per-user", "few"), "{changes:#?}");
    assert_eq!(kinds(&changed(&after, &before)), [ChangeKind::Closed]);
}

#[test]
fn requests_that_come_to_a_narrower_route_lose_nothing_unseen() {
    let wide = gateway(&format!("routes:\n{}", route("a", "/a/{rest=**}", READ)));
    let narrow = format!("- {{name: b, match: {{path: /a/b}}, service: shop, {READ}}}\n");
    let changes = changed(&wide, &format!("{wide}{narrow}"));
    assert!(opens(&changes, "routes.b.limits", "few", "nothing"), "{changes:#?}");
}

/// Whoever had what the narrower route asked for is refused by the wider one: that is not all.
#[test]
fn requests_that_fall_to_a_wider_route_open_for_its_callers() {
    let wide = gateway(&format!("routes:\n{}", route("a", "/a/{rest=**}", READ)));
    let admin = "auth: {any: [jwt], scopes: [admin]}";
    let before = format!("{wide}{}", route("b", "/a/b", admin));
    let changes = changed(&before, &wide);
    assert!(opens(&changes, "routes.a.auth.scopes", "admin", "read"), "{changes:#?}");
    let options = IstioOptions::default();
    let written = to_json(&review(&input(&document(&before), &options)).unwrap());
    let changes = compared(&written, &document(&wide), NOW).unwrap();
    assert!(opens(&changes, "routes.a.auth.scopes", "admin", "read"), "{changes:#?}");
}

#[test]
fn what_only_paths_that_cross_show_opens() {
    let open = route("open", "/a/{x}/c", "auth: none");
    let one = |narrow: &str| gateway(&format!("routes:\n{}{open}", route("narrow", narrow, READ)));
    let without = gateway(&format!("routes:\n{open}"));
    for narrow in ["/a/b/{y}", "/a/b/{y=**}", "/{z}/b/c/{y=**}"] {
        let changes = changed(&one(narrow), &without);
        let meets = narrow != "/{z}/b/c/{y=**}";
        let is_told = changes.iter().any(|change| {
            change.kind == ChangeKind::Opened
                && change.caller == "nobody"
                && change.request.contains("/a/b/c")
        });
        assert_eq!(is_told, meets, "{narrow}: {changes:#?}");
    }
}

/// What becomes of comparing a document with a review that was written at some time.
fn compared(old: &str, document: &Document, now: UnixMillis) -> Result<Vec<Change>, NoReview> {
    let options = IstioOptions::default();
    let input = Input { before: Some(Before::Review(old)), now, ..input(document, &options) };
    review(&input).map(|review| review.changes.unwrap())
}

#[test]
fn an_older_review_can_be_compared_with() {
    let (loose, strict) = (text(READ, "10/1m", ""), text(STRICT, "10/1m", ""));
    let document = document(&loose);
    let compared = |old: &str| compared(old, &document, NOW);
    let closed = compared(&to_json(&reviewed(&text("auth: {any: [jwt]}", "10/1m", "")))).unwrap();
    assert_eq!(kinds(&closed), [ChangeKind::Closed], "{closed:#?}");
    assert_eq!(compared(&to_json(&reviewed(&loose))).unwrap(), []);
    let opened = compared(&to_json(&reviewed(&strict))).unwrap();
    assert_eq!(kinds(&opened), [ChangeKind::Opened], "{opened:#?}");
    assert!(compared("{}").is_err());
    assert!(compared("nothing").is_err());
}

#[test]
fn the_requests_of_an_older_review_are_asked_again() {
    let strict = text(STRICT, "10/1m", "");
    let old = to_json(&reviewed(&strict));
    let opened = compared(&old, &document(&text("auth: {any: [jwt]}", "10/1m", "")), NOW).unwrap();
    let asked = |change: &Change| {
        change.caller == "a token without read write"
            && change.before.starts_with("403")
            && change.after == "forwarded to shop"
            && change.request.starts_with("GET https://")
    };
    assert!(opened.iter().any(asked), "{opened:#?}");
    // Tokens of a year ago would be over by now.
    let later = UnixMillis(NOW.0 + 366 * 86_400_000);
    assert_eq!(compared(&old, &document(&strict), later).unwrap(), []);
}

#[test]
fn a_review_that_lacks_what_is_compared_is_none() {
    let text = text(STRICT, "10/1m", "");
    let document = document(&text);
    for missing in ["facts", "asked", "document", "version"] {
        let mut old: serde_json::Value = serde_json::from_str(&to_json(&reviewed(&text))).unwrap();
        old.as_object_mut().unwrap().remove(missing);
        let told = compared(&old.to_string(), &document, NOW).unwrap_err().to_string();
        assert!(told.contains(missing), "{told}");
    }
    let mut old: serde_json::Value = serde_json::from_str(&to_json(&reviewed(&text))).unwrap();
    old["asked"][0]["shown"] = serde_json::json!({"claims": 7});
    old["asked"][1]["target"] = serde_json::Value::Null;
    let told = compared(&old.to_string(), &document, NOW).unwrap_err().to_string();
    assert!(told.contains("`asked[0]` cannot be read"), "{told}");
}

#[test]
fn what_many_routes_have_in_common_is_told_once() {
    let of = |count: usize, auth: &str| {
        let routes: String =
            (0..count).map(|at| route(&format!("r{at}"), &format!("/r{at}"), auth)).collect();
        gateway(&format!("routes:\n{routes}"))
    };
    let subjects = |count: usize| -> Vec<String> {
        let changes = changed(&of(count, STRICT), &of(count, READ));
        let of_scopes = |change: &&Change| change.subject.contains(".auth.scopes");
        changes.iter().filter(of_scopes).map(|change| change.subject.clone()).collect()
    };
    assert_eq!(subjects(5), ["routes.r0.auth.scopes and 4 more"]);
    assert_eq!(subjects(2), ["routes.r0.auth.scopes", "routes.r1.auth.scopes"]);
}

#[test]
fn every_value_of_both_documents_is_asked_for() {
    let of = |claims: &str| {
        text(&format!("auth: {{any: [jwt], claims: {{role: {claims}}}}}"), "9/1m", "")
    };
    let changes = changed(&of("[admin]"), &of("[admin, user]"));
    let asked = |change: &Change| {
        change.kind == ChangeKind::Opened
            && change.caller == "a good token whose role is user"
            && change.before.starts_with("403")
            && change.after == "forwarded to shop"
    };
    assert!(changes.iter().any(asked), "{changes:#?}");
}

#[test]
fn a_host_of_the_examples_hides_no_other_host() {
    let of = |hosts: &str| {
        gateway(&format!(
            "routes:\n- {{name: a, match: {{path: /a{hosts}}}, service: shop, limits: [few], {READ}}}\n"
        ))
    };
    let changes = changed(&of(", hosts: [api.example.test]"), &of(""));
    let asked = |change: &Change| {
        change.kind == ChangeKind::Opened && change.request.contains("postern-review.invalid")
    };
    assert!(changes.iter().any(asked), "{changes:#?}");
}

#[test]
fn what_is_good_by_one_document_is_told_from_what_is_good_by_the_other() {
    let of = |scopes: &str, service: &str| {
        let routes = format!(
            "  other: {{upstream: 'other.test:80'}}\nroutes:\n- {{name: a, match: {{path: /a}}, \
             service: {service}, auth: {{any: [jwt, api_key]{scopes}}}}}\n"
        );
        gateway(&routes)
            .replace("credentials:\n", "credentials:\n  api_key: {}\n")
            .replace("limits:\n  few: {key: [ip], mode: local, rate: 10/1m}\n", "")
    };
    let rows = |before: &str, after: &str| -> Vec<(ChangeKind, String)> {
        let changes = changed(&of(before, "shop"), &of(after, "shop")).into_iter();
        let asked = changes.filter(|change| change.request.starts_with("GET "));
        asked.map(|change| (change.kind, change.caller)).collect()
    };
    let row = |kind: ChangeKind, caller: &str| (kind, caller.to_owned());
    let renamed = rows(", scopes: [write]", ", scopes: [read]");
    for (kind, expected) in [
        (ChangeKind::Opened, "a token good from now on (read)"),
        (ChangeKind::Closed, "a token good until now (write)"),
        (ChangeKind::Opened, "an API key good from now on (read)"),
        (ChangeKind::Closed, "an API key good until now (write)"),
    ] {
        assert!(renamed.contains(&row(kind, expected)), "{expected}: {renamed:#?}");
    }
    let mut once = renamed.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), renamed.len(), "{renamed:#?}");
    assert!(!renamed.iter().any(|(_, caller)| caller.starts_with("a good")), "{renamed:#?}");
    // What is good by both has one name.
    let moved = changed(&of("", "shop"), &of("", "other"));
    assert!(moved.iter().any(|change| change.caller == "a good token"), "{moved:#?}");
}

#[test]
fn what_a_part_away_only_repeats_is_left_out() {
    let of = |scope: &str, more: &str| {
        gateway(&format!(
            "  all: {{key: [claim.sub], mode: exact, rate: 9/1m, when_store_fails: {more}}}\n\
             routes:\n- {{name: a, match: {{path: /a}}, service: shop, limits: [all], auth: {{any: \
             [jwt], scopes: [{scope}]}}}}\n"
        ))
    };
    let away = |before: &str, after: &str| -> Vec<String> {
        let callers = changed(before, after).into_iter().map(|change| change.caller);
        callers.filter(|caller| caller.ends_with(" away")).collect()
    };
    assert_eq!(away(&of("write", "deny"), &of("read", "deny")), [""; 0]);
    assert_eq!(away(&of("write", "allow"), &of("read", "allow")), [""; 0]);
    let opened = away(&of("read", "deny"), &of("read", "allow"));
    assert!(!opened.is_empty(), "{opened:#?}");
}
