//! Pictures that look like pictures, cheap to draw.
//!
//! A scene is a hash of everything that shapes a picture: prompt, seed, sampler, size and so on. From the
//! hash come a colour gradient, soft waves and a few discs. An unfinished picture is the finished one
//! under noise, thinning step by step, as in real sampling.

use std::hash::Hash;
use std::sync::Arc;

use crate::digest;

/// What a picture shows and how large it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scene {
    hash: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Steps of the whole render.
    steps: u32,
    base: Option<Base>,
}

/// A picture that another one is drawn over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Base {
    picture: Arc<Picture>,
    /// How much of the drawing covers it, in 256ths.
    cover: u32,
}

impl Base {
    /// `share` is the denoising strength: 0 keeps the picture, 1 covers it.
    pub(crate) fn new(picture: Arc<Picture>, share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 256")]
        let cover = (share.clamp(0.0, 1.0) * 256.0) as u32;
        Self { picture, cover }
    }
}

/// Pixels in rows, three bytes each: red, green, blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

impl Scene {
    /// A scene of everything in `material`. Width and height are floored to multiples of 8 (§3).
    pub(crate) fn new(material: &impl Hash, width: u32, height: u32, steps: u32) -> Self {
        let (width, height) = (width / 8 * 8, height / 8 * 8);
        Self {
            hash: digest::of(material),
            width,
            height,
            steps,
            base: None,
        }
    }

    /// The scene drawn over another picture.
    pub(crate) fn over(mut self, base: Base) -> Self {
        self.base = Some(base);
        self
    }

    /// The same scene at another size, with steps of its own.
    pub(crate) fn enlarged(&self, width: u32, height: u32, steps: u32) -> Self {
        Self {
            width: width / 8 * 8,
            height: height / 8 * 8,
            steps,
            ..self.clone()
        }
    }

    /// The picture after `done` steps.
    pub(crate) fn draw(&self, done: u32) -> Picture {
        self.draw_at(done, self.width, self.height)
    }

    /// What the progress route shows: a quarter of the size in each direction (§7).
    pub(crate) fn draw_preview(&self, done: u32) -> Picture {
        self.draw_at(done, (self.width / 4).max(1), (self.height / 4).max(1))
    }

    fn draw_at(&self, done: u32, width: u32, height: u32) -> Picture {
        let mut dice = Dice(self.hash | 1);
        let corners = [dice.colour(), dice.colour(), dice.colour()];
        let (across, down) = (wave(&mut dice, width), wave(&mut dice, height));
        let discs: Vec<Disc> = (0..dice.within(3, 6))
            .map(|_| Disc::thrown(&mut dice, width, height))
            .collect();
        let noise = if done >= self.steps {
            0
        } else {
            256 - 256 * done / self.steps.max(1)
        };
        let mut grain = Dice((self.hash ^ u64::from(done)) | 1);

        let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
        for (y, &lift) in (0..height).zip(&down) {
            let row: Vec<&Disc> = discs.iter().filter(|disc| disc.touches_row(y)).collect();
            let vertical = y * 256 / height;
            for (x, &shade) in (0..width).zip(&across) {
                let horizontal = x * 256 / width;
                let disc = row.iter().rev().find(|disc| disc.covers(x, y));
                let colour = disc.map_or_else(
                    || blend(corners, horizontal, vertical),
                    |disc| disc.colour.map(u32::from),
                );
                pixels.extend(colour.map(|channel| byte(channel + shade + lift)));
                if noise > 0 {
                    let at = pixels.len() - 3;
                    let mut random = grain.next();
                    for pixel in &mut pixels[at..] {
                        let mixed = u32::from(*pixel) * (256 - noise) + byte_of(random) * noise;
                        *pixel = byte(mixed / 256);
                        random >>= 8;
                    }
                }
            }
        }
        let mut picture = Picture {
            width,
            height,
            pixels,
        };
        if let Some(base) = &self.base {
            picture.cover(&base.picture.resized(width, height), base.cover);
        }
        picture
    }
}

impl Picture {
    /// A picture of one colour.
    pub(crate) fn plain(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            pixels: colour.repeat(width as usize * height as usize),
        }
    }

    /// Changes some pixels by one, as unseeded noise in a VAE's encoder does.
    pub(crate) fn disturb(&mut self, seed: u64) {
        let mut dice = Dice(seed | 1);
        let count = self.pixels.len() / 64 + 1;
        for _ in 0..count {
            let at = usize::try_from(dice.next()).unwrap_or_default() % self.pixels.len().max(1);
            if let Some(pixel) = self.pixels.get_mut(at) {
                *pixel ^= 1;
            }
        }
    }

    /// Copies `tile` into this picture with its corner at `(left, top)`, cutting what sticks out.
    pub(crate) fn paste(&mut self, tile: &Self, left: u32, top: u32) {
        let columns = tile.width.min(self.width.saturating_sub(left)) as usize * 3;
        for row in 0..tile.height.min(self.height.saturating_sub(top)) {
            let from = row as usize * tile.width as usize * 3;
            let to = ((top + row) as usize * self.width as usize + left as usize) * 3;
            self.pixels[to..to + columns].copy_from_slice(&tile.pixels[from..from + columns]);
        }
    }

    /// Lets a picture of the same size shine through: `cover` is this picture's part in 256ths.
    fn cover(&mut self, below: &Self, cover: u32) {
        for (pixel, under) in self.pixels.iter_mut().zip(&below.pixels) {
            *pixel = byte((u32::from(*pixel) * cover + u32::from(*under) * (256 - cover)) / 256);
        }
    }

    /// The picture at another size, by nearest neighbour.
    pub(crate) fn resized(&self, width: u32, height: u32) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let scale = |at: u32, from: u32, to: u32| at as usize * from as usize / to.max(1) as usize;
        let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
        for y in 0..height {
            let row = scale(y, self.height, height) * self.width as usize;
            for x in 0..width {
                let at = (row + scale(x, self.width, width)) * 3;
                pixels.extend_from_slice(&self.pixels[at..at + 3]);
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }
}

/// The gradient between three corner colours at a place given in 256ths.
fn blend([left, right, bottom]: [[u8; 3]; 3], horizontal: u32, vertical: u32) -> [u32; 3] {
    [0, 1, 2].map(|channel| {
        (u32::from(left[channel]) * (256 - horizontal)
            + u32::from(right[channel]) * horizontal
            + u32::from(bottom[channel]) * vertical)
            / 512
    })
}

/// A small xorshift generator: the drawing needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from `low` to `high`, both included.
    fn within(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.max(low) - low) + 1;
        low + u32::try_from((self.next() >> 16) % span).unwrap_or(0)
    }

    fn colour(&mut self) -> [u8; 3] {
        [(); 3].map(|()| byte(self.within(20, 255)))
    }
}

struct Disc {
    x: u32,
    y: u32,
    radius: u32,
    colour: [u8; 3],
}

impl Disc {
    fn thrown(dice: &mut Dice, width: u32, height: u32) -> Self {
        let radius = dice.within(width.min(height) / 16 + 1, width.min(height) / 4 + 1);
        Self {
            x: dice.within(0, width),
            y: dice.within(0, height),
            radius,
            colour: dice.colour(),
        }
    }

    fn touches_row(&self, y: u32) -> bool {
        y.abs_diff(self.y) <= self.radius
    }

    fn covers(&self, x: u32, y: u32) -> bool {
        let (dx, dy) = (x.abs_diff(self.x), y.abs_diff(self.y));
        dx * dx + dy * dy <= self.radius * self.radius
    }
}

/// A soft wave along one side: brightness to add at each place.
fn wave(dice: &mut Dice, length: u32) -> Vec<u32> {
    let period = f64::from(length) / f64::from(dice.within(2, 9));
    let phase = f64::from(dice.within(0, 628)) / 100.0;
    (0..length)
        .map(|at| {
            let swing = (f64::from(at) / period * std::f64::consts::TAU + phase).sin();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24")]
            let brightness = (12.0 + 12.0 * swing) as u32;
            brightness
        })
        .collect()
}

fn byte(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn byte_of(random: u64) -> u32 {
    u32::try_from(random & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_material_draws_the_same_picture_and_other_material_another() {
        let draw = |material: &str, done| Scene::new(&material, 64, 48, 20).draw(done);
        assert_eq!(draw("a cat 42", 20), draw("a cat 42", 20));
        assert_ne!(draw("a cat 42", 20), draw("a cat 43", 20));
        assert_ne!(draw("a cat 42", 20), draw("a cat 42", 19));
        assert_ne!(draw("a cat 42", 0), draw("a cat 42", 1));
    }

    #[test]
    fn sizes_are_floored_to_multiples_of_eight() {
        let picture = Scene::new(&"x", 65, 79, 1).draw(1);
        assert_eq!((picture.width, picture.height), (64, 72));
        assert_eq!(picture.pixels.len(), 64 * 72 * 3);
    }

    #[test]
    fn a_finished_picture_is_not_flat() {
        let picture = Scene::new(&"x", 64, 64, 1).draw(1);
        let colours: std::collections::HashSet<&[u8]> = picture.pixels.chunks(3).collect();
        assert!(colours.len() > 100, "{} colours", colours.len());
    }

    #[test]
    fn pasting_cuts_what_sticks_out() {
        let mut canvas = Picture::plain(4, 4, [0; 3]);
        canvas.paste(&Picture::plain(4, 4, [9; 3]), 2, 3);
        let painted = canvas.pixels.chunks(3).filter(|pixel| pixel.contains(&9)).count();
        assert_eq!(painted, 2);
    }
}
