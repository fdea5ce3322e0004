//! A client that does what Envoy does, and a server that changes its mind: whatever happens in
//! which order, the client ends up with what it should have, never has a route that leads nowhere,
//! and never a listener whose routes are not to be had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// What a cluster says that the client cannot take.
const POISON: u8 = 3;
/// Clusters below have endpoints of their own.
const WITH_ENDPOINTS: u8 = 3;
/// More than a run has.
const ALL_BEFORE: usize = 1000;

/// Clusters by what they say, with what their endpoints say; routes lead to all of them.
type World = BTreeMap<u8, (u8, u8)>;

#[derive(Debug, Clone)]
enum Step {
    /// The server has this from now on.
    Update(World),
    /// The client gets a message.
    ToClient,
    /// The server gets one.
    ToServer,
    /// Seconds pass.
    Wait(u64),
    /// The connections of earlier listeners end.
    Drain,
    /// The connection is lost, and made again.
    Reconnect,
}

fn name(cluster: u8) -> String {
    format!("c{cluster}")
}

fn has_endpoints(name: &str) -> bool {
    (0..WITH_ENDPOINTS).any(|cluster| self::name(cluster) == name)
}

/// Each listener names its routes, which have another name when they lead elsewhere.
fn served(world: &World, generation: usize) -> Snapshot {
    let mut resources = Vec::new();
    for (cluster, (says, endpoints)) in world {
        let name = name(*cluster);
        resources.push(resource(Kind::Cluster, &name, &says.to_string()));
        if *cluster < WITH_ENDPOINTS {
            resources.push(resource(Kind::Endpoints, &name, &endpoints.to_string()));
        }
    }
    let leads_to: Vec<String> = world.keys().map(|cluster| name(*cluster)).collect();
    let leads_to = leads_to.join(",");
    let routes = format!("to:{leads_to}");
    resources.push(resource(Kind::Listener, "l", &format!("{generation} {routes}")));
    resources.push(resource(Kind::Routes, &routes, &leads_to));
    Snapshot::new("d", resources.into_iter().map(Arc::new))
}

type Held = BTreeMap<String, Arc<Resource>>;

struct Client {
    protocol: Protocol,
    refuses: bool,
    /// How many seconds it waits for endpoints; none for ever.
    patience: Option<u64>,
    has: ByKind<Held>,
    /// Endpoints that it has asked for.
    wanted: BTreeSet<String>,
    /// Routes that it has asked for: those of its listener, and of earlier ones.
    routes: BTreeSet<String>,
    /// Of those, what it was told that there is none of.
    missed: Vec<String>,
    /// Whether it has asked for something, of each kind, since it is connected.
    has_asked: ByKind<bool>,
    /// Clusters that wait for their endpoints, and for how long by now; until there is none, none
    /// is acknowledged.
    cold: BTreeMap<String, u64>,
    held_back: Vec<(Kind, Ask)>,
    last_nonce: ByKind<Option<u64>>,
    out: VecDeque<(Kind, Ask)>,
}

impl Client {
    fn new(protocol: Protocol, refuses: bool) -> Self {
        Self {
            protocol,
            refuses,
            patience: None,
            has: ByKind::default(),
            wanted: BTreeSet::new(),
            routes: BTreeSet::new(),
            missed: Vec::new(),
            has_asked: ByKind::default(),
            cold: BTreeMap::new(),
            held_back: Vec::new(),
            last_nonce: ByKind::default(),
            out: VecDeque::new(),
        }
    }

    fn says(text: &Resource) -> String {
        String::from_utf8(text.body.to_vec()).unwrap()
    }

    /// Says what it wants, and what it has.
    fn connect(&mut self) -> Vec<(Kind, Ask)> {
        self.out.clear();
        self.held_back.clear();
        self.last_nonce = ByKind::default();
        self.has_asked = ByKind::default();
        let mut asks = vec![(Kind::Cluster, BTreeSet::new())];
        if !self.wanted.is_empty() {
            asks.push((Kind::Endpoints, self.wanted.clone()));
        }
        asks.push((Kind::Listener, BTreeSet::new()));
        if !self.routes.is_empty() {
            asks.push((Kind::Routes, self.routes.clone()));
        }
        for (kind, _) in &asks {
            *self.has_asked.get_mut(*kind) = true;
        }
        asks.into_iter().map(|(kind, names)| (kind, wants(self.first(kind, names)))).collect()
    }

    fn first(&self, kind: Kind, names: BTreeSet<String>) -> Names {
        match self.protocol {
            Protocol::StateOfTheWorld => Names::All(names.into_iter().collect()),
            Protocol::Delta => {
                let has = self.has.get(kind).values();
                let has = has.map(|one| (one.name.to_string(), one.version.to_string()));
                Names::Change {
                    subscribe: names.into_iter().collect(),
                    unsubscribe: Vec::new(),
                    has: has.collect(),
                }
            }
        }
    }

    /// All that it wants of a kind, as the state of the world has it repeated each time.
    fn all_names(&self, kind: Kind) -> Names {
        match (self.protocol, kind) {
            (Protocol::Delta, _) => Names::default(),
            (_, Kind::Endpoints) => Names::All(self.wanted.iter().cloned().collect()),
            (_, Kind::Routes) => Names::All(self.routes.iter().cloned().collect()),
            (_, Kind::Cluster | Kind::Listener) => Names::All(Vec::new()),
        }
    }

    fn hears(&mut self, answer: &Answer) {
        let kind = answer.kind;
        *self.last_nonce.get_mut(kind) = Some(answer.nonce);
        let is_poison = |one: &Arc<Resource>| {
            one.kind == Kind::Cluster && Self::says(one) == POISON.to_string()
        };
        let refused = self.refuses && answer.resources.iter().any(is_poison);
        let error = refused.then(|| "poison".to_owned());
        for name in &answer.removed {
            if kind == Kind::Routes && self.routes.contains(&**name) {
                self.missed.push(name.to_string());
            }
            self.has.get_mut(kind).remove(&**name);
            if kind == Kind::Endpoints {
                self.cold.remove(&**name);
            }
        }
        if !refused {
            self.take(answer);
        }
        let ask = Ask { nonce: Some(answer.nonce), error, names: self.all_names(kind) };
        if kind == Kind::Cluster {
            self.held_back.push((kind, ask));
        } else {
            // It asks for what a listener names before it says that it has the listener.
            if kind == Kind::Listener {
                self.want();
            }
            self.out.push_back((kind, ask));
        }
        self.want();
        self.acknowledge();
    }

    fn acknowledge(&mut self) {
        if self.cold.is_empty() {
            self.out.extend(self.held_back.drain(..));
        }
    }

    fn waits(&mut self, seconds: u64) {
        if let Some(patience) = self.patience {
            self.cold.retain(|_, waited| {
                *waited += seconds;
                *waited <= patience
            });
            self.acknowledge();
        }
    }

    fn take(&mut self, answer: &Answer) {
        let kind = answer.kind;
        let is_whole = self.protocol == Protocol::StateOfTheWorld && kind.is_whole();
        let held = self.has.get_mut(kind);
        if is_whole {
            held.retain(|name, _| answer.resources.iter().any(|one| *one.name == **name));
        }
        for one in &answer.resources {
            let is_wanted = match kind {
                Kind::Endpoints => self.wanted.contains(&*one.name),
                Kind::Routes => self.routes.contains(&*one.name),
                Kind::Cluster | Kind::Listener => true,
            };
            if !is_wanted {
                continue;
            }
            let before = held.insert(one.name.to_string(), Arc::clone(one));
            let is_other = before.is_none_or(|before| before.version != one.version);
            if kind == Kind::Cluster && is_other && has_endpoints(&one.name) {
                self.cold.insert(one.name.to_string(), 0);
            }
            if kind == Kind::Endpoints {
                self.cold.remove(&*one.name);
            }
        }
    }

    /// Asks for what its clusters and listeners name.
    fn want(&mut self) {
        let clusters = self.has.get(Kind::Cluster).keys();
        let wanted: BTreeSet<String> =
            clusters.filter(|name| has_endpoints(name)).cloned().collect();
        self.cold.retain(|name, _| wanted.contains(name));
        if wanted != self.wanted {
            let more: BTreeSet<String> = wanted.difference(&self.wanted).cloned().collect();
            let less: BTreeSet<String> = self.wanted.difference(&wanted).cloned().collect();
            self.has.get_mut(Kind::Endpoints).retain(|name, _| wanted.contains(name));
            self.wanted = wanted;
            self.ask(Kind::Endpoints, more, less);
        }
        let more: BTreeSet<String> = self.named().difference(&self.routes).cloned().collect();
        if !more.is_empty() {
            self.routes.extend(more.iter().cloned());
            self.ask(Kind::Routes, more, BTreeSet::new());
        }
    }

    /// The routes that its listener names.
    fn named(&self) -> BTreeSet<String> {
        let listeners = self.has.get(Kind::Listener).values().map(|one| Self::says(one));
        listeners.map(|says| says.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// What went on with earlier listeners has ended, and needs no routes.
    fn drain(&mut self) {
        let named = self.named();
        let less: BTreeSet<String> = self.routes.difference(&named).cloned().collect();
        if !less.is_empty() {
            self.has.get_mut(Kind::Routes).retain(|name, _| named.contains(name));
            self.routes = named;
            self.ask(Kind::Routes, BTreeSet::new(), less);
        }
    }

    fn ask(&mut self, kind: Kind, more: BTreeSet<String>, less: BTreeSet<String>) {
        let is_first = !std::mem::replace(self.has_asked.get_mut(kind), true);
        let names = match self.protocol {
            Protocol::Delta if is_first => self.first(kind, more),
            Protocol::Delta => Names::Change {
                subscribe: more.into_iter().collect(),
                unsubscribe: less.into_iter().collect(),
                has: Vec::new(),
            },
            Protocol::StateOfTheWorld => self.all_names(kind),
        };
        let nonce = match self.protocol {
            Protocol::Delta => None,
            Protocol::StateOfTheWorld => *self.last_nonce.get(kind),
        };
        self.out.push_back((kind, Ask { nonce, error: None, names }));
    }

    /// A route of its that leads nowhere, or routes of its that are not to be had.
    fn lost(&self) -> Option<String> {
        let routes = self.has.get(Kind::Routes).values().map(|one| Self::says(one));
        let leads_to = routes.collect::<Vec<String>>().join(",");
        let mut names = leads_to.split(',').filter(|name| !name.is_empty());
        let clusters = self.has.get(Kind::Cluster);
        let lost = names.find(|name| !clusters.contains_key(*name)).map(str::to_owned);
        lost.or_else(|| self.missed.first().cloned())
    }

    fn versions(&self, kind: Kind) -> BTreeMap<String, Version> {
        let held = self.has.get(kind).iter();
        held.map(|(name, one)| (name.clone(), one.version)).collect()
    }
}

struct Run {
    stream: Stream,
    client: Client,
    to_client: VecDeque<Answer>,
    target: Arc<Snapshot>,
    generation: usize,
    now: Duration,
}

impl Run {
    fn new(protocol: Protocol, refuses: bool) -> Self {
        let target = Arc::new(served(&World::new(), 0));
        let mut run = Self {
            stream: Stream::new(protocol, Self::settings(), Arc::clone(&target)),
            client: Client::new(protocol, refuses),
            to_client: VecDeque::new(),
            target,
            generation: 0,
            now: Duration::ZERO,
        };
        run.connect();
        run
    }

    /// Nothing is forgiven for having taken long.
    fn settings() -> Settings {
        let bounds = Bounds { answer_resources: 2, waiting: 1000, ..Bounds::default() };
        Settings { warm_up: Duration::MAX, bounds, ..Settings::default() }
    }

    fn connect(&mut self) {
        self.to_client.clear();
        let protocol = self.client.protocol;
        self.stream = Stream::new(protocol, Self::settings(), Arc::clone(&self.target));
        for (kind, ask) in self.client.connect() {
            self.stream.heard(kind, ask, self.now).unwrap();
        }
        self.send();
    }

    fn send(&mut self) {
        self.to_client.extend(answers(&mut self.stream, self.now));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Update(world) => {
                self.generation += 1;
                let next = served(world, self.generation);
                self.target = Arc::new(next.after(&self.target, ALL_BEFORE));
                self.stream.update(Arc::clone(&self.target));
            }
            Step::ToClient => {
                if let Some(answer) = self.to_client.pop_front() {
                    self.client.hears(&answer);
                }
            }
            Step::ToServer => {
                if let Some((kind, ask)) = self.client.out.pop_front() {
                    self.stream.heard(kind, ask, self.now).unwrap();
                }
            }
            Step::Wait(seconds) => {
                self.now += Duration::from_secs(*seconds);
                self.client.waits(*seconds);
            }
            Step::Drain => self.client.drain(),
            Step::Reconnect => self.connect(),
        }
        self.send();
    }

    /// Until nothing happens any more, and nothing goes on with what was before.
    fn come_to_rest(&mut self) {
        let mut idle = 0;
        for _ in 0..10_000 {
            if self.to_client.is_empty() && self.client.out.is_empty() {
                idle += 1;
                if idle > 12 {
                    return;
                }
                self.step(&Step::Drain);
                self.step(&Step::Wait(5));
            } else {
                idle = 0;
                self.step(&Step::ToClient);
                self.step(&Step::ToServer);
            }
        }
        panic!("they never stop talking");
    }

    fn assert_client_has_everything(&self) {
        let versions = |kind| {
            let of_kind = self.target.of(kind).values();
            of_kind.map(|one| (one.name.to_string(), one.version)).collect::<BTreeMap<_, _>>()
        };
        for kind in Kind::ALL {
            assert_eq!(self.client.versions(kind), versions(kind), "{kind:?}");
        }
        assert!(self.stream.report().is_current(), "{:?}", self.stream.report());
        assert!(self.client.cold.is_empty());
    }
}

fn world(worst: u8) -> impl Strategy<Value = World> {
    prop::collection::btree_map(0..6u8, (0..=worst, 0..3u8), 0..5)
}

fn steps(worst: u8, reconnects: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => world(worst).prop_map(Step::Update),
        6 => Just(Step::ToClient),
        6 => Just(Step::ToServer),
        2 => (1..5u64).prop_map(Step::Wait),
        1 => Just(Step::Drain),
        1 => Just(if reconnects { Step::Reconnect } else { Step::Wait(1) }),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn a_client_of_deltas_ends_up_with_everything(steps in steps(POISON - 1, true)) {
        let mut run = Run::new(Protocol::Delta, false);
        for step in &steps {
            run.step(step);
            prop_assert_eq!(run.client.lost(), None);
        }
        run.come_to_rest();
        run.assert_client_has_everything();
    }

    /// Who begins anew says nothing of what it has, so nothing can be kept for its routes.
    #[test]
    fn a_client_of_the_world_ends_up_with_everything(steps in steps(POISON - 1, false)) {
        let mut run = Run::new(Protocol::StateOfTheWorld, false);
        for step in &steps {
            run.step(step);
            prop_assert_eq!(run.client.lost(), None);
        }
        run.come_to_rest();
        run.assert_client_has_everything();
    }

    /// The server cannot know of clusters that it has never told of: that they wait for endpoints
    /// ends when the client's patience does.
    #[test]
    fn a_client_of_the_world_that_begins_anew_does_so_too(steps in steps(POISON - 1, true)) {
        let mut run = Run::new(Protocol::StateOfTheWorld, false);
        run.client.patience = Some(15);
        for step in &steps {
            run.step(step);
        }
        run.come_to_rest();
        run.assert_client_has_everything();
    }

    #[test]
    fn a_client_that_refuses_something_has_everything_once_it_is_gone(
        is_delta in any::<bool>(),
        steps in steps(POISON, true),
        last in world(POISON - 1),
    ) {
        let protocol = if is_delta { Protocol::Delta } else { Protocol::StateOfTheWorld };
        let mut run = Run::new(protocol, true);
        run.client.patience = Some(15);
        for step in &steps {
            run.step(step);
        }
        run.come_to_rest();
        run.step(&Step::Update(last));
        run.come_to_rest();
        run.assert_client_has_everything();
    }

    #[test]
    fn what_was_refused_is_not_sent_again_unasked(
        world in world(POISON),
        is_delta in any::<bool>(),
    ) {
        let protocol = if is_delta { Protocol::Delta } else { Protocol::StateOfTheWorld };
        let mut run = Run::new(protocol, true);
        run.step(&Step::Update(world));
        run.come_to_rest();
        let before = run.client.last_nonce.clone();
        for _ in 0..10 {
            run.step(&Step::Wait(100));
            run.come_to_rest();
        }
        prop_assert_eq!(run.client.last_nonce.clone(), before);
    }
}
