//! Two nodes with ports that both know before they start.

use super::*;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A controller and broker, 1, and a broker, 2, whose files outlive them.
pub(crate) struct Pair {
    machines: [Machine; 2],
    addresses: Vec<String>,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        let mut ports = Vec::new();
        for _ in 0..4 {
            // No connection leaves from this address, so the port is still free when the node binds it.
            ports.push(Net::Tcp.bind("127.0.0.3:0").await.unwrap());
        }
        let addresses = ports.iter().map(|port| port.local_addr().unwrap().to_string()).collect();
        Self { machines: [Machine::default(), Machine::default()], addresses }
    }

    /// Of node `id`, with these properties besides.
    pub(crate) fn config(&self, id: usize, extra: &[(&str, &str)]) -> BrokerConfig {
        let [controller, first, second, internal] = [0, 1, 2, 3].map(|index| &self.addresses[index]);
        let voters = format!("1@{controller}");
        let common = [("controller.quorum.voters", voters.as_str()), ("controller.listener.names", "CONTROLLER")];
        let http = ("highwater.http.listener", "127.0.0.1:0");
        let listeners = match id {
            1 => format!("PLAINTEXT://{first},CONTROLLER://{controller}"),
            _ => format!("PLAINTEXT://{second}"),
        };
        let (roles, number) = (if id == 1 { "broker,controller" } else { "broker" }, id.to_string());
        let mut all = common.to_vec();
        all.extend([http, ("node.id", &number), ("process.roles", roles), ("listeners", &listeners)]);
        if id == 2 {
            all.push(("highwater.internal.listener", internal));
        }
        all.extend(extra);
        Machine::config(&all)
    }

    pub(crate) async fn try_start(&self, id: usize, config: BrokerConfig) -> Result<RunningBroker, String> {
        let machine = &self.machines[id - 1];
        let env = Env::in_memory(machine.disk.clone(), machine.store.clone());
        Broker::start(config, env).await.map_err(|error| error.to_string())
    }

    /// Starts the node, and waits until it serves clients.
    pub(crate) async fn start(&self, id: usize, config: BrokerConfig) -> RunningBroker {
        let node = self.try_start(id, config).await.unwrap();
        let ready = async {
            while !node.is_ready() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, ready).await.is_err() {
            panic!("node {id} does not become ready: {:?}", node.problem());
        }
        node
    }
}
