//! Which WebUI is imitated.

use std::fmt;
use std::str::FromStr;

/// A version of the WebUI, or another server that answers on the same routes.
///
/// Versions differ in routes, fields, sampler names and error forms
/// (`docs/protocol/webui-api.md` §5 and §12). The order of the variants is the order of the releases; the other
/// servers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Profile {
    /// AUTOMATIC1111 1.6.0: schedules are part of the sampler's name.
    V1_6,
    /// AUTOMATIC1111 1.8.0.
    V1_8,
    /// AUTOMATIC1111 1.9.3: schedulers exist, and the old sampler names are refused with 404.
    V1_9_3,
    /// AUTOMATIC1111 1.10.1, the default: old names are split, unknown names replaced.
    #[default]
    V1_10_1,
    /// SD.Next of July 2026: fields of its own, JPEG pictures, five keys in errors, 200 without pictures for a failed
    /// render.
    SdNext,
    /// stable-diffusion-webui-forge of October 2024: unexpected errors are plain text.
    Forge2024,
    /// stable-diffusion-webui-forge of June 2025: the reason of an unexpected error is in `message`.
    Forge,
}

/// Servers that share an origin, and with it most of their behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    A1111,
    SdNext,
    Forge,
}

impl Profile {
    /// Every profile, oldest first.
    pub const ALL: [Self; 7] = [
        Self::V1_6,
        Self::V1_8,
        Self::V1_9_3,
        Self::V1_10_1,
        Self::SdNext,
        Self::Forge2024,
        Self::Forge,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_6 => "1.6",
            Self::V1_8 => "1.8",
            Self::V1_9_3 => "1.9.3",
            Self::V1_10_1 => "1.10.1",
            Self::SdNext => "sd-next",
            Self::Forge2024 => "forge-2024",
            Self::Forge => "forge",
        }
    }

    /// The version as infotexts state it, such as `v1.10.1`.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1_6 => "v1.6.0",
            Self::V1_8 => "v1.8.0",
            Self::V1_9_3 => "v1.9.3",
            Self::V1_10_1 => "v1.10.1",
            // A copy without a git folder states this.
            Self::SdNext => "unknown",
            Self::Forge2024 => "f2.0.1v1.10.1-previous-591-g41a21f66",
            Self::Forge => "f2.0.1v1.10.1-previous-669-gdfdcbab6",
        }
    }

    /// The names of all profiles, for the help and for errors.
    pub(crate) fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Self::V1_6 | Self::V1_8 | Self::V1_9_3 | Self::V1_10_1 => Family::A1111,
            Self::SdNext => Family::SdNext,
            Self::Forge2024 | Self::Forge => Family::Forge,
        }
    }

    pub(crate) fn is_forge(self) -> bool {
        self.family() == Family::Forge
    }

    pub(crate) fn is_sd_next(self) -> bool {
        self.family() == Family::SdNext
    }

    /// Whether validation is pydantic 2's: stricter about types, and with other words.
    pub(crate) fn validates_strictly(self) -> bool {
        self.family() != Family::A1111
    }

    pub(crate) fn has_schedulers(self) -> bool {
        self >= Self::V1_9_3
    }

    /// Where the program is installed, as answers show it.
    pub(crate) const fn root(self) -> &'static str {
        match self.family() {
            Family::A1111 => "/stable-diffusion-webui",
            Family::Forge => "/stable-diffusion-webui-forge",
            // Its paths are relative.
            Family::SdNext => "",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = &*text.to_lowercase();
        let name = text.trim_start_matches('v');
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name || profile.version() == text)
            .or(match name {
                "1.9" => Some(Self::V1_9_3),
                "1.10" => Some(Self::V1_10_1),
                "sdnext" => Some(Self::SdNext),
                _ => None,
            })
            .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

/// A profile name that no [`Profile`] has.
#[derive(Debug, thiserror::Error)]
#[error("no profile is called \"{0}\"; use one of {list}", list = Profile::list())]
pub struct UnknownProfile(String);
