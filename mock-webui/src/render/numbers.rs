//! Numbers of a request, with the exceptions that Python raises on bad ones (§3).

use crate::answer::Failure;
use crate::memory::out_of_memory;
use crate::profile::Profile;
use crate::request::Fields;
use crate::server::Server;

/// No card has the memory for more pixels than this.
const MOST_PIXELS: u64 = 64 << 20;

pub(super) fn type_error(operator: &str, other: &str) -> Failure {
    Failure::unexpected(
        "TypeError",
        format!("unsupported operand type(s) for {operator}: 'NoneType' and '{other}'"),
    )
}

/// A comparison of null with a number.
pub(super) fn not_comparable(operator: &str) -> Failure {
    Failure::unexpected(
        "TypeError",
        format!("'{operator}' not supported between instances of 'NoneType' and 'int'"),
    )
}

/// A number of pictures; a negative one makes an empty list in Python.
pub(super) fn count(fields: &Fields, name: &str) -> Result<usize, Failure> {
    const MOST: usize = 10_000; // a list that long ends the process long before the last picture
    let count = fields.integer(name).ok_or_else(|| {
        Failure::unexpected(
            "TypeError",
            "can't multiply sequence by non-int of type 'NoneType'",
        )
    })?;
    Ok(usize::try_from(count).unwrap_or(0).min(MOST))
}

pub(super) fn steps(fields: &Fields) -> Result<u32, Failure> {
    match fields.integer("steps").ok_or_else(|| type_error("//", "int"))? {
        0 => Err(Failure::unexpected(
            "ZeroDivisionError",
            "integer division or modulo by zero",
        )),
        steps => u32::try_from(steps)
            .map_err(|_| Failure::unexpected("RuntimeError", "number of steps must be non-negative")),
    }
}

pub(super) fn size(profile: Profile, fields: &Fields) -> Result<(u32, u32), Failure> {
    let (width, height) = (side(fields, "width")?, side(fields, "height")?);
    if width == 0 || height == 0 {
        return Err(Failure::unexpected(
            "RuntimeError",
            nothing_left(profile, width, height),
        ));
    }
    limited(width, height)
}

/// The words for a latent picture without a row or a column.
fn nothing_left(profile: Profile, width: u32, height: u32) -> String {
    if profile.is_forge() {
        let (width, height) = (width / 8 + 2, height / 8 + 2);
        return format!(
            "Calculated padded input size per channel: ({height} x {width}). Kernel size: (3 x 3). Kernel size \
             can't be greater than actual input size"
        );
    }
    "Input and output sizes should be greater than 0, but got input (H: 0, W: 0) output (H: 0, W: 0)"
        .to_owned()
}

/// Refuses a size that no card has the memory for.
pub(super) fn limited(width: u32, height: u32) -> Result<(u32, u32), Failure> {
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        Err(out_of_memory())
    } else {
        Ok((width, height))
    }
}

/// Width or height. Under 8 pixels nothing is left of the latent picture: 0.
fn side(fields: &Fields, name: &str) -> Result<u32, Failure> {
    match fields.integer(name).ok_or_else(|| type_error("//", "int"))? {
        side if side < 0 => Err(Failure::unexpected(
            "RuntimeError",
            format!(
                "Trying to create tensor with negative dimension {0}: [4, {0}, {0}]",
                side / 8
            ),
        )),
        side if side < 8 => Ok(0),
        side => u32::try_from(side).map_err(|_| out_of_memory()),
    }
}

/// How the seeds of several pictures follow from the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeedOrder {
    CountUp,
    Equal,
    /// Counts up within groups of this size, and begins anew in each.
    CountUpWithin(usize),
}

/// Seeds and variation seeds of `count` pictures. Variation seeds count up; seeds are equal with a variation strength.
pub(super) fn seeds(
    server: &Server,
    fields: &Fields,
    count: usize,
    order: SeedOrder,
) -> Result<(Vec<i64>, Vec<i64>), Failure> {
    let (first, first_sub) = (seed(server, fields, "seed")?, seed(server, fields, "subseed")?);
    let counted =
        |from: i64| -> Vec<i64> { (0..).map(|index| from.wrapping_add(index)).take(count).collect() };
    let varied = fields.float("subseed_strength").unwrap_or_default() != 0.0;
    let seeds = match order {
        _ if varied => vec![first; count],
        SeedOrder::CountUp => counted(first),
        SeedOrder::Equal => vec![first; count],
        SeedOrder::CountUpWithin(size) => {
            let group = counted(first).into_iter().take(size.max(1)).cycle();
            group.take(count).collect()
        }
    };
    Ok((seeds, counted(first_sub)))
}

/// A seed as sent, or a random one for −1 and null.
fn seed(server: &Server, fields: &Fields, name: &str) -> Result<i64, Failure> {
    let value = fields.get(name);
    match value.as_i64() {
        Some(-1) => Ok(server.random_seed()),
        Some(seed) => Ok(seed),
        None if value.is_null() => Ok(server.random_seed()),
        None => Err(Failure::unexpected(
            "RuntimeError",
            "Overflow when unpacking long",
        )),
    }
}

/// The part of the steps that a denoising strength leaves, as img2img computes it.
pub(super) fn share(steps: u32, strength: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to the number of steps"
    )]
    let share = (strength.clamp(0.0, 0.999) * f64::from(steps)) as u32;
    share
}
