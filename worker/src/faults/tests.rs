use super::*;
use engine::Shapes;

/// A profile for latents [batch, 1, height, width].
fn profile(min: [u64; 3], opt: [u64; 3], max: [u64; 3]) -> Profile {
    let of = |shape: fn([u64; 3]) -> Vec<u64>| Shapes {
        min: shape(min),
        opt: shape(opt),
        max: shape(max),
    };
    let sample = of(|[batch, height, width]| vec![batch, 1, height, width]);
    let timesteps = of(|[batch, ..]| vec![batch]);
    Profile { inputs: [("sample".to_owned(), sample), ("timesteps".to_owned(), timesteps)].into() }
}

/// An engine whose output is NaN for the rows where `is_wrong`.
struct Engine<F> {
    is_wrong: F,
    /// The most latent positions that fit into memory.
    memory: u64,
    calls: Vec<Vec<u64>>,
}

impl<F: Fn(&[f32], f32, u64, Size) -> bool> Run for Engine<F> {
    fn run(&mut self, inputs: &Inputs) -> Result<Option<Array>> {
        let (sample, steps) = (&inputs["sample"], &inputs["timesteps"]);
        let [batch, _, height, width] = sample.shape[..] else { panic!("{:?}", sample.shape) };
        self.calls.push(vec![batch, height, width]);
        if batch * height * width > self.memory {
            return Ok(None);
        }
        let rows = sample.values.chunks((height * width) as usize).zip(&steps.values);
        let values = rows.map(|(row, step)| {
            let wrong = (self.is_wrong)(row, *step, batch, [height, width]);
            if wrong { f32::NAN } else { 1.0 }
        });
        Ok(Some(Array { shape: vec![batch, 1], values: values.collect() }))
    }
}

fn is_flat(row: &[f32]) -> bool {
    row.windows(2).all(|pair| pair[0] == pair[1])
}

fn reached(
    profile: &Profile,
    memory: u64,
    is_wrong: impl Fn(&[f32], f32, u64, Size) -> bool,
) -> (Reach, Vec<Vec<u64>>) {
    let mut engine = Engine { is_wrong, memory, calls: Vec::new() };
    let reach = reach(profile, &mut engine).unwrap();
    (reach, engine.calls)
}

const ALL: u64 = u64::MAX;

#[test]
fn each_size_is_tried_with_each_input_and_with_a_full_batch() {
    let open = profile([1, 8, 8], [2, 8, 16], [8, 16, 16]);
    let (reach, calls) = reached(&open, ALL, |_, _, _, _| false);
    assert_eq!(reach, Reach::All);
    for size in [[8, 8], [8, 16], [16, 16]] {
        let of_size = |batch: u64| {
            calls.iter().filter(|call| **call == [&[batch][..], &size].concat()).count()
        };
        assert_eq!((of_size(1), of_size(8)), (7, 1), "{size:?}");
    }
    let fixed = profile([2, 8, 8], [2, 8, 8], [2, 8, 8]);
    let (_, calls) = reached(&fixed, ALL, |_, _, _, _| false);
    assert_eq!(calls, vec![vec![2, 8, 8]; 4], "seven inputs, two at a time");
}

#[test]
fn the_last_good_size_is_found_by_bisection() {
    let open = profile([1, 8, 8], [2, 16, 16], [4, 128, 64]);
    for last in [[16, 16], [24, 16], [72, 40], [120, 56]] {
        let allowed = last[0] * last[1];
        let (reach, calls) = reached(&open, ALL, |row, _, _, [height, width]| {
            is_flat(row) && height * width > allowed
        });
        let pixels = allowed * 64;
        assert_eq!(
            reach,
            Reach::Until(Limit { pixels, input: "a constant latent".to_owned() }),
            "{last:?}"
        );
        assert!(calls.len() < 100, "{last:?}: {} calls", calls.len());
    }
}

#[test]
fn a_fault_of_any_input_counts_and_is_named() {
    let open = profile([1, 8, 8], [1, 8, 8], [1, 16, 16]);
    let large = |size: Size| size[0] * size[1] > 64;
    type Wrong = fn(&[f32], f32) -> bool;
    let table: [(Pattern, Wrong); 5] = [
        (Pattern::Middle, |row, step| !is_flat(row) && step == 500.25),
        (Pattern::Early, |_, step| step > 900.0),
        (Pattern::Constant, |row, _| is_flat(row)),
        (Pattern::HalfFlat, |row, _| !is_flat(row) && row[15] == row[14]),
        (Pattern::Smooth, |row, _| row[0] == 1.0),
    ];
    for (pattern, wrong) in table {
        let (found, _) = reached(&open, ALL, |row, step, _, size| large(size) && wrong(row, step));
        assert_eq!(found, Reach::Until(Limit { pixels: 64 * 64, input: pattern.to_string() }));
        let (found, _) = reached(&open, ALL, |row, step, _, _| wrong(row, step));
        assert_eq!(found, Reach::Nothing(pattern));
    }
}

#[test]
fn a_fault_of_a_full_batch_alone_counts_too() {
    let open = profile([1, 8, 8], [2, 8, 8], [8, 16, 16]);
    let (found, _) =
        reached(&open, ALL, |row, _, batch, [height, _]| is_flat(row) && batch == 8 && height > 8);
    assert!(matches!(found, Reach::Until(Limit { pixels: 4096, .. })), "{found:?}");
}

#[test]
fn the_batch_is_as_large_as_memory_allows_and_larger_sizes_are_skipped() {
    let open = profile([1, 8, 8], [2, 8, 8], [8, 16, 16]);
    let (found, calls) = reached(&open, 2 * 256, |_, _, _, _| false);
    assert_eq!(found, Reach::All);
    let tried: Vec<u64> = calls.iter().filter(|call| call[1] == 16).map(|call| call[0]).collect();
    assert_eq!(tried, [1, 1, 1, 1, 1, 1, 1, 8, 4, 2]);
    let (found, _) = reached(&open, 100, |_, _, _, [height, _]| height > 8);
    assert_eq!(found, Reach::All, "no call of that size fits into memory");
}
