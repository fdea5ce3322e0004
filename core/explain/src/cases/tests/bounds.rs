//! How much a case file may ask for: each of these just fits, or is refused with its line.

use super::*;

/// Where the first case of these tests stands.
const FIRST: &str = "a.cases.yaml:10: ";

fn values(what: &str, count: usize) -> String {
    let all: Vec<String> = (0..count).map(|at| format!("{what}{at}")).collect();
    all.join(", ")
}

/// A case for each combination of so many methods and paths.
fn product(name: &str, methods: usize, paths: usize) -> String {
    let (methods, paths) = (values("M", methods), values("/p", paths));
    format!(
        "- {{name: {name}, each: {{method: [{methods}], path: [{paths}]}}, expect: {{status: 404}}}}\n"
    )
}

fn refused(cases: &str, place: &str, word: &str) {
    let found = read_cases(cases).unwrap_err();
    let [one] = found.as_slice() else { panic!("{} problems: {:?}", found.len(), found.first()) };
    assert!(one.starts_with(place) && one.contains(word), "no `{word}` in {one}");
}

#[test]
fn a_file_makes_so_many_cases_and_no_more() {
    assert_eq!(read_cases(&product("a", 100, 100)).unwrap()[0].cases.len(), 10_000);
    refused(&product("a", 101, 100), FIRST, "at most 10000 cases in a file");
    // Whatever came before counts, too.
    let both = product("a", 60, 100) + &product("b", 40, 100);
    assert_eq!(read_cases(&both).unwrap()[0].cases.len(), 10_000);
    let both = product("a", 60, 100) + &product("b", 41, 100);
    refused(&both, "a.cases.yaml:11: ", "at most 10000 cases in a file");
}

#[test]
fn a_case_that_cannot_be_read_counts_as_well() {
    let unknown = product("a", 9, 100).replace("name: a", "request: {token: bob}, name: a");
    for (methods, is_too_much) in [(91, false), (92, true)] {
        let found = read_cases(&(unknown.clone() + &product("b", methods, 100))).unwrap_err();
        let told = found.iter().any(|one| one.contains("at most 10000 cases"));
        assert_eq!(told, is_too_much, "{found:#?}");
    }
}

#[test]
fn names_have_an_end() {
    let named = |count: usize| {
        let name = "n".repeat(count);
        format!("- {{name: {name}, request: {{path: /a}}, expect: {{status: 404}}}}\n")
    };
    assert!(read_cases(&named(256)).is_ok());
    refused(&named(257), FIRST, "at most 256 bytes");
}

fn with_header(count: usize, each: &str) -> String {
    let value = "v".repeat(count);
    format!(
        "- {{name: a, {each}request: {{path: /a, headers: {{x-a: {value}}}}}, expect: {{status: 404}}}}\n"
    )
}

#[test]
fn the_text_of_a_case_has_an_end() {
    // More than Envoy takes.
    assert!(read_cases(&with_header(100 * 1024, "")).is_ok());
    refused(&with_header(257 * 1024, ""), FIRST, "at most 256 KiB");
    let placed = |count: usize| {
        let path = "{token.alice}".repeat(count);
        format!("- {{name: a, request: {{path: '/{path}'}}, expect: {{status: 404}}}}\n")
    };
    assert!(read_cases(&placed(10)).is_ok());
    refused(&placed(1000), FIRST, "with its tokens filled in");
}

#[test]
fn the_text_of_all_cases_has_an_end() {
    let each = |count: usize| format!("each: {{method: [{}]}}, ", values("M", count));
    assert_eq!(read_cases(&with_header(60_000, &each(500))).unwrap()[0].cases.len(), 500);
    refused(&with_header(60_000, &each(600)), FIRST, "more than 32 MiB");
    // Of several files, too.
    let source = |name: &str| Source {
        name: name.to_owned(),
        text: format!("{HEAD}{}", with_header(60_000, &each(300))),
    };
    assert!(read(&document(), &[source("a")]).is_ok());
    let found = read(&document(), &[source("a"), source("b")]).unwrap_err();
    assert_eq!((found.len(), found[0].file.as_str(), found[0].line), (1, "b", 10));
}

#[test]
fn what_a_token_says_is_not_looked_through_for_tokens() {
    let text = "version: 1\ntokens:\n  a: {text: '{token.b}{token.b}'}\n  b: {text: '{token.a}'}\n\
                cases:\n- name: a\n  request: {path: '/{token.b}/{token.a}/{token.{token.a}}/{token'}\n  \
                expect: {status: 404}\n";
    let source = Source { name: "a".to_owned(), text: text.to_owned() };
    let files = read(&document(), &[source]).unwrap();
    let sent = &files[0].cases[0].request;
    let filled = sent.fill_in(&sent.path, &|token| token.text().unwrap().to_owned());
    let a = "{token.b}{token.b}";
    assert_eq!(filled, format!("/{{token.a}}/{a}/{{token.{a}}}/{{token"));
}

#[test]
fn nobody_reads_more_than_so_many_problems() {
    let found = read_cases(&"- {}\n".repeat(3000)).unwrap_err();
    assert!((1000..1100).contains(&found.len()), "{}", found.len());
}

#[test]
fn a_message_lists_some_of_many_names() {
    let route = |at: usize| {
        format!("- {{name: r{at}, match: {{path: /r{at}}}, service: postern, auth: none}}\n")
    };
    let routes: String = (0..30).map(route).collect();
    let text = format!("version: 1\nroutes:\n{routes}");
    let source = Source { name: "d.yaml".to_owned(), text };
    let document = load(&[source], &|_| Err(String::new())).unwrap();
    let text =
        "version: 1\ncases:\n- {name: a, request: {path: /a}, expect: {status: 404, route: x}}\n";
    let source = Source { name: "a".to_owned(), text: text.to_owned() };
    let found = read(&document, &[source]).unwrap_err();
    let told = &found[0].message;
    assert!(told.contains("r0, r1") && told.ends_with("r19 and 10 more"), "{told}");
}
