//! The settings of the HTTP modes: addresses, paths and limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use runpod_protocol::variable;

use crate::boot::HttpMode;
use crate::settings::Settings;

/// The port of RunPod's load balancer for an endpoint that names none.
const DEPLOYED_PORT: u16 = 80;
/// The port on a laptop, where ports below 1024 need privileges.
const LOCAL_PORT: u16 = 8000;
const HEALTH_PATH: &str = "/ping";

#[derive(Debug, Clone)]
pub(super) struct HttpSettings {
    pub(super) address: SocketAddr,
    /// A second port for health checks. They are answered on the first port, too.
    pub(super) health: Option<SocketAddr>,
    pub(super) health_path: String,
    /// Path of the realtime route; `None` on a load-balancing endpoint.
    pub(super) realtime: Option<String>,
    pub(super) queue: usize,
    /// Largest body of a request in bytes.
    pub(super) body_limit: usize,
    pub(super) worker_id: String,
}

impl HttpSettings {
    /// The variable that names the first port.
    pub(super) fn port_variable(&self) -> &'static str {
        if self.realtime.is_some() {
            "RUNPOD_REALTIME_PORT"
        } else {
            "PORT"
        }
    }

    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// One line that names the variable.
    pub(super) fn read(
        mode: HttpMode,
        settings: &Settings,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let get = |name: &str| variable::unless_blank(lookup(name));
        let worker_id = get("RUNPOD_POD_ID");
        // Requests come to a pod from outside. On any other machine only this machine is served, unless
        // RUNPOD_WORKER_HTTP_HOST names another address.
        let (host, default_port) = match &worker_id {
            Some(_) => (IpAddr::from(Ipv4Addr::UNSPECIFIED), DEPLOYED_PORT),
            None => (IpAddr::from(Ipv4Addr::LOCALHOST), LOCAL_PORT),
        };
        let host = settings.http_host.unwrap_or(host);
        let port = |name: &str| match get(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<u16>() {
                Ok(port) => Ok(Some(port)),
                Err(_) => Err(format!("{name}={text} is not a port")),
            },
        };
        let (port, health, realtime) = match mode {
            HttpMode::LoadBalancing => {
                let main = port("PORT")?.unwrap_or(default_port);
                (main, port("PORT_HEALTH")?.filter(|health| *health != main), None)
            }
            HttpMode::Realtime(realtime) => {
                let path = match get("RUNPOD_ENDPOINT_ID") {
                    Some(endpoint) => format!("/{endpoint}/realtime"),
                    None => "/realtime".to_owned(),
                };
                (realtime.port, None, Some(path))
            }
        };
        Ok(Self {
            address: SocketAddr::new(host, port),
            health: health.map(|port| SocketAddr::new(host, port)),
            health_path: get("HEALTH_CHECK_PATH").unwrap_or_else(|| HEALTH_PATH.to_owned()),
            realtime,
            queue: settings.http_queue,
            body_limit: settings.limits.http_body,
            worker_id: worker_id.unwrap_or_else(|| "local".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Realtime;

    fn read(mode: HttpMode, variables: &[(&str, &str)]) -> Result<HttpSettings, String> {
        HttpSettings::read(mode, &Settings::default(), |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_pod_listens_for_everybody_and_a_laptop_for_itself() {
        let settings = read(HttpMode::LoadBalancing, &[("RUNPOD_POD_ID", "w1")]).unwrap();
        assert_eq!(settings.address.to_string(), "0.0.0.0:80");
        assert!(settings.health.is_none());
        let settings = read(HttpMode::LoadBalancing, &[]).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:8000");
    }

    #[test]
    fn health_checks_may_have_a_port_and_a_path_of_their_own() {
        let variables = [
            ("PORT", "5000"),
            ("PORT_HEALTH", "5001"),
            ("HEALTH_CHECK_PATH", "/healthz"),
        ];
        let settings = read(HttpMode::LoadBalancing, &variables).unwrap();
        assert_eq!(settings.health.unwrap().port(), 5001);
        assert_eq!(settings.health_path, "/healthz");
        let settings = read(
            HttpMode::LoadBalancing,
            &[("PORT", "5000"), ("PORT_HEALTH", "5000")],
        )
        .unwrap();
        assert!(settings.health.is_none());
    }

    #[test]
    fn a_bad_port_is_named() {
        let problem = read(HttpMode::LoadBalancing, &[("PORT", "http")]).unwrap_err();
        assert_eq!(problem, "PORT=http is not a port");
    }

    #[test]
    fn a_realtime_worker_has_its_endpoint_in_its_path() {
        let mode = HttpMode::Realtime(Realtime {
            port: 7000,
            concurrency: None,
        });
        let settings = read(mode, &[("RUNPOD_ENDPOINT_ID", "ep1"), ("PORT", "80")]).unwrap();
        assert_eq!(settings.realtime.as_deref(), Some("/ep1/realtime"));
        assert_eq!(settings.address.port(), 7000);
    }
}
