//! A real Envoy with the bundle, running what `postern render envoy` made of a document.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Answer, Call, Client, Protocol};
use crate::process::{self, Finished, Running};
use crate::{env, ports, server, wait};

/// V8 compiles the module meanwhile, on a machine that may be busy.
const START: Duration = Duration::from_secs(60);
const VALIDATE: Duration = Duration::from_secs(60);
/// Until an Envoy has ended that was taken over from: it is given four seconds.
const HANDED_OVER: Duration = Duration::from_secs(20);

/// The ports that an Envoy listens on.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Requests.
    pub listen: u16,
    /// Admin.
    pub admin: u16,
}

impl Ports {
    /// Free ones.
    #[must_use]
    pub fn free() -> Self {
        Self { listen: ports::free(), admin: ports::free() }
    }
}

/// Runs `postern render envoy`.
pub async fn render(
    document: &Path,
    out: &Path,
    envoy: Ports,
    server_ports: server::Ports,
) -> Finished {
    render_with(document, out, envoy, server_ports, &[]).await
}

/// The same with further options of the command line.
pub async fn render_with(
    document: &Path,
    out: &Path,
    envoy: Ports,
    server_ports: server::Ports,
    more: &[String],
) -> Finished {
    let address = |port: u16| ports::local(port).to_string();
    let mut command = server::command(["render", "envoy"]);
    command
        .arg(document)
        .arg("--out")
        .arg(out)
        .args(["--listen", &address(envoy.listen)])
        .args(["--envoy-admin", &address(envoy.admin)])
        .args(["--server-grpc", &address(server_ports.grpc)])
        .args(["--server-public", &address(server_ports.public)])
        .arg("--wasm")
        .arg(env::bundle())
        .args(more);
    process::run(command, Duration::from_secs(30)).await
}

/// Options of an Envoy that asks whoever listens on this port what it runs.
#[must_use]
pub fn asks(port: u16) -> [String; 2] {
    ["--source=ads".to_owned(), format!("--xds-server={}", ports::local(port))]
}

/// Where [`render`] writes to.
#[must_use]
pub fn config_file(out: &Path) -> PathBuf {
    out.join("envoy.json")
}

/// Changes a rendered configuration, to see what a misconfigured Envoy does.
///
/// # Panics
/// When it is no JSON.
pub fn edit(config: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(config).expect("the rendered configuration");
    let mut value: Value = serde_json::from_str(&text).expect("envoy.json is JSON");
    change(&mut value);
    fs::write(config, value.to_string()).expect("the changed configuration");
}

/// Calls `change` with every object of a configuration.
pub fn for_each_object(
    value: &mut Value,
    change: &mut dyn FnMut(&mut serde_json::Map<String, Value>),
) {
    match value {
        Value::Object(members) => {
            change(members);
            for member in members.values_mut() {
                for_each_object(member, change);
            }
        }
        Value::Array(items) => {
            for item in items {
                for_each_object(item, change);
            }
        }
        _ => {}
    }
}

/// Gives the server two seconds for what a gateway gives it a quarter of one: machines that tests
/// run on stand still for longer than that, and a test is not about how fast they are. What is
/// answered when the time is over stays what it is.
pub fn be_patient(config: &mut Value) {
    for_each_object(config, &mut |members| {
        let calls_the_server = members.contains_key("envoy_grpc");
        let time = if calls_the_server { "timeout" } else { "message_timeout" };
        if let Some(time) = members.get_mut(time) {
            *time = Value::from("2s");
        }
        // What bounds each attempt, see `retry_policy` in render/src/envoy/filters.rs.
        let pause = members.get_mut("retry_back_off");
        if let Some(longest) = pause.and_then(|pause| pause.get_mut("max_interval")) {
            *longest = Value::from("2s");
        }
    });
}

/// A cluster of a configuration.
///
/// # Panics
/// When there is none of that name.
pub fn cluster<'c>(config: &'c mut Value, name: &str) -> &'c mut Value {
    let clusters = config["static_resources"]["clusters"].as_array_mut().expect("clusters");
    let found = clusters.iter_mut().find(|cluster| cluster["name"] == name);
    found.unwrap_or_else(|| panic!("the rendered configuration has no cluster {name}"))
}

/// Whether a configuration has a cluster of this name.
#[must_use]
pub fn has_cluster(config: &Value, name: &str) -> bool {
    let clusters = config["static_resources"]["clusters"].as_array();
    clusters.is_some_and(|clusters| clusters.iter().any(|cluster| cluster["name"] == name))
}

/// Has a cluster lead to another port.
pub fn lead_to(cluster: &mut Value, port: u16) {
    for_each_object(cluster, &mut |object| {
        if let Some(led) = object.get_mut("port_value") {
            *led = Value::from(port);
        }
    });
}

/// Has a cluster lead to another port, too.
///
/// # Panics
/// When it leads nowhere.
pub fn lead_also_to(cluster: &mut Value, port: u16) {
    let endpoints = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"];
    let endpoints = endpoints.as_array_mut().expect("endpoints");
    let mut other = endpoints.first().expect("an endpoint").clone();
    lead_to(&mut other, port);
    endpoints.push(other);
}

/// Has Envoy itself check a configuration.
pub async fn validate(config: &Path) -> Finished {
    let mut command = Command::new(env::envoy());
    command.args(["--mode", "validate", "--log-level", "warning", "-c"]).arg(config);
    process::run(command, VALIDATE).await
}

/// An Envoy that runs until it is dropped.
#[derive(Debug)]
pub struct Envoy {
    setup: Setup,
    process: Running,
    /// The one that it has taken over from, until that ends.
    before: Option<Running>,
    /// Goes last.
    _memory: Option<SharedMemory>,
}

/// How one is started.
#[derive(Debug)]
struct Setup {
    config: PathBuf,
    ports: Ports,
    workers: u32,
    log: PathBuf,
    /// Where Envoys take over from each other: how often one has.
    epoch: Option<u32>,
    /// How long connections go on with an earlier listener; Envoy's own ten minutes otherwise.
    drain_seconds: Option<u32>,
}

impl Envoy {
    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// When it does not soon, or ends.
    pub async fn start(config: &Path, ports: Ports, workers: u32, log: &Path) -> Self {
        Self::start_as(config, ports, workers, log, false).await
    }

    /// The same; `hot`: one that another can take over from, by [`Envoy::hand_over`].
    ///
    /// # Panics
    /// As [`Envoy::start`] does.
    pub async fn start_as(
        config: &Path,
        ports: Ports,
        workers: u32,
        log: &Path,
        hot: bool,
    ) -> Self {
        let (config, log) = (config.to_path_buf(), log.to_path_buf());
        let epoch = hot.then_some(0);
        let setup = Setup { config, ports, workers, log, epoch, drain_seconds: None };
        let memory = hot.then(|| SharedMemory::of(ports));
        let process = setup.run().await;
        Self { setup, process, before: None, _memory: memory }
    }

    /// One whose connections go on with an earlier listener for so many seconds.
    ///
    /// # Panics
    /// As [`Envoy::start`] does.
    pub async fn start_draining(config: &Path, ports: Ports, log: &Path, seconds: u32) -> Self {
        let (config, log) = (config.to_path_buf(), log.to_path_buf());
        let drain_seconds = Some(seconds);
        let setup = Setup { config, ports, workers: 1, log, epoch: None, drain_seconds };
        let process = setup.run().await;
        Self { setup, process, before: None, _memory: None }
    }

    /// Starts another one that takes over: it has the ports, and this one serves what it has
    /// begun, for some seconds.
    ///
    /// # Panics
    /// When the other one is not live soon, or this one was not started for it.
    pub async fn hand_over(&mut self) {
        let epoch = self.setup.epoch.as_mut().expect("an Envoy that can be taken over from");
        *epoch += 1;
        let after = self.setup.run().await;
        self.before = Some(std::mem::replace(&mut self.process, after));
    }

    /// Until the one before has ended.
    ///
    /// # Panics
    /// When it does not.
    pub async fn until_alone(&mut self) {
        let Some(before) = &mut self.before else { return };
        wait::until("end of the Envoy before", HANDED_OVER, || {
            let ended = before.ended().ok_or("it goes on");
            async move { ended }
        })
        .await;
        self.before = None;
    }

    /// Ends it as a crash would, and starts it again: it knows nothing of what was.
    ///
    /// # Panics
    /// When it does not listen soon, or ends.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = self.setup.run().await;
    }

    /// Its ports.
    #[must_use]
    pub const fn ports(&self) -> Ports {
        self.setup.ports
    }

    /// All counters and gauges.
    pub async fn stats(&self) -> BTreeMap<String, u64> {
        let text = self.admin("/stats").await.text();
        text.lines()
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(": ")?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// One counter or gauge; 0 when it is not there yet.
    pub async fn stat(&self, name: &str) -> u64 {
        self.stats().await.get(name).copied().unwrap_or(0)
    }

    /// What counters add up to whose names begin and end like this: routes, for example, are
    /// counted by their own names.
    pub async fn sum(&self, begin: &str, end: &str) -> u64 {
        let stats = self.stats().await;
        let is_one = |name: &str| name.starts_with(begin) && name.ends_with(end);
        stats.iter().filter(|(name, _)| is_one(name)).map(|(_, value)| value).sum()
    }

    /// What its admin interface says there.
    pub async fn admin(&self, target: &str) -> Answer {
        let admin = Client::new(Protocol::Http1, self.setup.ports.admin);
        admin.send(&Call::get(target)).await
    }

    /// What a filter counts under this name, or says that it is; none when there is nothing yet.
    pub async fn filter_stat(&self, name: &str) -> Option<u64> {
        self.stats().await.get(&format!("wasmcustom.{name}")).copied()
    }

    /// What it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Asserts that it runs, and that no VM of a filter had to be made anew. That the VMs
    /// answer is for the caller to see: under FAIL_CLOSED a dead one turns requests away.
    ///
    /// # Panics
    /// When one did.
    pub async fn assert_no_failed_machine(&mut self) {
        if let Some(status) = self.process.ended() {
            panic!("Envoy ended with {status}");
        }
        let failures: Vec<(String, u64)> = self
            .stats()
            .await
            .into_iter()
            .filter(|(name, value)| name.contains("vm_reload") && *value > 0)
            .collect();
        assert!(failures.is_empty(), "filter VMs failed: {failures:?}");
    }
}

impl Setup {
    /// Starts one and waits until it listens.
    async fn run(&self) -> Running {
        let mut command = Command::new(env::envoy());
        command
            .arg("-c")
            .arg(&self.config)
            .args(["--concurrency", &self.workers.to_string()])
            // Tests read access logs.
            .args(["--file-flush-interval-msec", "200"])
            .args(["--log-level", "info"]);
        match self.epoch {
            // Nothing is shared with other Envoys of this machine, and nothing stays behind in
            // shared memory after a kill.
            None => command.arg("--disable-hot-restart"),
            Some(epoch) => command
                .args(["--base-id", &base_id(self.ports).to_string()])
                .args(["--restart-epoch", &epoch.to_string()])
                .args(["--drain-strategy", "immediate", "--drain-time-s", "2"])
                .args(["--parent-shutdown-time-s", "4"]),
        };
        if let Some(seconds) = self.drain_seconds {
            command.args(["--drain-time-s", &seconds.to_string()]);
        }
        let mut process = Running::start("envoy", &self.log, &mut command);
        let admin = Client::new(Protocol::Http1, self.ports.admin);
        wait::until("live Envoy", START, || {
            if let Some(status) = process.ended() {
                panic!("Envoy ended with {status} before it was ready");
            }
            is_live(admin, self.epoch)
        })
        .await;
        wait::until_listening("Envoy", self.ports.listen, START).await;
        process
    }
}

/// That an Envoy is live: this one, and not the one that it takes over from.
async fn is_live(admin: Client, epoch: Option<u32>) -> Result<(), String> {
    let Some(epoch) = epoch else {
        let answer = admin.try_send(&Call::get("/ready")).await?;
        return if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) };
    };
    let info = admin.try_send(&Call::get("/server_info")).await?.json();
    let found = info["command_line_options"]["restart_epoch"].as_u64().unwrap_or_default();
    let is_so = found == u64::from(epoch) && info["state"] == "LIVE";
    if is_so { Ok(()) } else { Err(format!("{} of epoch {found}", info["state"])) }
}

/// What the Envoys that take over from each other find each other by: nobody else has the port.
fn base_id(ports: Ports) -> u32 {
    u32::from(ports.admin)
}

/// What such Envoys leave behind when they are killed.
#[derive(Debug)]
struct SharedMemory(PathBuf);

impl SharedMemory {
    fn of(ports: Ports) -> Self {
        // Envoy leaves room for ten of its own names between two ids.
        Self(PathBuf::from(format!("/dev/shm/envoy_shared_memory_{}", base_id(ports) * 10)))
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // It may have ended well.
        let _ = fs::remove_file(&self.0);
    }
}
