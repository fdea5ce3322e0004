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
    assert_eq!(kinds(&changed(&of("20/1m"), &of("20/1h"))), [ChangeKind::Changed]);
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

#[test]
fn an_older_review_can_be_compared_with() {
    let (loose, strict) = (text(READ, "10/1m", ""), text(STRICT, "10/1m", ""));
    let written = to_json(&reviewed(&text("auth: {any: [jwt]}", "10/1m", "")));
    let (document, options) = (document(&loose), IstioOptions::default());
    let compared = |old: &str| {
        let input = Input { before: Some(Before::Review(old)), ..input(&document, &options) };
        review(&input).map(|review| review.changes.unwrap())
    };
    let closed = compared(&written).unwrap();
    assert!(closed.iter().all(|change| change.kind != ChangeKind::Opened), "{closed:#?}");
    assert_eq!(compared(&to_json(&reviewed(&loose))).unwrap(), []);
    assert!(compared(&to_json(&reviewed(&strict))).is_ok());
    assert!(compared("{}").is_err());
    assert!(compared("nothing").is_err());
}
