//! Whether and where figures are served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Metrics;
use super::serve::{Limits, MetricsThread, on_thread};
use crate::events::Events;

/// The variable that says where.
const VARIABLE: &str = "RUNPOD_WORKER_METRICS";

#[derive(Debug, Clone, Default)]
pub(crate) struct MetricsOptions {
    pub(crate) metrics: Option<Metrics>,
    pub(crate) address: Option<SocketAddr>,
}

impl MetricsOptions {
    /// Reads the environment. Where figures are to be served and the program has none of its own, they
    /// are made here. Returns a line about what could not be understood.
    pub(crate) fn override_from(
        &mut self,
        lookup: impl Fn(&str) -> Option<String>,
        events: &mut Events,
    ) -> Option<String> {
        let text = lookup(VARIABLE).unwrap_or_default();
        let problem = match text.trim() {
            "" => None,
            "off" => {
                self.address = None;
                None
            }
            text => match parse(text) {
                Some(address) => {
                    self.address = Some(address);
                    None
                }
                None => Some(format!(
                    "{VARIABLE}={text}: write a port such as 9090, which this machine alone can reach, \
                     an address such as 0.0.0.0:9090, or off"
                )),
            },
        };
        if self.address.is_some() && self.metrics.is_none() {
            self.attach(&Metrics::new(), events);
        }
        problem
    }

    /// Counts what `events` tell in `metrics`.
    pub(crate) fn attach(&mut self, metrics: &Metrics, events: &mut Events) {
        let counting = metrics.clone();
        events.listen(move |event| counting.count(event));
        self.metrics = Some(metrics.clone());
    }

    /// Serves the figures until the thread is dropped, if they are to be served.
    pub(crate) fn serve(&self) -> Option<MetricsThread> {
        on_thread(self.metrics.as_ref()?, self.address?, Limits::default())
    }
}

/// A port of this machine alone, or a whole address.
fn parse(text: &str) -> Option<SocketAddr> {
    if let Ok(port) = text.parse::<u16>() {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_served_to_this_machine_alone() {
        assert_eq!(parse("9090"), Some(([127, 0, 0, 1], 9090).into()));
        assert_eq!(parse("0.0.0.0:9090"), Some(([0, 0, 0, 0], 9090).into()));
        assert_eq!(parse("[::1]:9090").map(|address| address.is_ipv6()), Some(true));
        for bad in ["70000", "localhost:9090", ":9090", "yes"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_environment_switches_figures_on_and_off() {
        let mut options = MetricsOptions::default();
        let mut events = Events::default();
        assert_eq!(options.override_from(|_| None, &mut events), None);
        assert!(options.metrics.is_none());
        assert_eq!(options.override_from(|_| Some("9090".into()), &mut events), None);
        assert!(options.metrics.is_some() && options.address.is_some());
        assert_eq!(options.override_from(|_| Some("off".into()), &mut events), None);
        assert_eq!(options.address, None);
        insta::assert_snapshot!(
            options
                .override_from(|_| Some("yes".into()), &mut events)
                .unwrap()
        );
    }
}
