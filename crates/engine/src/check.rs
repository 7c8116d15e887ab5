//! Whether a plan is what somebody says it is.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use checkpoint::Id;

use crate::{Built, Manifest, Weights, open_regular};

impl Manifest {
    /// Reads the plan and says what of it is not as this manifest says.
    ///
    /// # Errors
    /// When it can't be read, which tells nothing about what it is.
    pub fn check(&self, plan: &Path) -> io::Result<Option<String>> {
        match check(plan, self.bytes, &self.blake3) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Some("the plan is missing".to_owned()))
            }
            other => Ok(other?.err()),
        }
    }
}

impl Built {
    /// Reads the plan that a worker has left, says what of it is not as the worker said, and syncs it.
    ///
    /// # Errors
    /// When it can't be read or synced, as where its folder is gone.
    pub fn check(&self, plan: &Path) -> io::Result<Option<String>> {
        Ok(match check(plan, self.bytes, &self.blake3)? {
            Ok(file) => {
                file.sync_all()?;
                None
            }
            Err(problem) => Some(problem),
        })
    }

    /// Why this plan is not the engine of these weights: those inside are another UNet's, or nobody said whose.
    pub fn stranger(&self, weights: &Weights) -> Option<String> {
        let (Weights::Baked(wanted), inside) = (weights, self.weights) else { return None };
        match inside {
            Some(inside) if inside.unet == *wanted => None,
            Some(inside) => Some(format!(
                "the weights that were read are those of UNet {}, and not of {}",
                inside.unet.short(),
                wanted.short()
            )),
            None => Some("nobody said whose weights were read".to_owned()),
        }
    }
}

/// The open plan, or what of it is not so.
fn check(plan: &Path, bytes: u64, blake3: &Id) -> io::Result<Result<fs::File, String>> {
    let mut file = match open_regular(plan) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return Ok(Err("the plan is no regular file".to_owned()));
        }
        other => other?,
    };
    let found = file.metadata()?.len();
    if found != bytes {
        return Ok(Err(format!("the plan has {found} bytes and not {bytes}")));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file)?;
    let found = Id::from(hasher.finalize());
    Ok(if found == *blake3 {
        Ok(file)
    } else {
        Err(format!("the plan's BLAKE3 is {found} and not {blake3}"))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::samples::{baked, built};

    #[test]
    fn a_plan_that_a_worker_only_claims_to_have_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("plan"), "plan").unwrap();
        fs::write(at("short"), "pla").unwrap();
        fs::write(at("other"), "nalp").unwrap();
        fs::create_dir(at("folder")).unwrap();
        symlink(at("plan"), at("link")).unwrap();
        for (name, problem) in [
            ("plan", None),
            ("short", Some("3 bytes and not 4")),
            ("other", Some("BLAKE3")),
            ("folder", Some("no regular file")),
            ("link", Some("no regular file")),
        ] {
            let found = built(b"plan").check(&at(name)).unwrap();
            assert_eq!(found.is_some(), problem.is_some(), "{name}: {found:?}");
            assert!(found.unwrap_or_default().contains(problem.unwrap_or_default()), "{name}");
        }
        assert_eq!(built(b"plan").check(&at("gone")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn weights_inside_must_be_those_that_the_key_names() {
        let [one, other] = [1, 2].map(|byte| Id::from([byte; 32]));
        let own = Weights::Baked(one);
        assert_eq!(baked(b"plan", one).stranger(&own), None);
        assert!(baked(b"plan", other).stranger(&own).unwrap().contains("020202"));
        assert!(built(b"plan").stranger(&own).is_some(), "nobody said");
        assert_eq!(built(b"plan").stranger(&Weights::Shared(other)), None);
    }
}
