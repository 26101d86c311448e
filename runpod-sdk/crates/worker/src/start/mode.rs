//! Which way the worker works: the platform's queue, or requests that it answers itself.

use std::num::NonZeroUsize;

use tracing::warn;

/// A way of working in which the worker answers HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HttpMode {
    LoadBalancing,
    Realtime {
        port: u16,
        /// Jobs at once, if the platform says so.
        concurrency: Option<NonZeroUsize>,
    },
}

/// The realtime server, if the platform asks for one by `RUNPOD_REALTIME_PORT`.
pub(super) fn realtime(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<HttpMode>, String> {
    let number = |name: &str| {
        let text = lookup(name).filter(|text| !text.is_empty())?;
        let number = text.trim().parse::<u16>();
        if number.is_err() {
            warn!("{name}={text} is not a number up to 65535; it is ignored");
        }
        number.ok()
    };
    let Some(port) = number("RUNPOD_REALTIME_PORT").filter(|port| *port != 0) else {
        return Ok(None);
    };
    if !cfg!(feature = "http-modes") {
        return Err(format!(
            "RUNPOD_REALTIME_PORT={port}: this worker was built without the realtime server; \
             build it with the feature `http-modes` of runpod-sdk"
        ));
    }
    let concurrency = number("RUNPOD_REALTIME_CONCURRENCY").and_then(|jobs| NonZeroUsize::new(jobs.into()));
    Ok(Some(HttpMode::Realtime { port, concurrency }))
}

/// A load-balancing endpoint, if `RUNPOD_WORKER_MODE` or else the program says so. `PORT` alone says nothing: it
/// is set in many places.
pub(super) fn load_balancing(
    by_program: bool,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<HttpMode>, String> {
    const NAME: &str = "RUNPOD_WORKER_MODE";
    let wanted = match lookup(NAME).as_deref() {
        None | Some("") => by_program,
        Some("load-balancing") => true,
        Some("queue") => false,
        Some(other) => return Err(format!("{NAME}={other}: write `queue` or `load-balancing`")),
    };
    if wanted && !cfg!(feature = "http-modes") {
        return Err(format!(
            "{NAME}=load-balancing: this worker was built without it; \
             build it with the feature `http-modes` of runpod-sdk"
        ));
    }
    Ok(wanted.then_some(HttpMode::LoadBalancing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn no_port_or_zero_is_no_realtime_server() {
        for variables in [
            &[][..],
            &[("RUNPOD_REALTIME_PORT", "0")],
            &[("RUNPOD_REALTIME_PORT", "")],
        ] {
            assert_eq!(realtime(lookup(variables)), Ok(None));
        }
        assert_eq!(
            realtime(lookup(&[("RUNPOD_REALTIME_PORT", "many")])),
            Ok(None),
            "as a warning says"
        );
    }

    #[test]
    fn a_mode_nobody_knows_is_named() {
        let problem = load_balancing(false, lookup(&[("RUNPOD_WORKER_MODE", "fast")])).unwrap_err();
        assert_eq!(
            problem,
            "RUNPOD_WORKER_MODE=fast: write `queue` or `load-balancing`"
        );
    }

    #[test]
    fn a_port_alone_makes_no_server() {
        assert_eq!(load_balancing(false, lookup(&[("PORT", "80")])), Ok(None));
    }

    #[cfg(feature = "http-modes")]
    #[test]
    fn the_environment_wins_over_the_program() {
        let queue = lookup(&[("RUNPOD_WORKER_MODE", "queue")]);
        assert_eq!(load_balancing(true, queue), Ok(None));
        assert_eq!(
            load_balancing(true, lookup(&[])),
            Ok(Some(HttpMode::LoadBalancing))
        );
        let balanced = lookup(&[("RUNPOD_WORKER_MODE", "load-balancing")]);
        assert_eq!(load_balancing(false, balanced), Ok(Some(HttpMode::LoadBalancing)));
        let variables = [
            ("RUNPOD_REALTIME_PORT", "7000"),
            ("RUNPOD_REALTIME_CONCURRENCY", "3"),
        ];
        let mode = HttpMode::Realtime {
            port: 7000,
            concurrency: NonZeroUsize::new(3),
        };
        assert_eq!(realtime(lookup(&variables)), Ok(Some(mode)));
    }

    #[cfg(not(feature = "http-modes"))]
    #[test]
    fn a_mode_whose_feature_is_missing_names_the_feature() {
        let problem = realtime(lookup(&[("RUNPOD_REALTIME_PORT", "7000")])).unwrap_err();
        assert!(problem.contains("feature `http-modes`"), "{problem}");
        let problem = load_balancing(false, lookup(&[("RUNPOD_WORKER_MODE", "load-balancing")])).unwrap_err();
        assert!(problem.contains("feature `http-modes`"), "{problem}");
    }
}
