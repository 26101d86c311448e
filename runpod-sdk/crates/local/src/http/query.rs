//! The parameters of a request's query.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;
use runpod_protocol::{from_milliseconds, query};

use super::refused::Refused;

/// Every parameter that an operation reads. Unknown ones, such as `gpu`, are ignored.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    wait: Option<String>,
    ttl: Option<String>,
    pub(crate) job_in_progress: Option<String>,
    batch_size: Option<String>,
    pub(crate) job_id: Option<String>,
    pub(crate) runpod_version: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) check: Option<String>,
    pub(crate) reason: Option<String>,
    limit: Option<String>,
}

/// A parameter that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadParameter {
    #[error("bad request: query: `{0}` is a number of milliseconds")]
    NoNumber(&'static str),
    #[error("bad request: query: `{name}` must be between {} and {} milliseconds", .range.start().as_millis(), .range.end().as_millis())]
    OutOfRange {
        name: &'static str,
        range: RangeInclusive<Duration>,
    },
}

impl From<BadParameter> for Refused {
    fn from(problem: BadParameter) -> Self {
        Self::bad_request(problem.to_string())
    }
}

impl Parameters {
    /// Reads a query. Of a parameter that comes twice the last one counts.
    pub(crate) fn of(uri: &Uri) -> Self {
        let mut parameters = Self::default();
        let text = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if let Some(field) = parameters.field(&name) {
                *field = Some(value.into_owned());
            }
        }
        parameters
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            query::WAIT => &mut self.wait,
            query::TTL => &mut self.ttl,
            query::JOB_IN_PROGRESS => &mut self.job_in_progress,
            query::BATCH_SIZE => &mut self.batch_size,
            query::JOB_ID => &mut self.job_id,
            query::RUNPOD_VERSION => &mut self.runpod_version,
            query::STATUS => &mut self.status,
            query::CHECK => &mut self.check,
            query::REASON => &mut self.reason,
            query::LIMIT => &mut self.limit,
            _ => return None,
        })
    }

    /// `wait`: for how long the request may be held.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, BadParameter> {
        let range = query::SHORTEST_WAIT..=query::LONGEST_WAIT;
        let wait = milliseconds(query::WAIT, self.wait.as_deref())?;
        match wait.filter(|wait| !range.contains(wait)) {
            Some(_) => Err(BadParameter::OutOfRange {
                name: query::WAIT,
                range,
            }),
            None => Ok(wait),
        }
    }

    /// `ttl`, not brought into any range.
    pub(crate) fn ttl(&self) -> Result<Option<Duration>, BadParameter> {
        milliseconds(query::TTL, self.ttl.as_deref())
    }

    /// `batch_size`, at least one.
    pub(crate) fn batch_size(&self) -> usize {
        number(self.batch_size.as_deref()).unwrap_or(1).max(1)
    }

    /// `limit`: how many entries of a list are wanted.
    pub(crate) fn limit(&self) -> Option<usize> {
        number(self.limit.as_deref())
    }
}

fn number(text: Option<&str>) -> Option<usize> {
    text?.parse().ok()
}

fn milliseconds(name: &'static str, text: Option<&str>) -> Result<Option<Duration>, BadParameter> {
    let Some(text) = text else { return Ok(None) };
    let number: f64 = text.parse().map_err(|_| BadParameter::NoNumber(name))?;
    if number.is_nan() {
        return Err(BadParameter::NoNumber(name));
    }
    Ok(Some(from_milliseconds(number.max(0.0)).unwrap_or(Duration::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn times_are_milliseconds_and_words_are_refused() {
        assert_eq!(of("wait=1500").wait().unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(of("ttl=-1").ttl().unwrap(), Some(Duration::ZERO));
        assert_eq!(of("ttl=1e300").ttl().unwrap(), Some(Duration::MAX));
        assert_eq!(of("").wait().unwrap(), None);
        assert!(of("wait=soon").wait().is_err());
        assert!(of("ttl=NaN").ttl().is_err());
    }

    #[test]
    fn a_wait_outside_its_range_is_refused_with_the_range() {
        for wait in ["29", "0", "-1", "999.9", "300000.1", "1e300"] {
            let text = of(&format!("wait={wait}")).wait().unwrap_err().to_string();
            assert!(
                text.ends_with("`wait` must be between 1000 and 300000 milliseconds"),
                "{text}"
            );
        }
        for wait in ["1000", "300000"] {
            assert!(of(&format!("wait={wait}")).wait().unwrap().is_some());
        }
    }

    #[test]
    fn a_templates_own_parameters_do_no_harm() {
        let parameters = of("gpu=NVIDIA+A40&&job_id=a%2Cb&job_in_progress=1");
        assert_eq!(parameters.job_id.as_deref(), Some("a,b"));
        assert_eq!(parameters.job_in_progress.as_deref(), Some("1"));
    }
}
