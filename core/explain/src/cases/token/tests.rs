use postern_document::yaml::parse;

use super::*;

const MADE: Made<'_> = Made {
    now_secs: 1000,
    token_id: "id",
    thumbprint: "print",
    algorithm: "RS256",
    key_id: Some("k"),
};

fn tokens(text: &str) -> Result<Vec<Token>, Vec<String>> {
    let mut problems = Problems::new(vec!["a.yaml".to_owned()]);
    let node = parse(text, 0, &mut problems).unwrap();
    let tokens = read(&node, &mut Room::new(), &mut problems);
    let found = problems.into_sorted();
    if found.is_empty() {
        return Ok(tokens);
    }
    Err(found.iter().map(ToString::to_string).collect())
}

#[test]
fn a_token_says_what_the_one_it_is_like_says_and_more() {
    let read = tokens(
        "late: {like: alice, expires_in: -1m, claims: {tenant: blue, exact: 7}}\n\
         alice: {issuer: i, subject: alice, audiences: [a, b], scopes: [x, y], tier: gold}\n\
         bare: {like: late, without: [tenant, sub], proof_key: true}\n",
    )
    .unwrap();
    assert_eq!(read[1].issuer(), Some("i"));
    assert_eq!(
        read[1].claims(&MADE),
        r#"{"jti":"id","iat":1000,"exp":1600,"iss":"i","sub":"alice","tier":"gold","aud":["a","b"],"scope":"x y"}"#
    );
    assert!(read[0].claims(&MADE).contains(r#""exp":940"#), "{}", read[0].claims(&MADE));
    let bare = read[2].claims(&MADE);
    assert!(bare.contains(r#""cnf":{"jkt":"print"}"#) && bare.contains(r#""exact":7"#));
    assert!(!bare.contains("sub\"") && !bare.contains("tenant"), "{bare}");
    assert_eq!(read[1].header(&MADE), r#"{"alg":"RS256","typ":"at+jwt","kid":"k"}"#);
}

#[test]
fn a_claim_that_is_said_anew_is_there_again() {
    let read =
        tokens("none: {subject: a, without: [tenant]}\nagain: {like: none, claims: {tenant: t}}\n")
            .unwrap();
    assert!(read[1].claims(&MADE).contains(r#""tenant":"t""#));
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let found = tokens(
        "a: {like: b}\n\
         b: {like: a}\n\
         c: {like: nobody}\n\
         d: {subjct: x}\n\
         e: {expires_in: soon}\n\
         f: {certificate: 9f86}\n\
         g: {signature: bad}\n\
         h: {scopes: read}\n",
    )
    .unwrap_err();
    for (line, word) in [
        (1, "like itself"),
        (2, "like itself"),
        (3, "no token `nobody`"),
        (4, "did you mean `subject`"),
        (5, "whole seconds"),
        (6, "64 hexadecimal"),
        (7, "good or wrong"),
        (8, "expected a list"),
    ] {
        let place = format!("a.yaml:{line}:");
        let is_there = |text: &String| text.starts_with(&place) && text.contains(word);
        assert!(found.iter().any(is_there), "no `{word}` in line {line}: {found:#?}");
    }
}

#[test]
fn what_tokens_say_has_an_end() {
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|at| format!("c{at}: 1")).collect();
        members.join(", ")
    };
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("n{at}")).collect();
        names.join(", ")
    };
    // The first one is like no other.
    let chain = |count: usize| {
        let others = (1..=count).map(|at| format!("t{at}: {{like: t{}}}\n", at - 1));
        format!("t0: {{subject: a}}\n{}", others.collect::<String>())
    };
    for (good, bad, word) in [
        (
            format!("a: {{claims: {{{}}}}}\n", members(100)),
            format!("a: {{claims: {{{}}}}}\n", members(101)),
            "more than 100",
        ),
        (
            format!("a: {{header: {{{}}}}}\n", members(100)),
            format!("a: {{header: {{{}}}}}\n", members(101)),
            "more than 100",
        ),
        (
            format!("a: {{without: [{}]}}\n", names(100)),
            format!("a: {{without: [{}]}}\n", names(101)),
            "more than 100",
        ),
        (chain(16), chain(17), "more than 16 tokens"),
    ] {
        assert!(tokens(&good).is_ok(), "{good}");
        let found = tokens(&bad).unwrap_err();
        let [one] = found.as_slice() else { panic!("{found:#?}") };
        assert!(one.contains(word), "{one}");
    }
    let many = |count: usize| (0..count).map(|at| format!("t{at}: {{}}\n")).collect::<String>();
    assert_eq!(tokens(&many(1000)).unwrap().len(), 1000);
    assert!(tokens(&many(1001)).unwrap_err()[0].contains("at most 1000 tokens"));
}

#[test]
fn what_tokens_are_like_counts_for_each_of_them() {
    let long = "x".repeat(64 * 1024);
    let like = |count: usize| -> String {
        let others = (0..count).map(|at| format!("t{at}: {{like: long}}\n"));
        format!("long: {{claims: {{c: {long}}}}}\n{}", others.collect::<String>())
    };
    assert_eq!(tokens(&like(400)).unwrap().len(), 401);
    let found = tokens(&like(600)).unwrap_err();
    let [one] = found.as_slice() else { panic!("{} problems", found.len()) };
    assert!(one.contains("more than 32 MiB") && one.starts_with("a.yaml:5"), "{one}");
}
