//! Latents that are harder to compute with than noise, as `bench/samples.py` has them, step for step.

use half::f16;
use serde::Deserialize;

/// Pixels between the numbers that [`Sample::Smooth`] goes through.
const CELL: usize = 8;

/// What the latents of a case are like, if not noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sample {
    /// One number for each channel of each image.
    Constant,
    /// Channels whose mean is about 100 times their deviation.
    NearlyConstant,
    /// Constant on the left, noise on the right.
    FlatHalves,
    /// Noise, 2^−7 of the usual size.
    Tiny,
    /// Noise, 2^6 times the usual size.
    Huge,
    /// Numbers at every eighth pixel, and lines between them.
    Smooth,
}

/// Numbers of unit variance for an input's name and a shape.
type Noise<'a> = &'a dyn Fn(&str, &[usize]) -> Vec<f32>;

impl Sample {
    /// The values of the shape [batch, channels, height, width], row-major, rounded to fp16 as engines
    /// take them.
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

/// One plane through the numbers of `grid`, whose rows have `columns` of them.
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
