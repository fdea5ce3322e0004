//! The documents in use: the newest, and those before it that some Envoy may still run.
//!
//! All that is made of a document is kept with it and replaced with it, in one step: whoever looks
//! sees all of one document, and goes by it for as long as they work with it. Everybody looks by a
//! [`Current`], which is a view on this.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_document::{Current, Document, JwksSource, JwtIssuer};
use postern_ext_authz::{Documents, IssuerKeys, Judged, KeyPlace};
use postern_feed::{CurrentTrust, Leased, LeasedLimits, ListedPeers, PeerIdentity, Peers, Trust};
use postern_identity::{LoginRules, LoginTools, OAuthRules, PagesConfig, Providers};
use tokio::sync::watch;

use super::feed::{DocumentLimits, peers};
use super::reload::{Asker, Metrics, Skew};
use crate::settings;

/// A document in use, and what is made of it.
pub struct InUse {
    /// The document.
    pub document: Arc<Document>,
    /// Its issuers' keys.
    pub keys: Arc<IssuerKeys>,
    /// What it leases.
    pub leased: DocumentLimits,
    /// Which Envoys may ask for what.
    pub peers: ListedPeers,
    /// Whom the feed believes.
    pub trust: Arc<Trust>,
    /// What holds for grants.
    pub oauth: Arc<OAuthRules>,
    /// What holds for logging in; none where nobody does.
    pub login: Option<Arc<LoginRules>>,
    /// What logging in takes; none where this server has no part in that.
    pub pages: Option<OfPages>,
    /// What operators' work with passwords takes; none where this server has no part in that.
    pub operators: Option<Arc<LoginTools>>,
}

/// What pages and log-in take besides the document's word.
pub struct OfPages {
    /// What they look like.
    pub config: Arc<PagesConfig>,
    /// Passwords and passkeys.
    pub tools: Arc<LoginTools>,
    /// Providers elsewhere.
    pub providers: Arc<Providers>,
}

impl InUse {
    /// What needs nothing but the document's word. Keys that one of `kept` has fetched from the same
    /// place are there at once.
    pub fn of(document: Document, kept: &[Arc<Self>]) -> Self {
        let keys = IssuerKeys::sharing(&document, |issuer| known_keys(kept, &document, issuer));
        let issuer = document.issuer.as_deref().unwrap_or_default();
        let (replicas, proxies) = (document.stores.replicas, document.trusted_proxies);
        let oauth = OAuthRules::of(issuer, document.oauth.as_ref());
        Self {
            keys: Arc::new(keys),
            leased: DocumentLimits::new(&document),
            peers: peers::listed(&document.feed),
            trust: Arc::new(peers::trust(&document.feed)),
            oauth: Arc::new(oauth.at(replicas, usize::from(proxies))),
            login: settings::login_rules(&document).map(Arc::new),
            pages: None,
            operators: None,
            document: Arc::new(document),
        }
    }

    fn judged(&self) -> Judged {
        Judged { document: Arc::clone(&self.document), keys: Arc::clone(&self.keys) }
    }
}

/// Where an issuer's keys are already, from the same place.
fn known_keys(
    kept: &[Arc<InUse>],
    document: &Document,
    issuer: &JwtIssuer,
) -> Option<Arc<KeyPlace>> {
    kept.iter().find_map(|before| {
        let is_same = |entry: &JwtIssuer| {
            entry.issuer.issuer == issuer.issuer.issuer
                && entry.jwks == issuer.jwks
                && entry.keys_by == issuer.keys_by
                && leads_to_the_same(&before.document, document, &issuer.jwks)
        };
        let at = before.document.issuers.iter().position(is_same)?;
        before.keys.place(at).cloned()
    })
}

/// Whether a service that has keys is at the same place in both documents.
fn leads_to_the_same(before: &Document, after: &Document, source: &JwksSource) -> bool {
    let JwksSource::Service { service, .. } = source else { return true };
    let place = |document: &Document| {
        let known = document.services.iter().find(|known| known.name == *service)?;
        Some((known.host.clone(), known.port, known.tls))
    };
    place(before) == place(after)
}

/// The newest document, and those before it, the newest of them first.
struct Places {
    newest: Arc<InUse>,
    earlier: Vec<Arc<InUse>>,
}

impl Places {
    /// The document for an Envoy that says that it runs the one of this digest, or says nothing; and
    /// in what that is not the usual case.
    fn pick(&self, told: Option<&str>) -> (&Arc<InUse>, Option<Skew>) {
        let Some(told) = told else { return (&self.newest, Some(Skew::Untold)) };
        if self.newest.document.digest == told {
            return (&self.newest, None);
        }
        let earlier = self.earlier.iter().find(|earlier| earlier.document.digest == told);
        match earlier {
            Some(earlier) => (earlier, Some(Skew::Earlier)),
            None => (&self.newest, Some(Skew::Unknown)),
        }
    }
}

/// Keeps them.
pub struct Kept {
    places: ArcSwap<Places>,
    replaced: watch::Sender<()>,
    /// Of so many at most Envoys may run one.
    most: NonZeroUsize,
    metrics: Metrics,
}

impl Kept {
    /// Begins with one.
    pub fn new(first: InUse, most: NonZeroUsize, metrics: Metrics) -> Arc<Self> {
        let places = Places { newest: Arc::new(first), earlier: Vec::new() };
        let (places, replaced) = (ArcSwap::from_pointee(places), watch::Sender::new(()));
        Arc::new(Self { places, replaced, most, metrics })
    }

    /// The newest.
    pub fn newest(&self) -> Arc<InUse> {
        Arc::clone(&self.places.load().newest)
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Vec<Arc<InUse>> {
        let places = self.places.load();
        std::iter::once(&places.newest).chain(&places.earlier).cloned().collect()
    }

    /// Puts the next one in the place of the newest, which becomes an earlier one. The one step that
    /// everybody sees.
    pub fn replace(&self, next: InUse) {
        let mut earlier = self.all();
        // One that comes back is no earlier one any more.
        earlier.retain(|before| before.document.digest != next.document.digest);
        earlier.truncate(self.most.get() - 1);
        self.places.store(Arc::new(Places { newest: Arc::new(next), earlier }));
        self.replaced.send_replace(());
    }

    /// Marked as changed whenever another one is the newest.
    pub fn replaced(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// A view on the newest.
    pub fn current(self: &Arc<Self>) -> Current<InUse> {
        let kept = Arc::clone(self);
        Current::new(move || kept.newest())
    }

    /// A view on the newest document.
    pub fn document(self: &Arc<Self>) -> Current<Document> {
        self.current().part(|in_use| Arc::clone(&in_use.document))
    }

    /// Whom the newest document says to believe.
    pub fn trust(self: &Arc<Self>) -> CurrentTrust {
        let kept = Arc::clone(self);
        Arc::new(move || Arc::clone(&kept.places.load().newest.trust))
    }

    /// By which document requests are judged that come to `by`.
    pub fn judging(self: &Arc<Self>, by: Asker) -> Arc<dyn Documents> {
        Arc::new(Judging { kept: Arc::clone(self), by })
    }
}

/// A view on something that each document has which can follow the first one: `first` is that one's.
pub fn lasting<T: Send + Sync + 'static>(
    current: &Current<InUse>,
    first: Arc<T>,
    pick: fn(&InUse) -> Option<Arc<T>>,
) -> Current<T> {
    current.part(move |in_use| pick(in_use).unwrap_or_else(|| Arc::clone(&first)))
}

struct Judging {
    kept: Arc<Kept>,
    by: Asker,
}

impl Documents for Judging {
    fn judging(&self, told: Option<&str>) -> Judged {
        let places = self.kept.places.load();
        let (in_use, skew) = places.pick(told);
        if let Some(skew) = skew {
            self.kept.metrics.skewed(self.by, skew);
        }
        in_use.judged()
    }
}

impl LeasedLimits for Kept {
    fn find(&self, stamp: u64, document: &str) -> Option<Leased> {
        let places = self.places.load();
        let (in_use, _) = places.pick(Some(document));
        in_use.leased.find(stamp)
    }

    fn find_any(&self, stamp: u64) -> Option<Leased> {
        self.all().iter().find_map(|in_use| in_use.leased.find(stamp))
    }
}

/// Who may ask is the newest document's to say: what it takes away is gone at once.
impl Peers for Kept {
    fn may_ask_for(&self, peer: &PeerIdentity, workload: &str) -> bool {
        self.places.load().newest.peers.may_ask_for(peer, workload)
    }
}

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
