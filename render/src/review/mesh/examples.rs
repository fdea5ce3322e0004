//! Requests that policies are about, and what becomes of them. What one state of a mesh has a reason
//! to ask, another state can be asked too: that is what `--diff` does.

use core::borrow::Borrow;
use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use postern_policies::{Decision, Http, MtlsMode, Parts, Peer, Protocol, mutual_tls};

use super::addresses::ANYWHERE;
use super::callers::Who;
use super::draft::{NOBODYS_METHOD, PATH};
use super::known::Known;
use super::reach;
use super::view::View;

/// A request to a workload's port, in a form that any state of the mesh can be asked about. What
/// many have in common is there once.
#[derive(Debug, Clone)]
pub(in crate::review) struct Example {
    /// 0 where none is known.
    pub(in crate::review) port: u16,
    pub(in crate::review) who: Who,
    /// What is spoken where it was thought of.
    pub(super) protocol: Protocol,
    pub(super) peer: Rc<Peer>,
    /// As over HTTP; over anything else, what is HTTP's is left out.
    pub(super) made: Rc<Made>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) destination_ip: Option<IpAddr>,
    pub(super) sni: Option<String>,
    pub(super) http: Http,
    /// Of what is HTTP's: equal ones have equal hashes.
    pub(super) hash: u64,
}

/// What was asked of workloads, and what became of it.
pub(in crate::review) struct Asked<'a> {
    pub(in crate::review) examples: Vec<Example>,
    /// As many.
    pub(in crate::review) decisions: Vec<Decision<'a>>,
    is_all: bool,
    asks_for_metadata: bool,
}

/// What becomes of an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Judged {
    pub(in crate::review) passes: Passes,
    /// Whose word that takes: providers, each once.
    pub(in crate::review) asked: BTreeSet<String>,
    /// Such as `refused: no rule allows it`. Names rules, and so may differ where nothing else
    /// does.
    pub(in crate::review) text: String,
}

/// Whether a request gets through, from less to more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::review) enum Passes {
    No,
    /// If a provider says so.
    IfAsked,
    Yes,
}

impl Passes {
    /// Whether it can get through at all.
    pub(in crate::review) const fn may_pass(self) -> bool {
        !matches!(self, Self::No)
    }
}

impl Example {
    /// The request in a line, without workload, port and caller.
    pub(in crate::review) fn line(&self) -> String {
        if self.protocol != Protocol::Http {
            return format!("a connection{}", self.whence());
        }
        let http = &self.made.http;
        let mut line = format!("{} {}", http.method, http.path);
        if !http.host.ends_with(".example.test") {
            line.push_str(&format!(" of {}", http.host));
        }
        if !http.tokens.is_empty() {
            line.push_str(" with a token");
        }
        line + &self.whence()
    }

    /// The same for findings, where what was made up does not look like somebody's.
    pub(super) fn told(&self) -> String {
        let http = &self.made.http;
        let is_made_up =
            self.protocol == Protocol::Http && (http.method == NOBODYS_METHOD || http.path == PATH);
        let note = if is_made_up { " (made up: no policy names it)" } else { "" };
        format!("{}{note}", self.line())
    }

    fn whence(&self) -> String {
        let Peer { ip, remote_ip, .. } = &*self.peer;
        let ip = ip.filter(|ip| *ip != ANYWHERE).map(|ip| format!(" from {ip}"));
        let client = remote_ip.map(|ip| format!(" for {ip}"));
        ip.into_iter().chain(client).collect()
    }

    /// Who calls, by certificate.
    pub(super) fn principal(&self) -> Option<&str> {
        self.peer.principal.as_deref()
    }

    /// Asks for another path.
    pub(super) fn set_path(&mut self, path: &str) {
        path.clone_into(&mut Rc::make_mut(&mut self.made).http.path);
    }

    /// The request where something is spoken.
    pub(super) fn parts(&self, spoken: Protocol) -> Parts<'_> {
        Parts {
            peer: &self.peer,
            destination_ip: self.made.destination_ip,
            port: self.port,
            sni: self.made.sni.as_deref(),
            http: Some(&self.made.http).filter(|_| spoken == Protocol::Http),
            metadata: &[],
        }
    }

    /// Whether another one asks the same.
    fn is_like(&self, other: &Self) -> bool {
        let (made, others) = (&self.made, &other.made);
        let is_http = self.protocol == Protocol::Http;
        let is_same = || made.hash == others.hash && made.http == others.http;
        self.port == other.port
            && self.protocol == other.protocol
            && self.peer == other.peer
            && made.destination_ip == others.destination_ip
            && made.sni == others.sni
            && (!is_http || Rc::ptr_eq(made, others) || is_same())
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Peer { principal, ip, remote_ip } = &*self.peer;
        (self.port, principal, ip, remote_ip).hash(&mut hasher);
        (self.made.destination_ip, &self.made.sni).hash(&mut hasher);
        (self.protocol == Protocol::Http).then_some(self.made.hash).hash(&mut hasher);
        hasher.finish()
    }
}

/// Examples, each once.
#[derive(Debug)]
pub(in crate::review) struct Each<E> {
    pub(in crate::review) all: Vec<E>,
    by_hash: HashMap<u64, Vec<usize>>,
}

impl<E: Borrow<Example>> Each<E> {
    pub(in crate::review) fn new() -> Self {
        Self { all: Vec::new(), by_hash: HashMap::new() }
    }

    /// Takes one that is new; otherwise it says that it is not.
    pub(in crate::review) fn push(&mut self, example: E) -> bool {
        let one: &Example = example.borrow();
        let known = self.by_hash.entry(one.hash()).or_default();
        let mut alike = known.iter().filter_map(|at| self.all.get(*at));
        if alike.any(|other| one.is_like(other.borrow())) {
            return false;
        }
        known.push(self.all.len());
        self.all.push(example);
        true
    }
}

impl<'a> Asked<'a> {
    pub(super) const fn new(
        examples: Vec<Example>,
        decisions: Vec<Decision<'a>>,
        is_all: bool,
        asks_for_metadata: bool,
    ) -> Self {
        Self { examples, decisions, is_all, asks_for_metadata }
    }

    /// Each with what became of it.
    pub(in crate::review) fn each(&self) -> impl Iterator<Item = (&Example, &Decision<'a>)> {
        self.examples.iter().zip(&self.decisions)
    }

    /// What more the policies are about; nothing where that was all.
    pub(in crate::review) const fn left_out(&self) -> Option<&'static str> {
        match (self.is_all, self.asks_for_metadata) {
            (true, false) => None,
            (false, false) => Some("more than was asked"),
            (_, true) => Some(
                "more than was asked: they ask for what filters leave behind \
                 (`experimental.envoy.filters`), and nobody knows that",
            ),
        }
    }
}

impl Judged {
    pub(in crate::review) fn of(decision: &Decision<'_>) -> Self {
        let passes = match decision {
            Decision::Denied(_) => Passes::No,
            Decision::Allowed(_) => Passes::Yes,
            Decision::AskProvider(_) | Decision::Unknown(_) => Passes::IfAsked,
        };
        let asked = match decision {
            Decision::AskProvider(asked) => {
                asked.iter().map(|asked| asked.provider.to_owned()).collect()
            }
            _ => BTreeSet::new(),
        };
        Self { passes, asked, text: reach::told(decision) }
    }
}

impl View<'_> {
    /// What ports of the document's workloads ask for of mutual TLS, by workload and port. Gateways
    /// have TLS of their own.
    pub(in crate::review) fn transports(&self) -> BTreeMap<(String, u16), MtlsMode> {
        let sidecars = self.ours().filter(|known| !known.is_gateway());
        let of = |known: &Known| {
            let mode = |port: u16| mutual_tls(self.resources, &self.mesh, &known.workload, port);
            let ports = known.ports().into_iter().map(|port| port.number);
            ports.map(|port| ((known.name(), port), mode(port).mode)).collect::<Vec<_>>()
        };
        sidecars.flat_map(of).collect()
    }
}
