//! Shared circuits: looked at, opened or closed for a while, and reset.

use std::slice;
use std::sync::Arc;

use postern_circuit::{Forced, ForcedState};
use postern_document::Document;
use postern_request::UnixMillis;
use postern_request::shown::is_one_line;
use postern_store::StoreError;
use postern_store::durable::AuditEntry;
use postern_store::volatile::{CircuitAsk, CircuitStanding, CircuitStore, CircuitWord};

use super::Operators;
use crate::admin::Actor;
use crate::{IdentityError, audit};

/// How long a word may hold, in milliseconds: a second to a week. What is to last longer belongs
/// into the document.
const HOLDS_MS: std::ops::RangeInclusive<u64> = 1_000..=604_800_000;
/// Longest reason, in bytes: the audit log keeps no more of it.
const MAX_WHY: usize = 200;

/// A shared circuit, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCircuit {
    /// The service's name.
    pub service: String,
    /// How it stands.
    pub standing: CircuitStanding,
}

/// What an operator wants a circuit to be, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedFor {
    /// What it is to be.
    pub state: ForcedState,
    /// How long, in milliseconds.
    pub holds_ms: u64,
    /// Why, for the audit log.
    pub why: Option<String>,
}

/// The circuits of a document's services.
#[must_use]
pub fn circuits_of(document: &Document) -> Vec<CircuitAsk> {
    let of = |service: &Arc<postern_document::Service>| {
        let settings = service.circuit?;
        Some(CircuitAsk { service: service.name.clone(), settings })
    };
    document.services.iter().filter_map(of).collect()
}

/// All circuits of a document, in its order.
///
/// # Errors
/// Those of the store.
pub async fn list_circuits(
    store: &dyn CircuitStore,
    document: &Document,
    now: UnixMillis,
) -> Result<Vec<ShownCircuit>, IdentityError> {
    let circuits = circuits_of(document);
    let standings = store.circuits(&circuits, now).await;
    let mut shown = Vec::with_capacity(circuits.len());
    for (circuit, standing) in circuits.into_iter().zip(standings) {
        shown.push(ShownCircuit { service: circuit.service, standing: standing? });
    }
    Ok(shown)
}

impl Operators {
    /// The same, with circuits: where they are shared. Which there are, the
    /// [document](Operators::by_document) says.
    #[must_use]
    pub fn with_circuits(mut self, store: Arc<dyn CircuitStore>) -> Self {
        self.circuits = Some(store);
        self
    }

    /// All circuits.
    ///
    /// # Errors
    /// [`IdentityError::NotHere`] and those of the store.
    pub async fn circuits(&self, now: UnixMillis) -> Result<Vec<ShownCircuit>, IdentityError> {
        let (store, document) = self.shared_circuits()?;
        list_circuits(store, &document, now).await
    }

    /// The circuit of a service.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::NotHere`] and those of the store.
    pub async fn circuit(
        &self,
        service: &str,
        now: UnixMillis,
    ) -> Result<ShownCircuit, IdentityError> {
        let (store, circuit) = self.circuit_called(service)?;
        let mut standings = store.circuits(slice::from_ref(&circuit), now).await;
        let unanswered = || StoreError::Corrupt("no answer to a question".to_owned());
        let standing = standings.pop().ok_or_else(unanswered)??;
        Ok(ShownCircuit { service: circuit.service, standing })
    }

    /// Opens or closes a circuit for a while, whatever is reported of its service meanwhile.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`], [`IdentityError::NotHere`] and
    /// those of the stores.
    pub async fn force_circuit(
        &self,
        service: &str,
        wanted: &ForcedFor,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ShownCircuit, IdentityError> {
        let ForcedFor { state, holds_ms, why } = wanted;
        if !HOLDS_MS.contains(holds_ms) {
            let reason = "it must be a second to seven days";
            return Err(IdentityError::invalid("time to hold", reason));
        }
        let fits = |why: &str| why.len() <= MAX_WHY && is_one_line(why, MAX_WHY);
        if !why.as_deref().is_none_or(fits) {
            let reason = "it must be 1 to 200 bytes on one line";
            return Err(IdentityError::invalid("why", reason));
        }
        let until = UnixMillis(now.0.saturating_add(*holds_ms));
        let word = CircuitWord::Force(Forced { state: *state, until });
        let action = match state {
            ForcedState::Open => "circuit.opened",
            ForcedState::Closed => "circuit.closed",
        };
        let until = until.to_rfc3339();
        let mut detail = vec![("until", until.as_str())];
        detail.extend(why.as_deref().map(|why| ("why", why)));
        self.say_of_circuit(service, word, audit::entry(now, by.as_str(), action, service, &detail))
            .await
    }

    /// Forgets everything of a circuit, operators' words included: it is closed, as if it were new.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::NotHere`] and those of the stores.
    pub async fn reset_circuit(
        &self,
        service: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ShownCircuit, IdentityError> {
        let said = audit::entry(now, by.as_str(), "circuit.reset", service, &[]);
        self.say_of_circuit(service, CircuitWord::Reset, said).await
    }

    /// What cannot be written to the audit log does not happen.
    async fn say_of_circuit(
        &self,
        service: &str,
        word: CircuitWord,
        said: AuditEntry,
    ) -> Result<ShownCircuit, IdentityError> {
        let (store, circuit) = self.circuit_called(service)?;
        self.store.append_audit(&said).await?;
        let standing = store.say_of_circuit(&circuit, word, said.at).await?;
        Ok(ShownCircuit { service: circuit.service, standing })
    }

    fn circuit_called(
        &self,
        service: &str,
    ) -> Result<(&dyn CircuitStore, CircuitAsk), IdentityError> {
        let (store, document) = self.shared_circuits()?;
        let found = circuits_of(&document).into_iter().find(|circuit| circuit.service == service);
        Ok((store, found.ok_or(IdentityError::NotFound("circuit"))?))
    }

    fn shared_circuits(&self) -> Result<(&dyn CircuitStore, Arc<Document>), IdentityError> {
        const WHY: &str = "circuits are in the volatile store, and the document says which there \
                           are: name both";
        let store = self.circuits.as_deref().ok_or(IdentityError::NotHere(WHY))?;
        let document = self.document.as_ref().ok_or(IdentityError::NotHere(WHY))?;
        Ok((store, document.load()))
    }
}

#[cfg(test)]
mod tests {
    use postern_circuit::State;
    use postern_document::Current;
    use postern_store::MemoryStore;
    use postern_store::durable::AuditStore as _;
    use serde_json::json;

    use super::super::tests::{fill_the_log, operators};
    use super::*;
    use crate::login::fixture::{NOW, World, later};

    fn by() -> Actor {
        Actor::command_line(Some("root"))
    }

    fn guarded(world: &World, store: &Arc<MemoryStore>) -> Operators {
        let route = |name: &str| {
            json!({"name": name, "match": {"path": format!("/{name}")}, "service": name,
                   "auth": "none"})
        };
        let document = json!({
            "version": 1,
            "services": {
                "bank": {"upstream": "bank:1", "circuit": {}},
                "plain": {"upstream": "plain:1"},
                "ship": {"upstream": "ship:1", "circuit": {"failures": 9}},
            },
            "routes": [route("bank"), route("plain"), route("ship")],
        });
        let document = postern_document::from_json(document.to_string().as_bytes()).unwrap();
        let document = Current::fixed(document);
        let store = Arc::<MemoryStore>::clone(store);
        operators(world).by_document(document).with_circuits(store)
    }

    fn wanted(state: ForcedState, holds_ms: u64, why: Option<&str>) -> ForcedFor {
        ForcedFor { state, holds_ms, why: why.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_word_holds_for_a_while_and_is_written_down() {
        let (world, store) = (World::new(), Arc::new(MemoryStore::default()));
        let operators = guarded(&world, &store);
        let open = wanted(ForcedState::Open, 60_000, Some("bank is moving"));
        let shown = operators.force_circuit("bank", &open, &by(), NOW).await.unwrap();
        let until = later(60_000);
        assert_eq!((shown.service.as_str(), shown.standing.state), ("bank", State::Open));
        let forced = Some(Forced { state: ForcedState::Open, until });
        assert_eq!(shown.standing.forced, forced);
        let states = |all: Vec<ShownCircuit>| {
            all.into_iter().map(|one| (one.service, one.standing.state)).collect::<Vec<_>>()
        };
        let all = states(operators.circuits(later(59_999)).await.unwrap());
        let expected = [("bank".to_owned(), State::Open), ("ship".to_owned(), State::Closed)];
        assert_eq!(all, expected);
        let over = operators.circuit("bank", until).await.unwrap();
        assert_eq!((over.standing.state, over.standing.forced), (State::Closed, None));

        let closed = wanted(ForcedState::Closed, 1_000, None);
        operators.force_circuit("ship", &closed, &by(), later(1)).await.unwrap();
        let reset = operators.reset_circuit("ship", &by(), later(2)).await.unwrap();
        assert_eq!(reset.standing.forced, None);
        let log = world.store.audit_since(0, 10).await.unwrap();
        let log: Vec<_> = log.iter().map(|record| &record.entry).collect();
        let told: Vec<_> =
            log.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
        let expected =
            [("circuit.opened", "bank"), ("circuit.closed", "ship"), ("circuit.reset", "ship")];
        assert_eq!(told, expected);
        let detail = json!({"until": until.to_rfc3339(), "why": "bank is moving"});
        assert_eq!(log[0].detail, detail.to_string());
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_does_not_happen() {
        let (world, store) = (World::new(), Arc::new(MemoryStore::default()));
        let operators = guarded(&world, &store);
        let open = wanted(ForcedState::Open, 60_000, None);
        operators.force_circuit("bank", &open, &by(), NOW).await.unwrap();
        fill_the_log(&world).await;
        for refused in [
            operators.force_circuit("ship", &open, &by(), later(1)).await,
            operators.reset_circuit("bank", &by(), later(1)).await,
        ] {
            assert!(matches!(refused, Err(IdentityError::Store(_))), "{refused:?}");
        }
        let all = operators.circuits(later(1)).await.unwrap();
        let states: Vec<State> = all.iter().map(|circuit| circuit.standing.state).collect();
        assert_eq!(states, [State::Open, State::Closed]);
    }

    #[tokio::test]
    async fn what_makes_no_sense_changes_nothing() {
        let (world, store) = (World::new(), Arc::new(MemoryStore::default()));
        let guarded = guarded(&world, &store);
        let open = wanted(ForcedState::Open, 60_000, None);
        for unknown in ["plain", "nothing", ""] {
            let refused = guarded.force_circuit(unknown, &open, &by(), NOW).await;
            assert!(matches!(refused, Err(IdentityError::NotFound("circuit"))), "{unknown}");
            let refused = guarded.circuit(unknown, NOW).await;
            assert!(matches!(refused, Err(IdentityError::NotFound("circuit"))), "{unknown}");
        }
        let long = "a".repeat(201);
        for holds_ms in [999, 604_800_001] {
            let senseless = wanted(ForcedState::Open, holds_ms, None);
            let refused = guarded.force_circuit("bank", &senseless, &by(), NOW).await;
            assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{senseless:?}");
        }
        for why in ["", "a\nb", "a\u{2028}b", "a\u{202e}b", long.as_str()] {
            let senseless = wanted(ForcedState::Open, 1_000, Some(why));
            let refused = guarded.force_circuit("bank", &senseless, &by(), NOW).await.unwrap_err();
            let told = refused.to_string();
            assert_eq!(told, "why: it must be 1 to 200 bytes on one line", "{why:?}");
        }
        let without = operators(&world);
        let refused = without.reset_circuit("bank", &by(), NOW).await;
        assert!(matches!(refused, Err(IdentityError::NotHere(_))), "{refused:?}");
        let shown = guarded.circuit("bank", NOW).await.unwrap();
        assert_eq!(shown.standing, CircuitStanding::default());
        assert!(world.store.audit_since(0, 10).await.unwrap().is_empty());
    }
}
