//! Rendering every combination of the x/y/z plot.

use super::generation::Generation;
use super::input_picture::InputPicture;
use super::plan::{Plan, PlanInput};
use super::plot::Plot;
use super::plot_grid::assemble;
use super::scripts::Script;
use crate::answer::{Answer, Failure};
use crate::catalogue::sampling::Sampling;

impl Generation {
    /// Renders every combination of a plot (§6). One that an interrupt cuts off
    /// leaves a blank place in the grid.
    pub(super) async fn plot(
        &self,
        mut plot: Plot,
        sampling: &Sampling,
        pictures: &[InputPicture],
    ) -> Result<Answer, Failure> {
        let Self { server, faults, .. } = self;
        let mut fixed = self.fields.clone();
        plot.fix_seeds(server, &mut fixed);
        let stamp = server.gpu().change(|state| {
            state.job_count = i64::try_from(plot.cells()).unwrap_or(i64::MAX);
            state.job_timestamp
        });
        let mut rendered = Vec::new();
        for cell in 0..plot.cells() {
            let (mut fields, mut sampling) = (fixed.clone(), sampling.clone());
            plot.apply(cell, server, &mut fields, &mut sampling)?;
            let plan = Plan::new(PlanInput {
                server,
                mode: self.mode,
                fields: &fields,
                script: &Script::Plain,
                sampling,
                pictures: pictures.to_vec(),
                faults,
            })?;
            server.gpu().change(|state| {
                state.job = format!("{} out of {}", cell + 1, plot.cells());
            });
            let pictures = self.batches(&plan).await?;
            rendered.push((plan, pictures));
        }
        self.check_for_nan(&[self.fields.text("prompt").to_owned()])?;
        let (plan, pictures) = assemble(&plot, rendered)
            .ok_or_else(|| Failure::unexpected("IndexError", "list index out of range"))?;
        self.reply(&plan, pictures, 1, stamp).await
    }
}
