//! The samplers and schedulers of each version, and the lists of them (§5).

use serde_json::{Map, Value, json};

use crate::profile::{Family, Profile};

/// A sampler of 1.9 and later.
pub(super) struct Sampler {
    pub(super) name: &'static str,
    aliases: &'static [&'static str],
    pub(super) options: &'static [(&'static str, &'static str)],
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
pub(super) const ENSD: (&str, &str) = ("uses_ensd", "True");
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
    sampler("HeunPP2", &["heunpp2"], &[]),
    sampler("IPNDM", &["ipndm"], &[]),
    sampler("IPNDM_V", &["ipndm_v"], &[]),
    sampler("DEIS", &["deis"], &[]),
    sampler("DDIM", &["ddim"], &[]),
    sampler("DDIM CFG++", &["ddim_cfgpp"], &[]), // 1.10
    sampler("PLMS", &["plms"], &[]),
    sampler("UniPC", &["unipc"], &[]),
    sampler("LCM", &["k_lcm"], &[]),
    sampler("DDPM", &["ddpm"], &[]),
];

/// Samplers that only Forge has.
const OF_FORGE: [&str; 5] = ["HeunPP2", "IPNDM", "IPNDM_V", "DEIS", "DDPM"];

/// Samplers of SD.Next by its public source of 2025. The version that the recordings are of lists 114 of which the names
/// were not recorded; those of its `RES4LYF` family and newer ones are missing here, and so are the options of each.
const OF_SD_NEXT: &[&str] = &[
    "UniPC",
    "DDIM",
    "Euler",
    "Euler a",
    "Euler SGM",
    "Euler EDM",
    "Euler FlowMatch",
    "DPM++",
    "DPM++ 2M",
    "DPM++ 3M",
    "DPM++ 1S",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M EDM",
    "DPM++ Cosine",
    "DPM SDE",
    "DPM++ Inverse",
    "DPM++ 2M Inverse",
    "DPM++ 3M Inverse",
    "UniPC FlowMatch",
    "DPM2 FlowMatch",
    "DPM2a FlowMatch",
    "DPM2++ 2M FlowMatch",
    "DPM2++ 2S FlowMatch",
    "DPM2++ SDE FlowMatch",
    "DPM2++ 2M SDE FlowMatch",
    "DPM2++ 3M SDE FlowMatch",
    "Heun",
    "Heun FlowMatch",
    "LCM",
    "LCM FlowMatch",
    "DEIS",
    "SA Solver",
    "DC Solver",
    "VDM Solver",
    "TCD",
    "TDD",
    "Flash FlowMatch",
    "PeRFlow",
    "UFOGen",
    "BDIA DDIM",
    "PNDM",
    "IPNDM",
    "DDPM",
    "LMSD",
    "KDPM2",
    "KDPM2 a",
    "CMSI",
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

/// Name, label, aliases, rho, whether it needs the inner model.
pub(super) type Scheduler = (&'static str, &'static str, &'static [&'static str], f64, bool);

/// The ones after "SGM Uniform" came with 1.10, the ones after "Beta" are Forge's.
const SCHEDULERS: &[Scheduler] = &[
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
    ("turbo", "Turbo", &[], -1.0, true),
    ("align_your_steps_GITS", "Align Your Steps GITS", &[], -1.0, false),
    ("align_your_steps_11", "Align Your Steps 11", &[], -1.0, false),
    ("align_your_steps_32", "Align Your Steps 32", &[], -1.0, false),
];
const SCHEDULERS_OF_1_9: usize = 6;
const SCHEDULERS_OF_1_10: usize = 12;

/// The samplers of 1.9 and later.
pub(super) fn samplers(profile: Profile) -> impl Iterator<Item = &'static Sampler> {
    SAMPLERS.iter().filter(move |sampler| {
        let known = profile >= Profile::V1_10_1 || sampler.name != "DDIM CFG++";
        known && (profile.is_forge() || !OF_FORGE.contains(&sampler.name))
    })
}

/// The name of a sampler of SD.Next: as it is, or in another case.
pub(super) fn of_sd_next(name: &str) -> Option<&'static str> {
    ["Default", "Same as primary"]
        .into_iter()
        .chain(OF_SD_NEXT.iter().copied())
        .find(|known| known.eq_ignore_ascii_case(name))
}

/// The samplers up to 1.8.
pub(super) fn old_samplers(profile: Profile) -> impl Iterator<Item = &'static str> {
    OLD_SAMPLERS
        .iter()
        .copied()
        .filter(move |name| profile >= Profile::V1_8 || *name != "LCM")
}

/// The schedulers of a version.
pub(super) fn schedulers(profile: Profile) -> impl Iterator<Item = &'static Scheduler> {
    let count = match profile {
        Profile::V1_6 | Profile::V1_8 | Profile::V1_9_3 => SCHEDULERS_OF_1_9,
        Profile::V1_10_1 | Profile::SdNext => SCHEDULERS_OF_1_10,
        Profile::Forge2024 | Profile::Forge => SCHEDULERS.len(),
    };
    SCHEDULERS.iter().take(count)
}

/// The label of a scheduler given by name or label.
pub(super) fn label(profile: Profile, given: &str) -> Option<&'static str> {
    schedulers(profile)
        .find(|(name, label, ..)| *name == given || *label == given)
        .map(|entry| entry.1)
}

/// Splits an old name into sampler and schedule, as 1.10 does: by label, name and alias of each scheduler in turn.
pub(super) fn split_suffix(profile: Profile, name: &str) -> (&str, Option<&'static str>) {
    let (mut plain, mut found) = (name, None);
    for (short, label, aliases, ..) in schedulers(profile) {
        let endings = [*label, *short].into_iter().chain(aliases.iter().copied());
        let cut = endings.filter_map(|ending| plain.strip_suffix(ending)?.strip_suffix(' '));
        if let Some(rest) = cut.into_iter().next() {
            (plain, found) = (rest, Some(*label));
        }
    }
    (plain, found)
}

/// The answer of `GET samplers`.
pub(crate) fn samplers_json(profile: Profile) -> Value {
    if profile.is_sd_next() {
        return OF_SD_NEXT
            .iter()
            .map(|name| json!({ "name": name, "options": {} }))
            .collect();
    }
    if !profile.has_schedulers() {
        return old_samplers(profile)
            .map(|name| {
                let (plain, schedule) = split_suffix(Profile::V1_10_1, name);
                let known = SAMPLERS.iter().find(|sampler| sampler.name == plain);
                let mut options: Map<String, Value> = Map::new();
                if let Some(schedule) = schedule {
                    options.insert("scheduler".to_owned(), json!(schedule.to_lowercase()));
                }
                for (key, value) in known.iter().flat_map(|sampler| sampler.options) {
                    if *key != "scheduler" {
                        options.insert((*key).to_owned(), option(profile, value));
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
                .map(|(key, value)| ((*key).to_owned(), option(profile, value)))
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

/// The value of a sampler's option: a text, but Forge answers true and false as such.
fn option(profile: Profile, value: &str) -> Value {
    match (profile.family(), value) {
        (Family::Forge, "True") => json!(true),
        (_, value) => json!(value),
    }
}
