//! A simulated plant, of one line if nothing else is said: simulator, OPC UA, gateway, host; ready for viewers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gemba_devices::gateway::{self, GatewayConfig, GatewayEvent};
use gemba_net::Address;
use gemba_net::test_network::{ProxyConfig, UdpProxy};
use gemba_twin::sample::Value;

use crate::program::{self, Program};

/// A running plant and its host.
pub struct PlantSite {
    /// For this test's files.
    pub folder: tempfile::TempDir,
    /// The simulator.
    pub simulator: Program,
    /// Its OPC UA endpoint.
    pub endpoint: String,
    /// The host.
    pub host: Program,
    /// The site's address.
    pub address: String,
}

impl PlantSite {
    /// Generates, imports, simulates and serves; who comes is an editor.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments for the simulator.
    pub fn start_with(simulate: &[&str]) -> Self {
        Self::start_lines(1, simulate)
    }

    /// The same of so many lines.
    pub fn start_lines(lines: u16, simulate: &[&str]) -> Self {
        let lines = lines.to_string();
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (model, site) = (folder.path().join("plant.glb"), folder.path().join("site"));
        generate_lines(&model, &lines);
        program::run("gembactl", ["import".as_ref(), model.as_os_str(), "--site".as_ref(), site.as_os_str()]);
        let own = ["simulate", "--listen", "127.0.0.1:0", "--lines", &lines];
        let mut simulator = Program::start("gembactl", own.iter().chain(simulate));
        let endpoint = simulator.first_line();
        let (host, address) = serve(&site, "127.0.0.1:0", Some(&endpoint));
        Self { folder, simulator, endpoint, host, address }
    }

    /// The site's directory.
    pub fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Starts the host again at the same address, after it has been killed.
    pub fn serve_again(&mut self) {
        let listen = self.address.trim_start_matches("gemba://").split('/').next().unwrap_or_default().to_owned();
        let (host, address) = serve(&self.site(), &listen, Some(&self.endpoint));
        assert_eq!(address, self.address, "the same site has the same address");
        self.host = host;
    }

    /// A bad line to the host, the same both ways, and the site's address behind it.
    pub fn behind(&self, line: &str) -> (UdpProxy, String) {
        let host: Address = self.address.parse().expect("a site has an address");
        let line = line.parse().expect("the line's conditions");
        let target = format!("{}:{}", host.host, host.port).parse().expect("a test's host has a number for a name");
        let config = ProxyConfig { listen: ([127, 0, 0, 1], 0).into(), target, up: line, down: line, seed: 4 };
        let proxy = UdpProxy::start(config).expect("a free port");
        let through = Address { port: proxy.local_addr().port(), ..host }.to_string();
        (proxy, through)
    }

    /// A link that lets one person in with this role. The host rests while it is made.
    pub fn invite(&mut self, role: &str) -> String {
        self.host.kill();
        let site = self.site();
        let arguments = ["invite".as_ref(), role.as_ref(), "--site".as_ref(), site.as_os_str()];
        let link = program::run("gembactl", arguments).stdout.trim().to_owned();
        self.serve_again();
        link
    }

    /// Commands a device as an engineer with an OPC UA client would, past all of Gemba.
    pub fn command(&self, tag: &str, value: f64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut client = gateway::spawn(GatewayConfig::new(self.endpoint.clone()));
            loop {
                match client.next().await.expect("the client runs") {
                    GatewayEvent::Tags(_) => break,
                    GatewayEvent::Lost { why } => panic!("the simulator is gone: {why}"),
                    _ => {}
                }
            }
            let tag = tag.parse().expect("a tag's path");
            client.write(tag, Value::Float(value)).await.expect("the device takes the command");
        });
    }
}

/// Draws a plant of one line.
pub fn generate(model: &Path) {
    generate_lines(model, "1");
}

fn generate_lines(model: &Path, lines: &str) {
    let arguments = ["plant", "generate", "--lines", lines, "--out"].map(AsRef::<std::ffi::OsStr>::as_ref);
    program::run("gembactl", arguments.into_iter().chain([model.as_os_str()]));
}

/// Starts a host over a site; the host and its address.
pub fn serve(site: &Path, listen: &str, endpoint: Option<&str>) -> (Program, String) {
    let mut arguments =
        vec![site.as_os_str().to_owned(), "--listen".into(), listen.into(), "--admit".into(), "editor".into()];
    if let Some(endpoint) = endpoint {
        arguments.extend(["--opcua".into(), endpoint.into()]);
    }
    let mut host = Program::start("gembad", arguments);
    let address = host.first_line();
    (host, address)
}

/// Asks until `found` finds something; fails after a minute with these words.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "this did not happen within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
