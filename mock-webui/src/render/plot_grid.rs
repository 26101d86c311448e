//! The grids of the x/y/z plot, in front of its pictures.

use serde_json::json;

use super::grid;
use super::infotext_writer::infotext;
use super::plan::Plan;
use super::plot::Plot;
use super::rendered::RenderedPictures;
use crate::gpu::picture::Picture;

/// The grids and the combinations in the order of the answer, and the plan that describes them all.
/// Each combination shows its first picture.
pub(super) fn assemble(
    plot: &Plot,
    rendered: Vec<(Plan, RenderedPictures)>,
) -> Option<(Plan, RenderedPictures)> {
    let [across, down, _] = plot.sizes();
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
    let legend = |axis: usize| plot.legend && plot.axes[axis].varies();
    let mut layers = Vec::new();
    let mut heads = Vec::new();
    for (pictures, plans) in tiles.chunks(layer).zip(plans.chunks(layer)) {
        layers.push(grid::plot(pictures, down, legend(0), legend(1)));
        heads.push(plans.first()?);
    }
    let main = grid::plot(&layers, 1, legend(2), false);

    let mut all = heads.first().copied()?.clone();
    let mut grids = vec![main];
    let mut album = RenderedPictures {
        pictures: Vec::new(),
        texts: vec![grid_text(plot, &all, true)],
        seeds: Vec::new(),
    };
    let mut listed: Vec<&Plan> = Vec::new();
    if plot.sub_grids {
        grids.extend(layers);
        album
            .texts
            .extend(heads.iter().map(|plan| grid_text(plot, plan, false)));
        listed.extend(&heads);
    }
    listed.extend(&plans);
    all.prompts = listed.iter().map(|plan| plan.prompts[0].clone()).collect();
    all.seeds = listed.iter().map(|plan| plan.seeds[0]).collect();
    album.texts.extend(texts);
    album.pictures = grids;
    if plot.lone_images {
        album.pictures.extend(tiles);
    }
    Some((all, album))
}

/// The infotext of a grid: that of its first combination, and the axes.
fn grid_text(plot: &Plot, plan: &Plan, whole: bool) -> String {
    let mut plan = plan.clone();
    plan.extra.insert("Script".to_owned(), json!("X/Y/Z plot"));
    let names = if whole { &["X", "Y", "Z"][..] } else { &["X", "Y"] };
    for (axis, name) in plot.axes.iter().zip(names) {
        plan.extra.extend(axis.entries(name, !plot.keep_random));
    }
    infotext(&plan, 0)
}
