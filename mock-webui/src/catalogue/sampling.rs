//! How each version resolves the names of samplers and schedulers (§5).

use super::sampler::{ENSD, Sampler, label, of_sd_next, old_samplers, samplers, split_suffix};
use crate::profile::Profile;

/// What a request's sampler and scheduler names came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sampling {
    /// The sampler used, as in `info.sampler_name`.
    pub(crate) sampler: String,
    /// The entry `Schedule type` of the infotext, if there is one.
    pub(crate) schedule: Option<String>,
    /// The same entry in `extra_generation_params`, where "Automatic" is left out.
    pub(crate) named_schedule: Option<String>,
}

/// Resolves the names as the version does. `None` is the refusal "Sampler not found".
pub(crate) fn resolve(profile: Profile, name: &str, scheduler: Option<&str>) -> Option<Sampling> {
    let scheduler = scheduler.filter(|scheduler| !scheduler.is_empty());
    if profile.is_sd_next() {
        return of_sd_next(name).map(|sampler| Sampling {
            sampler: sampler.to_owned(),
            schedule: None,
            named_schedule: None,
        });
    }
    if !profile.has_schedulers() {
        let sampler = old_samplers(profile).find(|known| *known == name)?.to_owned();
        return Some(Sampling {
            sampler,
            schedule: None,
            named_schedule: None,
        });
    }
    if profile < Profile::V1_10_1 {
        // 1.9 shows the scheduler's name as it comes, even one that it does not know and that has no effect.
        let sampler = samplers(profile).find(|sampler| sampler.name == name)?;
        let named = match scheduler {
            Some(given) if !given.eq_ignore_ascii_case("automatic") => label(profile, given),
            _ => own_schedule(profile, sampler),
        };
        let unknown = scheduler.filter(|given| !given.eq_ignore_ascii_case("automatic"));
        return Some(Sampling {
            sampler: sampler.name.to_owned(),
            schedule: named.or(unknown).map(str::to_owned),
            named_schedule: named.map(str::to_owned),
        });
    }
    let (plain, suffix) = split_suffix(profile, name);
    let sampler = samplers(profile)
        .find(|sampler| sampler.name == plain)
        .or_else(|| samplers(profile).next())?;
    // A scheduler that is given wins over one in the sampler's name, and an unknown one is "Automatic".
    let wanted = match scheduler {
        Some(given) => label(profile, given).unwrap_or("Automatic"),
        None => suffix.unwrap_or("Automatic"),
    };
    let named = if wanted == "Automatic" {
        own_schedule(profile, sampler)
    } else {
        Some(wanted)
    };
    Some(Sampling {
        sampler: sampler.name.to_owned(),
        schedule: Some(named.unwrap_or("Automatic").to_owned()),
        named_schedule: named.map(str::to_owned),
    })
}

/// Whether the setting `eta_noise_seed_delta` has an effect on this sampler.
pub(crate) fn uses_ensd(profile: Profile, name: &str) -> bool {
    samplers(profile).any(|sampler| sampler.name == name && sampler.options.contains(&ENSD))
}

/// How this sampler shows the request's `eta` in the infotext: the entry's name, and the value that is left out.
pub(crate) fn eta_entry(name: &str) -> Option<(&'static str, f64)> {
    match name.trim_end_matches(" Karras").trim_end_matches(" Exponential") {
        "DDIM" | "DDIM CFG++" => Some(("Eta DDIM", 0.0)),
        "Euler a" | "DPM2 a" | "DPM++ 2S a" | "DPM++ SDE" | "DPM++ 2M SDE" | "DPM++ 2M SDE Heun"
        | "DPM++ 3M SDE" | "DPM fast" | "DPM adaptive" => Some(("Eta", 1.0)),
        _ => None,
    }
}

/// The schedule that "Automatic" means for this sampler.
fn own_schedule(profile: Profile, sampler: &Sampler) -> Option<&'static str> {
    let (_, name) = sampler.options.iter().find(|(key, _)| *key == "scheduler")?;
    label(profile, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(profile: Profile, name: &str, scheduler: Option<&str>) -> Option<(String, Option<String>)> {
        resolve(profile, name, scheduler).map(|sampling| (sampling.sampler, sampling.schedule))
    }

    #[track_caller]
    fn assert_resolves(profile: Profile, sent: (&str, Option<&str>), used: Option<(&str, Option<&str>)>) {
        let used = used.map(|(sampler, schedule)| (sampler.to_owned(), schedule.map(str::to_owned)));
        assert_eq!(resolved(profile, sent.0, sent.1), used, "{profile}: {sent:?}");
    }

    #[test]
    fn each_version_resolves_old_names_its_own_way() {
        use Profile::{V1_6, V1_8, V1_9_3, V1_10_1};
        let old = ("DPM++ 2M Karras", None);
        assert_resolves(V1_6, old, Some(("DPM++ 2M Karras", None)));
        assert_resolves(V1_8, old, Some(("DPM++ 2M Karras", None)));
        assert_resolves(V1_9_3, old, None);
        assert_resolves(V1_10_1, old, Some(("DPM++ 2M", Some("Karras"))));
        let explicit = ("DPM++ 2M Karras", Some("Exponential"));
        assert_resolves(V1_10_1, explicit, Some(("DPM++ 2M", Some("Exponential"))));
        assert_resolves(
            V1_10_1,
            ("DPM++ 2M SDE Exponential", None),
            Some(("DPM++ 2M SDE", Some("Exponential"))),
        );
    }

    #[test]
    fn an_unknown_sampler_is_refused_by_1_9_and_replaced_by_1_10() {
        for name in ["No Such Sampler", "euler a", "k_euler_a"] {
            assert_resolves(Profile::V1_9_3, (name, None), None);
            assert_resolves(Profile::V1_10_1, (name, None), Some(("DPM++ 2M", Some("Karras"))));
        }
    }

    #[test]
    fn automatic_is_the_samplers_own_schedule() {
        assert_resolves(
            Profile::V1_9_3,
            ("DPM++ 2M", None),
            Some(("DPM++ 2M", Some("Karras"))),
        );
        assert_resolves(Profile::V1_9_3, ("Euler", None), Some(("Euler", None)));
        assert_resolves(
            Profile::V1_10_1,
            ("Euler", None),
            Some(("Euler", Some("Automatic"))),
        );
        assert_resolves(
            Profile::V1_10_1,
            ("Euler", Some("karras")),
            Some(("Euler", Some("Karras"))),
        );
    }

    #[test]
    fn an_unknown_scheduler_is_kept_by_1_9_and_ignored_by_1_10() {
        assert_resolves(
            Profile::V1_9_3,
            ("Euler", Some("nope")),
            Some(("Euler", Some("nope"))),
        );
        assert_resolves(
            Profile::V1_10_1,
            ("Euler", Some("nope")),
            Some(("Euler", Some("Automatic"))),
        );
    }

    #[test]
    fn a_suffix_is_a_schedulers_label_name_or_alias() {
        for name in ["Euler a sgm_uniform", "Euler a SGMUniform"] {
            let used = Some(("Euler a", Some("SGM Uniform")));
            assert_resolves(Profile::V1_10_1, (name, None), used);
        }
        // "Uniform" comes first in the list, and leaves a name that no sampler has.
        let used = Some(("DPM++ 2M", Some("Uniform")));
        assert_resolves(Profile::V1_10_1, ("Euler a SGM Uniform", None), used);
        let both = ("DPM++ 2M Exponential", Some("nope"));
        assert_resolves(Profile::V1_10_1, both, Some(("DPM++ 2M", Some("Karras"))));
    }

    #[test]
    fn sd_next_has_no_names_with_a_schedule_and_refuses_what_it_does_not_know() {
        assert_resolves(Profile::SdNext, ("Euler a", None), Some(("Euler a", None)));
        for name in ["DPM++ 2M Karras", "", "nope"] {
            assert_resolves(Profile::SdNext, (name, None), None);
        }
    }

    #[test]
    fn a_suffix_begins_after_a_space() {
        assert_eq!(
            split_suffix(Profile::V1_10_1, "LMS Polyexponential"),
            ("LMS", Some("Polyexponential"))
        );
        assert_eq!(split_suffix(Profile::V1_10_1, "Euler"), ("Euler", None));
    }
}
