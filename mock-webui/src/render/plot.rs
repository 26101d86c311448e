//! The arguments of the x/y/z plot, and the request of each combination of values
//! (docs/protocol/webui-api.md §6).

use serde_json::Value;

use super::axis::Axis;
use crate::answer::Failure;
use crate::catalogue::sampling::Sampling;
use crate::request::{Fields, Mode};
use crate::server::Server;

/// What the script's arguments ask for.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a checkbox of the script")]
pub(crate) struct Plot {
    pub(super) axes: [Axis; 3],
    pub(super) legend: bool,
    pub(super) lone_images: bool,
    pub(super) sub_grids: bool,
    pub(super) keep_random: bool,
    vary_seeds: [bool; 3],
}

impl Plot {
    pub(super) fn read(args: &[Value], mode: Mode) -> Result<Self, Failure> {
        let flag = |index: usize| args.get(index).is_some_and(|value| *value == true);
        let axis = |from: usize| Axis::read(args.get(from..).unwrap_or_default(), flag(17), mode);
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

    /// How many values each axis has.
    pub(super) fn sizes(&self) -> [usize; 3] {
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
}
