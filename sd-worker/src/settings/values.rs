//! How options write times, sizes and routes.

use std::time::Duration;

use super::route::is_route;

/// Reads `200ms`, `0.2s`, `15m` or a bare number of seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().trim_end_matches('s');
    if let Ok(seconds) = seconds.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    humantime::parse_duration(text).map_err(|_| "write a time such as 200ms, 90s or 15m".to_owned())
}

/// Reads `24GB`, `24GiB`, `900MB` or a bare number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len()
        - text
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len();
    let number: u64 = text[..digits]
        .parse()
        .map_err(|_| "write a size such as 24GB".to_owned())?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return Err("write a size in MB, MiB, GB or GiB, such as 24GB".to_owned()),
    };
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}

/// Reads the path of a route, which may end with `*`.
pub(super) fn route(text: &str) -> Result<String, &'static str> {
    if is_route(text.trim_end_matches('*')) {
        Ok(text.to_owned())
    } else {
        Err("write the path of a route, such as /sdapi/v1/server-restart or /sam/*")
    }
}

/// Reads the name of a variable, which may end with `*`.
pub(super) fn variable_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if is_name(name.strip_suffix('*').unwrap_or(name)) {
        Ok(name.to_owned())
    } else {
        Err("write the name of a variable, such as HF_TOKEN or CIVITAI_*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        assert_eq!(time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(time("0.2s"), Ok(Duration::from_millis(200)));
        assert_eq!(time("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(time("0"), Ok(Duration::ZERO));
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        for bad in ["", "10 parsecs", "-1s", "inf"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("24GB"), Ok(24_000_000_000));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("900mb"), Ok(900_000_000));
        assert_eq!(size("5"), Ok(5));
        for bad in ["", "GB", "1.5GB", "-1", "3 apples", "99999999999GB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_variables_are_names() {
        assert_eq!(variable_name(" HF_TOKEN").as_deref(), Ok("HF_TOKEN"));
        assert_eq!(variable_name("CIVITAI_*").as_deref(), Ok("CIVITAI_*"));
        for bad in ["", "*", "A=b", "A B", "$A", "A*B", "A**"] {
            assert!(variable_name(bad).is_err(), "{bad}");
        }
    }
}
