//! Several pictures in one (§6).

use crate::gpu::picture::Picture;

/// The grid of a batch: round(√count) rows.
pub(crate) fn of(tiles: &[Picture]) -> Picture {
    laid_out(tiles, layout(tiles.len()).1, 0, 0)
}

/// Columns and rows of the grid of this many pictures.
pub(super) fn layout(count: usize) -> (u32, u32) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let rows = (1..=count).find(|rows| rows * rows + rows >= count).unwrap_or(1);
    (count.div_ceil(rows), rows)
}

/// The grid of a prompt matrix: half of the parts across, half of them down, legends at both sides.
pub(crate) fn matrix(tiles: &[Picture]) -> Picture {
    let parts = tiles.len().max(1).ilog2();
    let down = parts / 2;
    with_legend(tiles, 1 << down, parts > 0, down > 0)
}

/// A grid of a plot with this many rows, and room for a legend above and beside it.
pub(crate) fn plot(tiles: &[Picture], rows: usize, above: bool, beside: bool) -> Picture {
    with_legend(tiles, u32::try_from(rows.max(1)).unwrap_or(1), above, beside)
}

fn with_legend(tiles: &[Picture], rows: u32, above: bool, beside: bool) -> Picture {
    let (width, height) = tiles.first().map_or((8, 8), |tile| (tile.width, tile.height));
    // The size of the legend's font follows the size of a picture.
    let font = (width + height) / 25;
    let above = if above { font * 4 / 5 + font / 2 * 2 } else { 0 };
    let beside = if beside { width * 3 / 4 } else { 0 };
    laid_out(tiles, rows, beside, above)
}

fn laid_out(tiles: &[Picture], rows: u32, left: u32, top: u32) -> Picture {
    let Some(first) = tiles.first() else {
        return Picture::plain(8, 8, [255; 3]);
    };
    let count = u32::try_from(tiles.len()).unwrap_or(u32::MAX);
    let columns = count.div_ceil(rows);
    let mut canvas = Picture::plain(left + first.width * columns, top + first.height * rows, [255; 3]);
    for (index, tile) in (0..count).zip(tiles) {
        canvas.paste(
            tile,
            left + index % columns * first.width,
            top + index / columns * first.height,
        );
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles(count: usize) -> Vec<Picture> {
        vec![Picture::plain(64, 64, [0; 3]); count]
    }

    #[test]
    fn a_grid_has_as_many_rows_as_the_rounded_root_of_its_pictures() {
        for (count, columns, rows) in [
            (1, 1, 1),
            (2, 2, 1),
            (3, 2, 2),
            (4, 2, 2),
            (6, 3, 2),
            (7, 3, 3),
            (9, 3, 3),
        ] {
            let canvas = of(&tiles(count));
            assert_eq!(
                (canvas.width / 64, canvas.height / 64),
                (columns, rows),
                "{count} pictures"
            );
        }
    }

    #[test]
    fn a_matrix_has_room_for_legends() {
        let two = matrix(&tiles(2));
        assert_eq!((two.width, two.height), (128, 72));
        let four = matrix(&tiles(4));
        assert_eq!((four.width, four.height), (48 + 128, 8 + 128));
    }
}
