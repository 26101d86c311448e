//! Sampling the batches of a plan on the simulated card.

use super::generation::Generation;
use super::infotext_writer::infotext;
use super::plan::Plan;
use super::rendered::RenderedPictures;
use crate::answer::Failure;
use crate::gpu::{GpuState, Preview, Sampled, SamplingHooks};

impl Generation {
    /// Renders the batches of a plan until the end or an interrupt.
    pub(super) async fn batches(&self, plan: &Plan) -> Result<RenderedPictures, Failure> {
        let mut rendered = RenderedPictures::default();
        for batch in 0..plan.batches() {
            if !self.batch(plan, batch, &mut rendered).await? {
                break;
            }
        }
        Ok(rendered)
    }

    /// Renders one batch. False when the job was interrupted before it.
    async fn batch(
        &self,
        plan: &Plan,
        batch: usize,
        rendered: &mut RenderedPictures,
    ) -> Result<bool, Failure> {
        let gpu = self.server.gpu();
        let go_on = gpu.change(|state| {
            state.skipped = false;
            if plan.batches() > 1 && !state.interrupted {
                state.job = format!("Batch {} out of {}", batch + 1, plan.batches());
            }
            !state.interrupted
        });
        if !go_on {
            return Ok(false);
        }
        let indices = batch * plan.batch_size..((batch + 1) * plan.batch_size).min(plan.prompts.len());
        let scenes: Vec<_> = indices.clone().map(|index| plan.scene(index)).collect();
        let mut sampled = self
            .sample(
                plan.sampled_steps,
                Preview {
                    scenes: scenes.clone(),
                },
            )
            .await?;
        let mut scenes = scenes;
        if let Some(hires) = &plan.hires {
            hires.check_after_first_pass()?;
            gpu.change(GpuState::next_job);
            let stopped = gpu.change(|state| state.interrupted);
            if !stopped {
                scenes = scenes
                    .iter()
                    .map(|scene| scene.enlarged(hires.width, hires.height, hires.steps))
                    .collect();
                sampled = self
                    .sample(
                        hires.steps,
                        Preview {
                            scenes: scenes.clone(),
                        },
                    )
                    .await?;
            }
        }
        for (index, scene) in indices.zip(scenes) {
            // Two starts from one picture are never quite alike.
            let noise = self.server.encoder_noise(self.mode);
            let drawn = tokio::task::spawn_blocking(move || {
                let mut picture = scene.draw(sampled.steps);
                if let Some(noise) = noise {
                    picture.disturb(noise);
                }
                picture
            });
            let drawn = drawn.await;
            rendered
                .pictures
                .push(drawn.map_err(|error| Failure::unexpected("RuntimeError", error.to_string()))?);
            rendered.texts.push(infotext(plan, index));
            rendered
                .seeds
                .push(plan.seeds.get(index).copied().unwrap_or_default());
        }
        gpu.change(GpuState::next_job);
        Ok(true)
    }

    /// Samples, with the faults that strike in the middle.
    async fn sample(&self, steps: u32, preview: Preview) -> Result<Sampled, Failure> {
        let Self { server, faults, .. } = self;
        let hooks = SamplingHooks {
            stop_at: faults.die_at,
            stall: faults.stall_at,
            notify_at: faults.cut_at.map(|step| (step, faults.cut.clone())),
        };
        let sampled = server.gpu().sample(steps, preview, hooks).await;
        if Some(sampled.steps) == faults.die_at {
            server.die();
            // The death ends this task; nothing after this line runs.
            std::future::pending::<()>().await;
        }
        Ok(sampled)
    }
}
