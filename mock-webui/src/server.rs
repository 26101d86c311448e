//! The imitated program: everything its routes share.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::answer::{Answer, Failure};
use crate::catalogue::Model;
use crate::gpu::SimGpu;
use crate::profile::Profile;
use crate::settings::Settings;

/// What is fixed when the server starts.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) profile: Profile,
    pub(crate) models: Vec<Model>,
    /// `user:password` pairs; empty when anyone may call.
    pub(crate) credentials: Vec<(String, String)>,
    /// Where the imitated program is installed.
    pub(crate) root: String,
    pub(crate) settings_file: bool,
}

/// The running program. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    setup: Setup,
    gpu: SimGpu,
    settings: Mutex<Settings>,
    dice: Mutex<fastrand::Rng>,
}

impl Server {
    pub(crate) fn new(setup: Setup, gpu: SimGpu, seed: Option<u64>) -> Self {
        let mut settings = Settings::new(setup.settings_file, false);
        if let Some(model) = setup.models.first() {
            settings.set_own("sd_model_checkpoint", model.title());
            settings.set_own("sd_checkpoint_hash", model.digest().unwrap_or_default());
        }
        let dice = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let shared = Shared {
            setup,
            gpu,
            settings: Mutex::new(settings),
            dice: Mutex::new(dice),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.shared.setup
    }

    pub(crate) fn profile(&self) -> Profile {
        self.shared.setup.profile
    }

    pub(crate) fn gpu(&self) -> &SimGpu {
        &self.shared.gpu
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.shared.settings)
    }

    /// A random seed, in the range that the real server draws from.
    pub(crate) fn random_seed(&self) -> i64 {
        lock(&self.shared.dice).i64(0..=4_294_967_293)
    }

    /// The checkpoint that a client's name means.
    pub(crate) fn find_model(&self, name: &str) -> Option<&Model> {
        self.shared
            .setup
            .models
            .iter()
            .find(|model| model.answers_to(name))
    }

    /// The checkpoint in use.
    pub(crate) fn current_model(&self) -> Option<&Model> {
        let title = self.settings().text("sd_model_checkpoint").to_owned();
        self.find_model(&title)
            .or_else(|| self.shared.setup.models.first())
    }

    /// Turns a result into an answer in this version's error shapes.
    pub(crate) fn answer(&self, result: Result<Answer, Failure>) -> Answer {
        result.unwrap_or_else(|failure| failure.into_answer(self.profile().is_forge()))
    }
}

/// Locks, also after a panic elsewhere: every critical section leaves the value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
