//! The x/y/z plot: one render for each combination of values, and grids of them in front
//! (docs/protocol/webui-api.md §6).

use serde_json::{Value, json};

use super::axis::Axis;
use super::grid;
use super::infotext::infotext;
use super::plan::{Plan, Source};
use super::run::Album;
use crate::answer::Failure;
use crate::catalogue::sampler::Sampling;
use crate::gpu::picture::Picture;
use crate::request::Fields;
use crate::server::Server;

/// What the script's arguments ask for.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a checkbox of the script")]
pub(crate) struct Plot {
    axes: [Axis; 3],
    legend: bool,
    lone_images: bool,
    sub_grids: bool,
    keep_random: bool,
    vary_seeds: [bool; 3],
}

/// The names of the script's arguments, in their order in 1.10.
pub(super) const ARGUMENTS: [&str; 18] = [
    "x_type",
    "x_values",
    "x_values_dropdown",
    "y_type",
    "y_values",
    "y_values_dropdown",
    "z_type",
    "z_values",
    "z_values_dropdown",
    "draw_legend",
    "include_lone_images",
    "include_sub_grids",
    "no_fixed_seeds",
    "vary_seeds_x",
    "vary_seeds_y",
    "vary_seeds_z",
    "margin_size",
    "csv_mode",
];

impl Plot {
    pub(super) fn read(args: &[Value], source: Source) -> Result<Self, Failure> {
        let flag = |index: usize| args.get(index).is_some_and(|value| *value == true);
        let axis = |from: usize| Axis::read(args.get(from..).unwrap_or_default(), flag(17), source);
        Ok(Self {
            axes: [axis(0)?, axis(3)?, axis(6)?],
            legend: flag(9),
            lone_images: flag(10),
            sub_grids: flag(11),
            keep_random: flag(12),
            vary_seeds: [flag(13), flag(14), flag(15)],
        })
    }

    /// Draws the numbers that are left to chance, so that all pictures share them.
    pub(super) fn fix_seeds(&mut self, server: &Server, fields: &mut Fields) {
        if self.keep_random {
            return;
        }
        for name in ["seed", "subseed"] {
            if fields.get(name).is_null() || *fields.get(name) == -1 {
                fields.set(name, server.random_seed());
            }
        }
        for axis in &mut self.axes {
            axis.fix_seeds(server);
        }
    }

    fn sizes(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.axes[axis].values.len())
    }

    /// How many combinations there are.
    pub(super) fn cells(&self) -> usize {
        self.sizes().iter().product()
    }

    /// Turns a request into that of one combination. The first axis changes fastest.
    pub(super) fn apply(
        &self,
        cell: usize,
        server: &Server,
        fields: &mut Fields,
        sampling: &mut Sampling,
    ) -> Result<(), Failure> {
        let [across, down, _] = self.sizes();
        let places = [cell % across, cell / across % down, cell / (across * down)];
        for (axis, place) in self.axes.iter().zip(places) {
            axis.apply(place, server, fields, sampling)?;
        }
        let (mut offset, mut stride) = (0, 1);
        for ((vary, place), size) in self.vary_seeds.into_iter().zip(places).zip(self.sizes()) {
            if vary {
                offset += place * stride;
                stride *= size;
            }
        }
        if let (Some(seed), Ok(offset)) = (fields.integer("seed"), i64::try_from(offset))
            && offset > 0
        {
            fields.set("seed", seed.wrapping_add(offset));
        }
        Ok(())
    }

    /// The grids and the combinations in the order of the answer, and the plan that describes them all.
    /// Each combination shows its first picture.
    pub(super) fn assemble(&self, rendered: Vec<(Plan, Album)>) -> Option<(Plan, Album)> {
        let [across, down, _] = self.sizes();
        let (mut plans, mut tiles, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let size = rendered
            .iter()
            .find_map(|(_, album)| album.pictures.first())
            .map(|tile| (tile.width, tile.height))?;
        for (plan, album) in rendered {
            let blank = || Picture::plain(size.0, size.1, [0; 3]);
            tiles.push(album.pictures.into_iter().next().unwrap_or_else(blank));
            texts.push(album.texts.into_iter().next().unwrap_or_default());
            plans.push(plan);
        }
        let layer = across * down;
        let legend = |axis: usize| self.legend && self.axes[axis].varies();
        let mut layers = Vec::new();
        let mut heads = Vec::new();
        for (pictures, plans) in tiles.chunks(layer).zip(plans.chunks(layer)) {
            layers.push(grid::plot(pictures, down, legend(0), legend(1)));
            heads.push(plans.first()?);
        }
        let main = grid::plot(&layers, 1, legend(2), false);

        let mut all = heads.first().copied()?.clone();
        let mut grids = vec![main];
        let mut album = Album {
            pictures: Vec::new(),
            texts: vec![self.text(&all, true)],
            seeds: Vec::new(),
        };
        let mut listed: Vec<&Plan> = Vec::new();
        if self.sub_grids {
            grids.extend(layers);
            album
                .texts
                .extend(heads.iter().map(|plan| self.text(plan, false)));
            listed.extend(&heads);
        }
        listed.extend(&plans);
        all.prompts = listed.iter().map(|plan| plan.prompts[0].clone()).collect();
        all.seeds = listed.iter().map(|plan| plan.seeds[0]).collect();
        album.texts.extend(texts);
        album.pictures = grids;
        if self.lone_images {
            album.pictures.extend(tiles);
        }
        Some((all, album))
    }

    /// The infotext of a grid: that of its first combination, and the axes.
    fn text(&self, plan: &Plan, whole: bool) -> String {
        let mut plan = plan.clone();
        plan.extra.insert("Script".to_owned(), json!("X/Y/Z plot"));
        let names = if whole { &["X", "Y", "Z"][..] } else { &["X", "Y"] };
        for (axis, name) in self.axes.iter().zip(names) {
            plan.extra.extend(axis.entries(name, !self.keep_random));
        }
        infotext(&plan, 0)
    }
}
