//! Load from `wrk`, which costs the machine less than a client in this process would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::process::Command;

/// Takes the sessions in turn, whatever the connection. Its last line is for this program.
const SCRIPT: &str = r#"
local requests, at = {}, 0
function init(arguments)
  for cookie in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", nil, { Cookie = cookie })
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("bench %d %d %d %f %f\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#;

/// A site and the sessions that requests to it present.
#[derive(Debug)]
pub(super) struct Load {
    address: SocketAddr,
    folder: tempfile::TempDir,
}

/// What came of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Loaded {
    /// Requests a second.
    pub(super) rate: f64,
    /// Seconds.
    pub(super) p50: f64,
    /// Seconds.
    pub(super) p99: f64,
}

impl Load {
    pub(super) fn new(address: SocketAddr, cookies: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cookies"), cookies.join("\n")).unwrap();
        std::fs::write(folder.path().join("script.lua"), SCRIPT).unwrap();
        Self { address, folder }
    }

    pub(super) async fn run(&self, route: &str, connections: usize, time: Duration) -> Loaded {
        let output = Command::new("wrk")
            .args(["--threads", "1", "--timeout", "10s"])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &format!("{}s", time.as_secs().max(1))])
            .arg("--script")
            .arg(self.folder.path().join("script.lua"))
            .arg(format!("http://{}/{route}", self.address))
            .arg("--")
            .arg(self.folder.path().join("cookies"))
            .kill_on_drop(true)
            .output()
            .await
            .expect("wrk runs: install Debian's wrk, or let cargo xtask bench do so");
        let text = String::from_utf8_lossy(&output.stdout);
        Loaded::read(&text).unwrap_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            panic!("not every request was answered as it should: {text}{errors}")
        })
    }
}

impl Loaded {
    /// Reads the script's last line; nothing if a request failed.
    fn read(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("bench "))?;
        let figures: Vec<f64> = line.split(' ').flat_map(str::parse).collect();
        let [requests, micros, errors, p50, p99] = figures.try_into().ok()?;
        (requests > 0.0 && errors == 0.0).then(|| Self {
            rate: requests / micros * 1e6,
            p50: p50 / 1e6,
            p99: p99 / 1e6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_in_which_a_request_failed_is_no_figure() {
        let good = "Running 1s test\nbench 120 2000000 0 500.0 900.0\n";
        let loaded = Loaded::read(good).unwrap();
        assert_eq!((loaded.rate, loaded.p50, loaded.p99), (60.0, 5e-4, 9e-4));
        assert_eq!(Loaded::read("bench 120 2000000 1 500.0 900.0"), None);
        assert_eq!(Loaded::read("bench 0 2000000 0 0 0"), None);
        assert_eq!(Loaded::read("unable to connect"), None);
    }
}
