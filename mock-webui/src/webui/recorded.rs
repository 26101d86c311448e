//! Mocks set up like the servers that recordings were made of.

use super::builder::MockWebUiBuilder;
use super::running::MockWebUi;
use crate::catalogue::Model;
use crate::profile::{Family, Profile};

impl MockWebUi {
    /// A mock with the checkpoints of the server that this profile was recorded from
    /// (`tests/fixtures/webui/README.md`).
    pub fn recorded(profile: Profile) -> MockWebUiBuilder {
        let builder = Self::builder().profile(profile).root(profile.root());
        match profile.family() {
            Family::A1111 => builder.models([Model::new("tiny-random")
                .sha256("72897b720f8a52f8163a25a51949824873d787797d033a8efdb064d45302118c")
                .config()]),
            Family::Forge => builder.embeddings(["tinyemb"]).models([
                Model::new("mini").sha256("9c12dc7b24234498f047eaf975576e9c90dd7ef07fb4df1a049b33caf4c65c7d"),
                Model::new("other")
                    .sha256("d382d11134026eb02504215e21d2184052452e2b765b174f7c74783511fcb1c8"),
            ]),
            Family::SdNext => builder.models([
                Model::folder("models/Diffusers/tinysd"),
                Model::folder("Diffusers/tinysd"),
                Model::folder("Diffusers/othersd"),
            ]),
        }
    }
}
