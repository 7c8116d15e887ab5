//! Which engines would make an image.

use protocol::{Coverage, PassCoverage};

use crate::render::{look::Look, table::Table};

pub(crate) fn render(coverage: &[Coverage], look: Look) -> String {
    if coverage.is_empty() {
        return "no checkpoints; `sdtrtctl status` shows the watched folders\n".to_owned();
    }
    let mut table = Table::new(&["ID", "PASS", "SIZE", "SERVED BY", "LOCATION"]);
    for checkpoint in coverage {
        for pass in &checkpoint.passes {
            let cells = [
                &checkpoint.weights_id.short(),
                &pass.pass,
                &format!("{}x{}", pass.width, pass.height),
                &served_by(pass),
                checkpoint.location.as_deref().unwrap_or("-"),
            ];
            let advice = pass.problem.clone().or_else(|| at_once(pass));
            table.row(cells, advice.as_deref());
        }
    }
    table.render(look)
}

fn served_by(pass: &PassCoverage) -> String {
    let kind = match (pass.profile, &pass.preset) {
        (None, _) => return "-".to_owned(),
        (Some(_), None) => "fixed".to_owned(),
        (Some(_), Some(preset)) => {
            format!("{preset}, {}", if pass.fixed { "fixed" } else { "open" })
        }
    };
    let gain = |ms| pass.torch_milliseconds.map(|torch| format!(", {:.1} × PyTorch", torch / ms));
    let told = |ms| format!(", {ms:.1} ms a call{}", gain(ms).unwrap_or_default());
    let speed = pass.milliseconds.map_or_else(String::new, told);
    match &pass.engine {
        Some(engine) => format!("{kind}: {}{speed}", engine.short()),
        None => kind,
    }
}

/// Whether several images are made faster at once than one after the other.
fn at_once(pass: &PassCoverage) -> Option<String> {
    let one_by_one = pass.single_milliseconds? * f64::from(u32::try_from(pass.batch).ok()?);
    let together = pass.milliseconds?;
    let (times, how) = match one_by_one >= together {
        true => (one_by_one / together, "at once"),
        false => (together / one_by_one, "one after the other"),
    };
    (pass.batch > 1).then(|| {
        format!("{} images are made {times:.2} × as fast {how}: {together:.1} ms, or {one_by_one:.1} ms", pass.batch)
    })
}

/// The number of passes that no engine on disk serves, if any.
pub(crate) fn complaint(coverage: &[Coverage]) -> Option<String> {
    let passes: Vec<_> = coverage.iter().flat_map(|checkpoint| &checkpoint.passes).collect();
    let unserved = passes.iter().filter(|pass| pass.engine.is_none()).count();
    let all = passes.len();
    (unserved > 0).then(|| format!("{unserved} of {all} passes have no engine yet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn pass(name: &str, width: u64) -> PassCoverage {
        PassCoverage {
            pass: name.into(),
            width,
            height: 768,
            batch: 1,
            engine: None,
            profile: None,
            preset: None,
            fixed: false,
            milliseconds: None,
            single_milliseconds: None,
            torch_milliseconds: None,
            problem: None,
        }
    }

    #[test]
    fn several_images_are_made_at_once_or_one_after_the_other() {
        for (batch, milliseconds, single, expected) in [
            (
                4,
                Some(20.0),
                Some(8.0),
                Some("4 images are made 1.60 × as fast at once: 20.0 ms, or 32.0 ms"),
            ),
            (
                2,
                Some(20.0),
                Some(8.0),
                Some("2 images are made 1.25 × as fast one after the other: 20.0 ms, or 16.0 ms"),
            ),
            (2, Some(20.0), None, None),
            (2, None, Some(8.0), None),
            (1, Some(20.0), Some(20.0), None),
        ] {
            let pass = PassCoverage {
                batch,
                milliseconds,
                single_milliseconds: single,
                ..pass("base", 512)
            };
            assert_eq!(at_once(&pass).as_deref(), expected);
        }
    }

    #[test]
    fn served_coming_and_missing() {
        let served = PassCoverage {
            engine: Some(samples::id('e')),
            profile: Some(1),
            preset: Some("dynamic".into()),
            ..pass("base", 512)
        };
        let fixed = PassCoverage {
            engine: Some(samples::id('f')),
            profile: Some(0),
            fixed: true,
            milliseconds: Some(8.14),
            torch_milliseconds: Some(17.1),
            ..pass("base", 512)
        };
        let coming = PassCoverage {
            profile: Some(0),
            preset: Some("default".into()),
            problem: Some("once its engine is built".into()),
            ..pass("base", 512)
        };
        let missing =
            PassCoverage { problem: Some("width 4096 is over 2048".into()), ..pass("hires", 4096) };
        let checkpoint = |digit, passes| Coverage {
            weights_id: samples::id(digit).into(),
            architecture: "sd1".into(),
            location: Some(format!("/models/{digit}.safetensors")),
            passes,
        };
        let all = [
            checkpoint('a', vec![served.clone(), missing]),
            checkpoint('b', vec![coming]),
            checkpoint('c', vec![fixed]),
        ];
        insta::assert_snapshot!(render(&all, Look::default()), @r"
        ID             PASS    SIZE       SERVED BY                                           LOCATION
        aaaaaaaaaaaa   base    512x768    dynamic, open: eeeeeeeeeeee                         /models/a.safetensors
        aaaaaaaaaaaa   hires   4096x768   -                                                   /models/a.safetensors
          width 4096 is over 2048
        bbbbbbbbbbbb   base    512x768    default, open                                       /models/b.safetensors
          once its engine is built
        cccccccccccc   base    512x768    fixed: ffffffffffff, 8.1 ms a call, 2.1 × PyTorch   /models/c.safetensors
        ");
        assert_eq!(complaint(&all).unwrap(), "2 of 4 passes have no engine yet");
        assert_eq!(complaint(&[checkpoint('a', vec![served])]), None);
    }
}
