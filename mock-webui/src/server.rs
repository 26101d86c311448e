//! The imitated program: everything its routes share.

use std::io::Write as _;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::answer::{Answer, Failure};
use crate::catalogue::{Installed, Model};
use crate::faults::{ActiveFaults, ClearedBy, Fault, FaultPlan};
use crate::gpu::SimGpu;
use crate::memory::GpuMemory;
use crate::phase::{Phase, ProcessState, Startup};
use crate::profile::Profile;
use crate::request::Mode;
use crate::settings::Settings;

/// What is fixed when the server starts.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the real command line"
)]
pub(crate) struct Setup {
    pub(crate) profile: Profile,
    pub(crate) installed: Installed,
    /// `user:password` pairs; empty when anyone may call.
    pub(crate) credentials: Vec<(String, String)>,
    /// Where the imitated program is installed.
    pub(crate) root: String,
    pub(crate) settings_file: bool,
    pub(crate) frozen_settings: bool,
    pub(crate) web_page: bool,
    pub(crate) stop_routes: bool,
    /// Starts from one picture are alike, which those of the real server are not.
    pub(crate) repeatable_img2img: bool,
    /// Unexpected exceptions are written to standard error.
    pub(crate) error_log: bool,
    /// ControlNet's maps come back beside the pictures.
    pub(crate) controlnet_maps: bool,
    /// The version of sd-worker's extension; `None` if it is not installed.
    pub(crate) batch_extension: Option<u32>,
    pub(crate) startup: Startup,
    /// Makes random choices repeatable.
    pub(crate) seed: Option<u64>,
    /// How many requests are worked on at once; `None` for no limit.
    pub(crate) threads: Option<usize>,
    /// Where `save_images` saves; `None`: nowhere.
    pub(crate) save_to: Option<std::path::PathBuf>,
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
    faults: FaultPlan,
    life: watch::Sender<ProcessState>,
    port_open: watch::Sender<bool>,
    settings: Mutex<Settings>,
    memory: Mutex<GpuMemory>,
    dice: Mutex<fastrand::Rng>,
    /// Memory that a fault occupies.
    ballast: Mutex<Vec<Vec<u8>>>,
}

impl Server {
    pub(crate) fn new(setup: Setup, gpu: SimGpu, faults: FaultPlan, first: Phase) -> Self {
        let dice = setup
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let shared = Shared {
            settings: Mutex::new(fresh_settings(&setup)),
            memory: Mutex::new(GpuMemory::new(setup.installed.models.first().map(Model::title))),
            setup,
            gpu,
            faults,
            life: watch::Sender::new(ProcessState {
                phase: first,
                start: 1,
            }),
            port_open: watch::Sender::new(false),
            dice: Mutex::new(dice),
            ballast: Mutex::default(),
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

    pub(crate) fn fault_plan(&self) -> &FaultPlan {
        &self.shared.faults
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.shared.settings.lock()
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, GpuMemory> {
        self.shared.memory.lock()
    }

    /// A random seed, in the range that the real server draws from.
    pub(crate) fn random_seed(&self) -> i64 {
        self.shared.dice.lock().i64(0..=4_294_967_293)
    }

    /// A seed for the noise of the VAE's encoder, which the real server draws without one of its own.
    pub(crate) fn encoder_noise(&self, mode: Mode) -> Option<u64> {
        let noisy = mode == Mode::Img2Img && !self.setup().repeatable_img2img;
        noisy.then(|| self.shared.dice.lock().u64(..))
    }

    /// A task id as the web page makes them up: `task(txt2img-XXXXXXX)`.
    pub(crate) fn task_id(&self, mode: Mode) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let kind = mode.name();
        let mut dice = self.shared.dice.lock();
        let id: String = (0..7)
            .map(|_| char::from(LETTERS[dice.usize(..LETTERS.len())]))
            .collect();
        format!("task({kind}-{id})")
    }

    /// The checkpoint that a client's name means.
    pub(crate) fn find_model(&self, name: &str) -> Option<&Model> {
        self.shared
            .setup
            .installed
            .models
            .iter()
            .find(|model| model.answers_to(name))
    }

    /// The checkpoint that a second pass or the refiner asks for, or the exception of the real server.
    pub(crate) fn require_model(&self, name: &str) -> Result<&Model, Failure> {
        let unknown =
            || Failure::unexpected("Exception", format!("Could not find checkpoint with name {name}"));
        self.find_model(name).ok_or_else(unknown)
    }

    /// The checkpoint in use.
    pub(crate) fn current_model(&self) -> Option<&Model> {
        if self.profile().is_sd_next() {
            // An unknown name in its settings leaves it without a model.
            let selected = self.settings().text("sd_model_checkpoint").to_owned();
            self.find_model(&selected)?;
        }
        let loaded = self.memory().loaded().map(str::to_owned);
        loaded
            .and_then(|title| self.find_model(&title))
            .or_else(|| self.shared.setup.installed.models.first())
    }

    /// Selects a checkpoint in the settings and loads it, unless a fault keeps the old one.
    pub(crate) fn switch_model(&self, model: &Model, faults: &ActiveFaults) {
        self.settings().set_own("sd_model_checkpoint", model.title());
        if !self.profile().is_sd_next() {
            self.settings()
                .set_own("sd_checkpoint_hash", model.digest().unwrap_or_default());
        }
        if !faults.keep_old_model {
            let leak = self.fault_plan().leak_per_switch();
            self.memory().load(model.title(), leak);
        }
    }

    /// Occupies memory of the computer until the process ends.
    pub(crate) fn grow(&self, megabytes: usize) {
        // Written to, or the system would only promise it.
        self.shared.ballast.lock().push(vec![1; megabytes << 20]);
    }

    /// Fails when the card has no room for a generation.
    pub(crate) fn claim_memory(&self, faults: &ActiveFaults) -> Result<(), Failure> {
        if let Some(until) = faults.out_of_memory {
            if until != ClearedBy::Once {
                self.memory().fill(until);
            }
            return Err(crate::memory::out_of_memory());
        }
        self.memory().claim()
    }

    pub(crate) fn process(&self) -> &watch::Sender<ProcessState> {
        &self.shared.life
    }

    /// Changes the phase and waits until the port agrees.
    pub(crate) async fn set_phase(&self, phase: Phase) {
        self.shared.life.send_modify(|life| life.phase = phase);
        self.port_follows(phase).await;
    }

    pub(crate) async fn port_follows(&self, phase: Phase) {
        let open = phase != Phase::Refusing;
        // The sender lives in `self`, so the channel cannot be closed.
        let _ = self
            .shared
            .port_open
            .subscribe()
            .wait_for(|door| *door == open)
            .await;
    }

    pub(crate) fn set_port_open(&self, open: bool) {
        self.shared.port_open.send_replace(open);
    }

    /// Waits until the model is loaded.
    pub(crate) async fn model_loaded(&self) {
        let _ = self
            .shared
            .life
            .subscribe()
            .wait_for(|life| life.phase == Phase::Ready)
            .await;
    }

    /// Arms a fault. One that holds the server in a phase does so at once.
    pub(crate) fn inject(&self, fault: Fault) {
        self.shared.faults.arm(fault);
        if let Some(phase) = self.shared.faults.held_phase() {
            self.shared.life.send_modify(|life| life.phase = phase);
        }
    }

    /// Ends the process: work is lost, connections end, the port closes. Everything that only lives in
    /// memory is forgotten.
    pub(crate) fn die(&self) {
        self.shared.life.send_modify(|life| {
            *life = ProcessState {
                phase: Phase::Refusing,
                start: life.start + 1,
            }
        });
        self.settings().forget_unsaved(fresh_settings(self.setup()));
        *self.memory() = GpuMemory::new(self.setup().installed.models.first().map(Model::title));
        self.shared.ballast.lock().clear();
        self.gpu().forget();
    }

    /// Completes when the process that runs now has died.
    pub(crate) async fn death(&self) {
        let mut life = self.shared.life.subscribe();
        let start = life.borrow_and_update().start;
        let _ = life.wait_for(|life| life.start != start).await;
    }

    /// Turns a result into an answer in this version's error shapes.
    pub(crate) fn answer(&self, result: Result<Answer, Failure>) -> Answer {
        result.unwrap_or_else(|failure| {
            if self.setup().error_log
                && let Some(entry) = failure.log_entry(self.profile())
            {
                // Without a standard error there is nowhere to log to.
                let _ = std::io::stderr().write_all(entry.as_bytes());
            }
            failure.into_answer(self.profile())
        })
    }
}

/// The settings of a process that has just started.
fn fresh_settings(setup: &Setup) -> Settings {
    let mut settings = Settings::new(setup.profile, setup.settings_file, setup.frozen_settings);
    if let Some(model) = setup.installed.models.first() {
        settings.set_own("sd_model_checkpoint", model.title());
        if !setup.profile.is_sd_next() {
            settings.set_own("sd_checkpoint_hash", model.digest().unwrap_or_default());
        }
    }
    settings
}
