//! Requests that policies are about, and what becomes of them. What one state of a mesh has a reason
//! to ask, another state can be asked too: that is what `--diff` does.

use std::collections::{BTreeMap, BTreeSet};

use postern_policies::{
    Decision, Http, MtlsMode, Peer, Protocol, Request, Verdict, evaluate, mutual_tls,
};

use super::addresses::ANYWHERE;
use super::callers::Who;
use super::draft::{NOBODYS_METHOD, PATH};
use super::known::Known;
use super::maker::Maker;
use super::reach;
use super::view::View;

/// A request to a workload's port, in a form that any state of the mesh can be asked about.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::review) struct Example {
    /// `namespace/name`
    pub(in crate::review) workload: String,
    /// 0 where none is known.
    pub(in crate::review) port: u16,
    pub(in crate::review) who: Who,
    /// What is spoken where it was thought of.
    pub(super) protocol: Protocol,
    /// As over HTTP; over anything else, what is HTTP's is left out.
    pub(super) request: Request,
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
    /// What tells it from others: two of the same key are the same.
    pub(in crate::review) fn key(&self) -> String {
        let http = (self.protocol == Protocol::Http).then_some(self.request.http.as_ref());
        let Request { peer, destination_ip, sni, .. } = &self.request;
        let (workload, port) = (&self.workload, self.port);
        format!("{workload} {port} {peer:?} {destination_ip:?} {sni:?} {http:?}")
    }

    /// The request in a line, without workload, port and caller.
    pub(in crate::review) fn line(&self) -> String {
        let Some(http) = self.request.http.as_ref().filter(|_| self.protocol == Protocol::Http)
        else {
            return format!("a connection{}", self.whence());
        };
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
        let http = self.request.http.as_ref().filter(|_| self.protocol == Protocol::Http);
        let is_made_up = |http: &Http| http.method == NOBODYS_METHOD || http.path == PATH;
        let note = if http.is_some_and(is_made_up) { " (made up: no policy names it)" } else { "" };
        format!("{}{note}", self.line())
    }

    fn whence(&self) -> String {
        let Peer { ip, remote_ip, .. } = &self.request.peer;
        let ip = ip.filter(|ip| *ip != ANYWHERE).map(|ip| format!(" from {ip}"));
        let client = remote_ip.map(|ip| format!(" for {ip}"));
        ip.into_iter().chain(client).collect()
    }

    /// Who calls, by certificate.
    pub(super) fn principal(&self) -> Option<&str> {
        self.request.peer.principal.as_deref()
    }

    fn asked(&self, protocol: Protocol) -> Request {
        let mut request = self.request.clone();
        if protocol == Protocol::Tcp {
            request.http = None;
        }
        request
    }
}

impl View<'_> {
    /// What this state of the mesh has a reason to ask of the document's workloads, each once, and
    /// the workloads whose policies are about more than that.
    pub(in crate::review) fn examples(&self) -> (Vec<Example>, Vec<String>) {
        let (mut all, mut left_out) = (Vec::new(), Vec::new());
        for known in self.ours() {
            let (examples, complete) = Maker::new(self, known).all();
            all.extend(examples);
            left_out.extend((!complete).then(|| known.subject()));
        }
        (all, left_out)
    }

    /// What becomes of an example here; none where the workload is not known here.
    pub(in crate::review) fn judge(&self, example: &Example) -> Option<Judged> {
        let known = self.workloads.iter().find(|known| known.workload.name == example.workload)?;
        let verdict = self.verdict(known, example);
        let passes = match verdict.decision {
            Decision::Denied(_) => Passes::No,
            Decision::Allowed(_) => Passes::Yes,
            _ => Passes::IfAsked,
        };
        let asked = match &verdict.decision {
            Decision::AskProvider(asked) => {
                asked.iter().map(|asked| asked.provider.to_owned()).collect()
            }
            _ => BTreeSet::new(),
        };
        Some(Judged { passes, asked, text: reach::told(&verdict.decision) })
    }

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

    pub(super) fn verdict(&self, known: &Known, example: &Example) -> Verdict<'_> {
        let request = example.asked(known.speaks(example.port, example.protocol));
        evaluate(self.resources, &self.mesh, &known.workload, &request)
    }
}
