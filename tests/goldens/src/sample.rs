//! Latents that are harder for fp16 than noise; `bench/samples.py` has the same formulas, step for step.

use half::f16;
use serde::Deserialize;

/// Pixels between the grid points of [`Sample::Smooth`].
const CELL: usize = 8;

/// The kind of a case's latents, if not noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sample {
    /// One value per channel of each image.
    Constant,
    /// Channels whose mean is about 100 times their deviation.
    NearlyConstant,
    /// Constant in the left half, noise in the right half.
    FlatHalves,
    /// Noise, 2^−7 times the usual magnitude.
    Tiny,
    /// Noise, 2^6 times the usual magnitude.
    Huge,
    /// Random values at every eighth pixel, interpolated linearly.
    Smooth,
}

/// Returns random values of unit variance for an input's name and shape.
type Noise<'a> = &'a dyn Fn(&str, &[usize]) -> Vec<f32>;

impl Sample {
    /// Returns latents of the shape [batch, channels, height, width], row-major, rounded to fp16.
    pub(crate) fn values(self, noise: Noise<'_>, shape: &[usize]) -> Vec<f32> {
        let &[batch, channels, height, width] = shape else {
            panic!("latents have four dimensions: {shape:?}")
        };
        let plane = height * width;
        let level = || noise("sample.level", &[batch, channels, 1, 1]);
        let values: Vec<f32> = match self {
            Self::Constant => level().iter().flat_map(|&level| vec![level; plane]).collect(),
            Self::NearlyConstant => {
                let planes = level();
                let noise = noise("sample", shape).into_iter().enumerate();
                noise.map(|(at, noise)| planes[at / plane] + noise / 128.0).collect()
            }
            Self::FlatHalves => {
                let planes = level();
                let noise = noise("sample", shape).into_iter().enumerate();
                let left = |at: usize| at % width < width / 2;
                noise.map(|(at, noise)| if left(at) { planes[at / plane] } else { noise }).collect()
            }
            Self::Tiny => noise("sample", shape).iter().map(|noise| noise / 128.0).collect(),
            Self::Huge => noise("sample", shape).iter().map(|noise| noise * 64.0).collect(),
            Self::Smooth => {
                let (rows, columns) = (height / CELL + 2, width / CELL + 2);
                let grid = noise("sample.grid", &[batch, channels, rows, columns]);
                let planes = grid.chunks(rows * columns);
                planes.flat_map(|grid| smooth(grid, columns, height, width)).collect()
            }
        };
        values.into_iter().map(|value| f16::from_f32(value).to_f32()).collect()
    }
}

/// Interpolates `grid`, whose rows have `columns` values, to one plane.
fn smooth(grid: &[f32], columns: usize, height: usize, width: usize) -> Vec<f32> {
    let share = |at: usize| (at % CELL) as f32 / CELL as f32;
    let line = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let across = |row: usize, x: usize| {
        let at = row * columns + x / CELL;
        line(grid[at], grid[at + 1], share(x))
    };
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    pixels.map(|(y, x)| line(across(y / CELL, x), across(y / CELL + 1, x), share(y))).collect()
}
