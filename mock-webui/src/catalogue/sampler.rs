//! Samplers and schedulers, and how each version resolves their names (§5).

use serde_json::{Map, Value, json};

use crate::profile::Profile;

/// A sampler of 1.9 and later.
struct Sampler {
    name: &'static str,
    aliases: &'static [&'static str],
    options: &'static [(&'static str, &'static str)],
}

const fn sampler(
    name: &'static str,
    aliases: &'static [&'static str],
    options: &'static [(&'static str, &'static str)],
) -> Sampler {
    Sampler {
        name,
        aliases,
        options,
    }
}

const SECOND_ORDER: (&str, &str) = ("second_order", "True");
const BROWNIAN: (&str, &str) = ("brownian_noise", "True");
const ENSD: (&str, &str) = ("uses_ensd", "True");
const DISCARD: (&str, &str) = ("discard_next_to_last_sigma", "True");
const KARRAS: (&str, &str) = ("scheduler", "karras");
const EXPONENTIAL: (&str, &str) = ("scheduler", "exponential");

const SAMPLERS: &[Sampler] = &[
    sampler("DPM++ 2M", &["k_dpmpp_2m"], &[KARRAS]),
    sampler("DPM++ SDE", &["k_dpmpp_sde"], &[KARRAS, SECOND_ORDER, BROWNIAN]),
    sampler("DPM++ 2M SDE", &["k_dpmpp_2m_sde"], &[EXPONENTIAL, BROWNIAN]),
    sampler(
        "DPM++ 2M SDE Heun",
        &["k_dpmpp_2m_sde_heun"],
        &[EXPONENTIAL, BROWNIAN, ("solver_type", "heun")],
    ),
    sampler("DPM++ 2S a", &["k_dpmpp_2s_a"], &[KARRAS, ENSD, SECOND_ORDER]),
    sampler(
        "DPM++ 3M SDE",
        &["k_dpmpp_3m_sde"],
        &[EXPONENTIAL, DISCARD, BROWNIAN],
    ),
    sampler("Euler a", &["k_euler_a", "k_euler_ancestral"], &[ENSD]),
    sampler("Euler", &["k_euler"], &[]),
    sampler("LMS", &["k_lms"], &[]),
    sampler("Heun", &["k_heun"], &[SECOND_ORDER]),
    sampler("DPM2", &["k_dpm_2"], &[KARRAS, DISCARD, SECOND_ORDER]),
    sampler("DPM2 a", &["k_dpm_2_a"], &[KARRAS, DISCARD, ENSD, SECOND_ORDER]),
    sampler("DPM fast", &["k_dpm_fast"], &[ENSD]),
    sampler("DPM adaptive", &["k_dpm_ad"], &[ENSD]),
    sampler("Restart", &["restart"], &[KARRAS, SECOND_ORDER]),
    sampler("DDIM", &["ddim"], &[]),
    sampler("DDIM CFG++", &["ddim_cfgpp"], &[]), // 1.10
    sampler("PLMS", &["plms"], &[]),
    sampler("UniPC", &["unipc"], &[]),
    sampler("LCM", &["k_lcm"], &[]),
];

/// The samplers up to 1.8, where the schedule was part of the name.
const OLD_SAMPLERS: &[&str] = &[
    "DPM++ 2M Karras",
    "DPM++ SDE Karras",
    "DPM++ 2M SDE Exponential",
    "DPM++ 2M SDE Karras",
    "Euler a",
    "Euler",
    "LMS",
    "Heun",
    "DPM2",
    "DPM2 a",
    "DPM++ 2S a",
    "DPM++ 2M",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 2M SDE Heun Karras",
    "DPM++ 2M SDE Heun Exponential",
    "DPM++ 3M SDE",
    "DPM++ 3M SDE Karras",
    "DPM++ 3M SDE Exponential",
    "DPM fast",
    "DPM adaptive",
    "LMS Karras",
    "DPM2 Karras",
    "DPM2 a Karras",
    "DPM++ 2S a Karras",
    "Restart",
    "DDIM",
    "PLMS",
    "UniPC",
    "LCM", // 1.8
];

/// Name, label, aliases, rho, whether it needs the inner model. The ones after "SGM Uniform" came with 1.10.
const SCHEDULERS: &[(&str, &str, &[&str], f64, bool)] = &[
    ("automatic", "Automatic", &[], -1.0, false),
    ("uniform", "Uniform", &[], -1.0, true),
    ("karras", "Karras", &[], 7.0, false),
    ("exponential", "Exponential", &[], -1.0, false),
    ("polyexponential", "Polyexponential", &[], 1.0, false),
    ("sgm_uniform", "SGM Uniform", &["SGMUniform"], -1.0, true),
    ("kl_optimal", "KL Optimal", &[], -1.0, false),
    ("align_your_steps", "Align Your Steps", &[], -1.0, false),
    ("simple", "Simple", &[], -1.0, true),
    ("normal", "Normal", &[], -1.0, true),
    ("ddim", "DDIM", &[], -1.0, true),
    ("beta", "Beta", &[], -1.0, true),
];
const SCHEDULERS_OF_1_9: usize = 6;

fn samplers(profile: Profile) -> impl Iterator<Item = &'static Sampler> {
    SAMPLERS
        .iter()
        .filter(move |sampler| profile >= Profile::V1_10_1 || sampler.name != "DDIM CFG++")
}

fn old_samplers(profile: Profile) -> impl Iterator<Item = &'static str> {
    OLD_SAMPLERS
        .iter()
        .copied()
        .filter(move |name| profile >= Profile::V1_8 || *name != "LCM")
}

fn schedulers(
    profile: Profile,
) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static [&'static str], f64, bool)> {
    let count = if profile >= Profile::V1_10_1 {
        SCHEDULERS.len()
    } else {
        SCHEDULERS_OF_1_9
    };
    SCHEDULERS.iter().take(count)
}

/// The answer of `GET samplers`.
pub(crate) fn samplers_json(profile: Profile) -> Value {
    if !profile.has_schedulers() {
        return old_samplers(profile)
            .map(|name| {
                let (plain, schedule) = split_suffix(name);
                let known = SAMPLERS.iter().find(|sampler| sampler.name == plain);
                let mut options: Map<String, Value> = Map::new();
                if let Some(schedule) = schedule {
                    options.insert("scheduler".to_owned(), json!(schedule.to_lowercase()));
                }
                for (key, value) in known.iter().flat_map(|sampler| sampler.options) {
                    if *key != "scheduler" {
                        options.insert((*key).to_owned(), json!(value));
                    }
                }
                let ending =
                    schedule.map_or("", |schedule| if schedule == "Karras" { "_ka" } else { "_exp" });
                let aliases = known.map_or(&[][..], |sampler| sampler.aliases);
                let aliases: Vec<_> = aliases.iter().map(|alias| format!("{alias}{ending}")).collect();
                json!({ "name": name, "aliases": aliases, "options": options })
            })
            .collect();
    }
    samplers(profile)
        .map(|sampler| {
            let options: Map<_, _> = sampler
                .options
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect();
            json!({ "name": sampler.name, "aliases": sampler.aliases, "options": options })
        })
        .collect()
}

/// The answer of `GET schedulers`.
pub(crate) fn schedulers_json(profile: Profile) -> Value {
    schedulers(profile)
        .map(|(name, label, aliases, rho, inner)| {
            let aliases = (!aliases.is_empty()).then_some(aliases);
            json!({
                "name": name, "label": label, "aliases": aliases,
                "default_rho": rho, "need_inner_model": inner,
            })
        })
        .collect()
}

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
    if !profile.has_schedulers() {
        let sampler = old_samplers(profile).find(|known| *known == name)?.to_owned();
        return Some(Sampling {
            sampler,
            schedule: None,
            named_schedule: None,
        });
    }
    let known = samplers(profile).find(|sampler| sampler.name == name);
    if profile < Profile::V1_10_1 {
        // 1.9 takes the scheduler's name as it comes, even one it does not know.
        let sampler = known?;
        let schedule = match scheduler {
            Some(given) if !given.eq_ignore_ascii_case("automatic") => {
                Some(label(profile, given).map_or(given, |label| label).to_owned())
            }
            _ => own_schedule(sampler).map(str::to_owned),
        };
        return Some(Sampling {
            sampler: sampler.name.to_owned(),
            named_schedule: schedule.clone(),
            schedule,
        });
    }
    let (sampler, suffix) = known
        .map(|sampler| (sampler, None))
        .or_else(|| {
            let (plain, suffix) = split_suffix(name);
            Some((samplers(profile).find(|sampler| sampler.name == plain)?, suffix))
        })
        .unwrap_or((&SAMPLERS[0], None));
    let wanted = scheduler
        .and_then(|given| label(profile, given))
        .or(suffix)
        .unwrap_or("Automatic");
    let named = if wanted == "Automatic" {
        own_schedule(sampler)
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
pub(crate) fn uses_ensd(name: &str) -> bool {
    SAMPLERS
        .iter()
        .any(|sampler| sampler.name == name && sampler.options.contains(&ENSD))
}

/// The schedule that "Automatic" means for this sampler.
fn own_schedule(sampler: &Sampler) -> Option<&'static str> {
    let (_, name) = sampler.options.iter().find(|(key, _)| *key == "scheduler")?;
    SCHEDULERS
        .iter()
        .find(|scheduler| scheduler.0 == *name)
        .map(|scheduler| scheduler.1)
}

/// The label of a scheduler given by name or label.
fn label(profile: Profile, given: &str) -> Option<&'static str> {
    schedulers(profile)
        .find(|(name, label, ..)| *name == given || *label == given)
        .map(|entry| entry.1)
}

/// Splits an old name into sampler and schedule. Longest label first: "Polyexponential" ends in
/// "exponential".
fn split_suffix(name: &str) -> (&str, Option<&'static str>) {
    let mut labels: Vec<_> = SCHEDULERS.iter().map(|scheduler| scheduler.1).collect();
    labels.sort_by_key(|label| std::cmp::Reverse(label.len()));
    for label in labels {
        if let Some(plain) = name.strip_suffix(label).and_then(|plain| plain.strip_suffix(' ')) {
            return (plain, Some(label));
        }
    }
    (name, None)
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
    fn a_long_suffix_is_not_mistaken_for_a_short_one() {
        assert_eq!(
            split_suffix("LMS Polyexponential"),
            ("LMS", Some("Polyexponential"))
        );
        assert_eq!(split_suffix("Euler SGM Uniform"), ("Euler", Some("SGM Uniform")));
        assert_eq!(split_suffix("Euler"), ("Euler", None));
    }
}
