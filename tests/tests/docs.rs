//! The documentation: its commands are run, its links lead somewhere, and the names in it exist.
//!
//! A block tagged `console` holds commands (lines that begin with `$ `) and what they print;
//! `…` stands for what differs from run to run. The commands of a page share a folder with the
//! sample document as `gateway.yaml` and a key file `key`. Tagged `console prepared`, there is
//! also a migrated database `postern.db` with one signing key, whose id is in `$KID`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postern_e2e::process::{self, Finished};
use postern_e2e::{env, server};
use serde_json::Value;
use tempfile::TempDir;

const LONGEST: Duration = Duration::from_secs(30);
/// Folders whose sources name metrics.
const SOURCES: [&str; 12] = [
    "core",
    "ext-authz",
    "ext-proc",
    "feed",
    "filters",
    "identity",
    "rate-limit",
    "render",
    "server",
    "store",
    "telemetry",
    "xds",
];
/// What would answer for the page's commands instead of their options.
const SETTINGS: [&str; 5] = [
    "POSTERN_DURABLE",
    "POSTERN_KEY_COMMAND",
    "POSTERN_KEY_ENCRYPTION_KEY",
    "POSTERN_KEY_FILE",
    "POSTERN_VOLATILE",
];

const NEEDS_A_REGISTRY: &str = "needs a registry; xtask's own tests read the layouts";
const NEEDS_IMAGES: &str = "needs images, which take minutes to build; xtask's own tests read them";

/// Commands that pages show and that are not run here, each with the reason.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "cargo build --release -p postern-server -p postern-sample-upstream",
        "`./dev test` has built the binaries that run here",
    ),
    (
        "postern-sample-upstream --address 127.0.0.1:9195",
        "runs until it is stopped; every end-to-end test has one",
    ),
    ("(umask 077; openssl rand -base64 32 > key)", "the page's folder has a key file"),
    ("envoy -c build/envoy.json", "runs until it is stopped; every end-to-end test has one"),
    (
        "envoy --mode validate -c build/envoy.json",
        "needs the module at that path; tests/cli.rs validates the same rendering",
    ),
    (
        "curl -i http://127.0.0.1:9194/health/ready",
        "needs a running server; the kit waits for it before every end-to-end test",
    ),
    (
        "curl -i -H \"Authorization: Bearer $(cat token)\" http://127.0.0.1:8080/content/items",
        "needs a running gateway; `./dev up --once` sends it",
    ),
    (
        "curl -u \"$(jq -r '.client_id + \":\" + .client_secret' client.json)\" -d \
         grant_type=client_credentials http://127.0.0.1:8080/oauth2/token",
        "needs a running gateway; `./dev up --once` sends it",
    ),
    (
        "skopeo copy --preserve-digests oci:target/images/postern-server:0.1.0 \
         docker://registry.example.test/postern-server:0.1.0",
        NEEDS_A_REGISTRY,
    ),
    (
        "skopeo copy --preserve-digests oci:target/images/postern-bundle:0.1.0 \
         docker://registry.example.test/postern-bundle:0.1.0",
        NEEDS_A_REGISTRY,
    ),
    (
        "oras cp --recursive --from-oci-layout target/images/postern-server:0.1.0 \
         registry.example.test/postern-server:0.1.0",
        NEEDS_A_REGISTRY,
    ),
    (
        "oras cp --recursive --from-oci-layout target/images/postern-bundle:0.1.0 \
         registry.example.test/postern-bundle:0.1.0",
        NEEDS_A_REGISTRY,
    ),
    (
        "skopeo inspect --format '{{.Digest}}' \
         docker://registry.example.test/postern-bundle:0.1.0",
        NEEDS_A_REGISTRY,
    ),
    ("oras discover registry.example.test/postern-bundle:0.1.0", NEEDS_A_REGISTRY),
    ("oras pull registry.example.test/postern-bundle:0.1.0-artifact", NEEDS_A_REGISTRY),
    (
        "podman run --rm --volume \"$PWD/gateway.yaml:/etc/postern/gateway.yaml:ro\" \
         --publish 9191:9191 registry.example.test/postern-server:0.1.0 serve \
         /etc/postern/gateway.yaml --grpc-address 0.0.0.0:9191",
        NEEDS_A_REGISTRY,
    ),
    ("jq -r '.[] | [.image, .tag, .digest] | @tsv' target/images.json", NEEDS_IMAGES),
    (
        "jq -r '.packages[] | [.name, .versionInfo, .licenseDeclared] | @tsv' \
         target/images/postern-server.spdx.json",
        NEEDS_IMAGES,
    ),
    (
        "jq -r '.packages[].externalRefs[]?.referenceLocator' \
         target/images/postern-bundle.spdx.json",
        NEEDS_IMAGES,
    ),
    (
        "jq '.predicate.buildDefinition.resolvedDependencies' \
         target/images/postern-server.provenance.json",
        NEEDS_IMAGES,
    ),
    (
        "kubectl diff --server-side -k build/istio",
        "needs a cluster; tests/render.rs checks the files",
    ),
    (
        "kubectl apply --server-side -k build/istio",
        "needs a cluster; tests/render.rs checks the files",
    ),
];

/// A page: its path within the repository and its text.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &str) -> Self {
        let text = fs::read_to_string(env::repository().join(path));
        let text = text.unwrap_or_else(|error| panic!("reading {path}: {error}"));
        Self { path: PathBuf::from(path), text }
    }

    /// All pages: the root's and everything under `docs`.
    fn all() -> Vec<Self> {
        let root = env::repository();
        let mut files = files_of(&root.join("docs"), "md");
        let in_root = fs::read_dir(&root).expect("the repository");
        files.extend(in_root.map(|entry| entry.expect("an entry").path()).filter(|p| is(p, "md")));
        files.sort();
        let relative = |file: &PathBuf| {
            file.strip_prefix(&root).expect("a file of the repository").display().to_string()
        };
        files.iter().map(|file| Self::read(&relative(file))).collect()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Its lines outside of blocks, with their numbers.
    fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut lines = Vec::new();
        for (at, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push((at + 1, line));
            }
        }
        lines
    }

    /// What stands between backticks outside of blocks.
    fn code(&self) -> BTreeSet<&str> {
        self.prose().into_iter().flat_map(|(_, line)| line.split('`').skip(1).step_by(2)).collect()
    }
}

/// One command of a page.
struct Step {
    line: usize,
    command: String,
    exits: i32,
    /// Lines that it prints, with `…` for what differs.
    prints: Vec<String>,
}

/// The commands of a page in order, and whether one of its blocks wants a prepared database.
fn steps(page: &Page) -> (Vec<Step>, bool) {
    let mut steps: Vec<Step> = Vec::new();
    let mut prepared = false;
    let mut lines = page.text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(tag) = line.trim_start().strip_prefix("```console") else {
            // Another block: up to its end, so that nothing in it is taken for the start of one.
            if line.trim_start().starts_with("```") {
                for (_, line) in lines.by_ref() {
                    if line.trim() == "```" {
                        break;
                    }
                }
            }
            continue;
        };
        prepared |= tag.trim() == "prepared";
        let before = steps.len();
        while let Some((at, line)) = lines.next() {
            let line = line.trim();
            if line == "```" {
                break;
            }
            if let Some(command) = line.strip_prefix("$ ") {
                let mut command = command.to_owned();
                while let Some(begun) = command.strip_suffix('\\') {
                    let (_, next) = lines.next().expect("a line after a backslash");
                    command = format!("{} {}", begun.trim_end(), next.trim());
                }
                steps.push(Step::new(at + 1, &command));
            } else {
                let place = format!("{}:{}", page.name(), at + 1);
                let step = steps.get_mut(before..).and_then(<[Step]>::last_mut);
                let step = step.unwrap_or_else(|| panic!("{place}: begin with a command"));
                step.prints.push(line.to_owned());
            }
        }
    }
    (steps, prepared)
}

impl Step {
    fn new(line: usize, command: &str) -> Self {
        let (command, exits) = match command.rsplit_once("# exits ") {
            Some((command, code)) => (command, code.trim().parse().expect("an exit code")),
            None => (command, 0),
        };
        Self { line, command: command.trim().to_owned(), exits, prints: Vec::new() }
    }

    /// What is wrong with how it went.
    fn judge(&self, finished: &Finished) -> Option<String> {
        if finished.code != Some(self.exits) {
            return Some(format!("should exit with {}: {finished}", self.exits));
        }
        let printed = format!("{}\n{}", finished.stdout, finished.stderr);
        let is_missing = |line: &&String| !printed.lines().any(|found| holds(line, found.trim()));
        let missing = self.prints.iter().find(is_missing)?;
        Some(format!("does not print `{missing}`: {finished}"))
    }
}

/// Whether a line is as the page says; `…` stands for anything.
fn holds(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// Where the commands of one page run.
struct Place {
    folder: TempDir,
    path: OsString,
    kid: Option<String>,
}

impl Place {
    async fn new(prepared: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sample = env::repository().join("envoy").join("sample.yaml");
        fs::copy(sample, folder.path().join("gateway.yaml")).expect("a copy of the sample");
        let programs = folder.path().join(".bin");
        fs::create_dir(&programs).expect("a folder for the binary");
        let binary = fs::canonicalize(env::postern()).expect("the binary");
        std::os::unix::fs::symlink(binary, programs.join("postern")).expect("a link");
        let present = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs).chain(std::env::split_paths(&present));
        let path = std::env::join_paths(path).expect("a PATH");

        let mut place = Self { folder, path, kid: None };
        if prepared {
            let durable = server::Durable::prepare(place.folder.path()).await;
            let list = server::run(durable.arguments(&["keys", "list", "--json"])).await;
            let list: Value = serde_json::from_str(&list.expect_success()).expect("JSON");
            place.kid = Some(list[0]["kid"].as_str().expect("a key").to_owned());
        } else {
            // Writes the key file, which every page may use.
            let _ = server::Durable::new(place.folder.path());
        }
        place
    }

    async fn run(&self, command: &str) -> Finished {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.folder.path()).env("PATH", &self.path);
        for name in SETTINGS {
            shell.env_remove(name);
        }
        if let Some(kid) = &self.kid {
            shell.env("KID", kid);
        }
        process::run(shell, LONGEST).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_its_page_says() {
    let dev = Dev::read();
    let mut problems = Vec::new();
    let mut shown = BTreeSet::new();
    for page in Page::all() {
        let (steps, prepared) = steps(&page);
        if steps.is_empty() {
            continue;
        }
        let place = Place::new(prepared).await;
        for step in steps {
            let problem = match step.command.split_whitespace().next() {
                Some("postern") => {
                    // A server runs until it is stopped: its options are read, and no more.
                    let serves = step.command.starts_with("postern serve ");
                    let help = if serves { " --help" } else { "" };
                    step.judge(&place.run(&format!("{}{help}", step.command)).await)
                }
                // What makes files for the command after it, or looks at what it wrote.
                Some("printf" | "grep" | "sed") => step.judge(&place.run(&step.command).await),
                Some("./dev") => dev.problem(&step.command),
                _ if NOT_RUN.iter().any(|(command, _)| *command == step.command) => None,
                _ => Some("unknown; run it, or say in NOT_RUN why not".to_owned()),
            };
            if let Some(problem) = problem {
                problems.push(format!(
                    "{}:{}: `{}` {problem}",
                    page.name(),
                    step.line,
                    step.command
                ));
            }
            shown.insert(step.command);
        }
    }
    for (command, _) in NOT_RUN {
        if !shown.contains(*command) {
            problems.push(format!("NOT_RUN: no page shows `{command}` any more"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What `./dev` takes, as xtask declares it.
struct Dev {
    source: String,
    commands: BTreeSet<String>,
    suites: BTreeSet<String>,
}

impl Dev {
    fn read() -> Self {
        let source = fs::read_to_string(env::repository().join("xtask/src/cli.rs"));
        let source = source.expect("xtask's command line");
        let commands = variants(&source, "Command");
        let suites = variants(&source, "Suite");
        assert!(commands.contains("up") && suites.contains("e2e"), "{commands:?} {suites:?}");
        Self { source, commands, suites }
    }

    fn problem(&self, command: &str) -> Option<String> {
        let mut words = command.split_whitespace().skip(1).take_while(|word| *word != "--");
        let subcommand = words.next().unwrap_or_default();
        if !self.commands.contains(subcommand) {
            return Some(format!("xtask has no `{subcommand}`"));
        }
        for (at, word) in words.enumerate() {
            if let Some(option) = word.strip_prefix("--") {
                if !self.source.contains(&format!("pub {}:", option.replace('-', "_"))) {
                    return Some(format!("xtask has no option `{word}`"));
                }
            } else if subcommand == "test" && at == 0 && !self.suites.contains(word) {
                return Some(format!("xtask has no suite `{word}`"));
            }
        }
        None
    }
}

/// The variants of an enum in a source text, in lower case.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, after) = source.split_once(&format!("pub enum {name} {{")).expect("the enum");
    let (body, _) = after.split_once("\n}").expect("its end");
    body.lines()
        .map(str::trim)
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect::<String>())
        .map(|variant| variant.to_lowercase())
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    for page in Page::all() {
        for (line, text) in page.prose() {
            for target in links(text) {
                if let Some(problem) = broken_link(&page, &target) {
                    problems.push(format!("{}:{line}: `{target}`: {problem}", page.name()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The targets of a line's links.
fn links(line: &str) -> Vec<String> {
    let without_code: String = line.split('`').step_by(2).collect();
    let mut targets = Vec::new();
    let mut rest = without_code.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let (target, tail) = after.split_once(')').expect("the end of a link");
        targets.push(target.to_owned());
        rest = tail;
    }
    targets
}

fn broken_link(page: &Page, target: &str) -> Option<String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.parent().unwrap_or_else(|| Path::new(""));
    let file = if path.is_empty() { page.path.clone() } else { folder.join(path) };
    let absolute = env::repository().join(&file);
    if !absolute.exists() {
        return Some("there is no such file".to_owned());
    }
    if anchor.is_empty() || !is(&absolute, "md") {
        return None;
    }
    let there = Page { path: file, text: fs::read_to_string(&absolute).expect("a page") };
    let known: Vec<String> = there
        .prose()
        .into_iter()
        .filter_map(|(_, line)| line.strip_prefix('#'))
        .map(|heading| slug(heading.trim_start_matches('#').trim()))
        .collect();
    let found = known.iter().any(|heading| heading == anchor);
    (!found).then(|| format!("no such heading; there are {}", known.join(", ")))
}

/// A heading's anchor, as hosts of repositories make it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn metrics_and_their_pages_agree() {
    let sources: Vec<String> = SOURCES
        .iter()
        .flat_map(|folder| files_of(&env::repository().join(folder), "rs"))
        .map(|file| fs::read_to_string(file).expect("a source"))
        .collect();
    let counted: BTreeSet<&str> = sources
        .iter()
        .flat_map(|text| text.split('"'))
        .filter(|literal| is_metric(literal))
        .collect();
    assert!(counted.len() > 20, "{counted:?}");

    let operations = Page::read("docs/operations.md");
    let described = metrics_of(&operations);
    let missing: Vec<_> = counted.difference(&described).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
    for page in Page::all() {
        let named = metrics_of(&page);
        let unknown: Vec<_> = named.difference(&counted).collect();
        assert!(unknown.is_empty(), "{} names metrics that are none: {unknown:?}", page.name());
    }
}

/// The metrics that a page names, without their labels.
fn metrics_of(page: &Page) -> BTreeSet<&str> {
    let names = page.code().into_iter().map(|code| code.split('{').next().unwrap_or_default());
    names.filter(|name| is_metric(name)).collect()
}

fn is_metric(text: &str) -> bool {
    const PREFIXES: [&str; 3] = ["postern_", "api_gateway_", "gateway_"];
    const SUFFIXES: [&str; 5] = ["_total", "_seconds", "_info", "_active", "_state"];
    let ours = PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && SUFFIXES.iter().any(|suffix| text.ends_with(suffix));
    (ours || ["memory_usage_bytes", "cpu_usage_percentage"].contains(&text))
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether code in a text is a path within the repository.
fn is_path(text: &str) -> bool {
    text.contains('/')
        && !text.starts_with(['/', '.'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}

#[test]
fn the_architecture_names_what_is_there() {
    let page = Page::read("ARCHITECTURE.md");
    let code = page.code();
    for path in code.iter().filter(|text| is_path(text)) {
        assert!(env::repository().join(path).exists(), "ARCHITECTURE.md: there is no {path}");
    }
    let manifest = fs::read_to_string(env::repository().join("Cargo.toml")).expect("the manifest");
    let (_, members) = manifest.split_once("members = [").expect("the members");
    let (members, _) = members.split_once(']').expect("their end");
    for member in members.split('"').skip(1).step_by(2) {
        assert!(code.contains(member), "ARCHITECTURE.md does not name `{member}`");
    }
}

#[test]
fn failure_modes_name_tests_that_are_there() {
    let page = Page::read("docs/failure-modes.md");
    for name in page.code().into_iter().filter(|text| text.ends_with(".rs")) {
        let folder = if name.contains('/') { PathBuf::new() } else { PathBuf::from("tests/tests") };
        let file = env::repository().join(folder).join(name);
        assert!(file.is_file(), "docs/failure-modes.md: there is no {name}");
    }
}

#[test]
fn standards_name_tests_that_are_there_or_say_why_not() {
    let sources: Vec<String> = SOURCES
        .iter()
        .chain(&["tests/tests"])
        .flat_map(|folder| files_of(&env::repository().join(folder), "rs"))
        .map(|file| fs::read_to_string(file).expect("a source"))
        .collect();
    let is_there = |name: &str| {
        let function = format!("fn {name}(");
        sources.iter().any(|text| text.contains(&function))
    };
    let page = Page::read("docs/standards.md");
    let mut problems = Vec::new();
    let mut rules = 0;
    for (line, text) in page.prose().into_iter().filter(|(_, text)| text.starts_with("| ")) {
        let cells: Vec<&str> = text.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, _, state, told] = cells.as_slice() else {
            problems.push(format!("{line}: a rule has four cells: {text}"));
            continue;
        };
        if *section == "§" {
            continue;
        }
        rules += 1;
        match *state {
            "done" => {
                let names: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
                if names.is_empty() {
                    problems.push(format!("{line}: done, and no test says so"));
                }
                let missing = names.into_iter().filter(|name| !is_there(name));
                problems.extend(missing.map(|name| format!("{line}: there is no test {name}")));
            }
            "not done" | "not applicable" if !told.is_empty() => {}
            _ => problems.push(format!("{line}: neither done nor a reason: {text}")),
        }
    }
    assert!(rules > 100, "{rules} rules");
    assert!(problems.is_empty(), "docs/standards.md:\n{}", problems.join("\n"));
}

#[tokio::test]
async fn every_field_of_the_schema_has_its_row() {
    let schema = server::run(["schema"]).await.expect_success();
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let mut fields = BTreeSet::new();
    collect_fields(&schema, &mut fields);
    assert!(fields.contains("when_store_fails"), "{fields:?}");
    let page = Page::read("docs/gateway-document.md");
    let is_between = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for code in page.code() {
        named.extend(code.split(is_between));
    }
    let missing: Vec<_> = fields.iter().filter(|field| !named.contains(field.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/gateway-document.md: {missing:?}");
}

fn collect_fields(schema: &Value, fields: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                if let (true, Some(properties)) = (name == "properties", value.as_object()) {
                    fields.extend(properties.keys().cloned());
                    properties.values().for_each(|property| collect_fields(property, fields));
                } else {
                    collect_fields(value, fields);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_fields(item, fields)),
        _ => {}
    }
}

#[test]
fn every_error_code_has_its_row() {
    let source = env::repository().join("core/request/src/denial/code.rs");
    let source = fs::read_to_string(source).expect("the codes");
    let is_code =
        |text: &&str| text.len() > 3 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let codes: BTreeSet<&str> = source.split('"').filter(is_code).collect();
    assert!(codes.contains("CIRCUIT_OPEN"), "{codes:?}");
    let page = Page::read("docs/errors.md");
    let described = page.code();
    let missing: Vec<_> = codes.iter().filter(|code| !described.contains(*code)).collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
}

#[test]
fn every_reason_has_its_row() {
    const CALLS: [&str; 8] = [
        "Denial::new(",
        "Denial::unavailable(",
        "Denial::invalid_token(",
        "Denial::invalid_api_key(",
        "Denial::invalid_session(",
        "Denial::invalid_proof(",
        "Self::new(ErrorCode",
        "OAuthError::bad_grant(",
    ];
    let is_reason = |text: &&str| {
        text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    for folder in ["core", "ext-authz", "filters", "identity"] {
        for file in files_of(&env::repository().join(folder), "rs") {
            let text = fs::read_to_string(&file).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let calls = CALLS.iter().flat_map(|call| code.split(call).skip(1));
            let arguments = calls.filter_map(|rest| rest.split(')').next());
            let of_jose =
                ["jose/src/error.rs", "jose/src/dpop.rs"].iter().any(|f| file.ends_with(f));
            let of_tokens = code.split_once("fn reason(self)").filter(|_| of_jose);
            for part in arguments.chain(of_tokens.map(|(_, body)| body)) {
                let texts = part.split('"').skip(1).step_by(2).filter(is_reason);
                reasons.extend(texts.map(str::to_owned));
            }
        }
    }
    assert!(reasons.contains("no_route") && reasons.contains("token_expired"), "{reasons:?}");
    let page = Page::read("docs/errors.md");
    let described = page.code();
    let missing: Vec<_> =
        reasons.iter().filter(|text| !described.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
}

#[test]
fn a_quoted_line_may_leave_out_what_differs() {
    for (pattern, line, expected) in [
        ("nothing to do", "nothing to do", true),
        ("nothing to do", "nothing to do at all", false),
        ("digest …", "digest 00ff", true),
        ("…RS256  active  …", "abc  RS256  active  2026", true),
        ("…RS256  active  …", "abc  ES256  active  2026", false),
        ("{\"a\":…,\"b\":…}", "{\"a\":1,\"b\":2}", true),
        ("{\"a\":…,\"b\":…}", "{\"a\":1,\"c\":2}", false),
    ] {
        assert_eq!(holds(pattern, line), expected, "{pattern} / {line}");
    }
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// All files below a folder with this extension.
fn files_of(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("reading {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_of(&path, extension));
        } else if is(&path, extension) {
            files.push(path);
        }
    }
    files
}
