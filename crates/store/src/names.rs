//! The names of objects below `v1/`.

use checkpoint::Id;

use crate::{Kind, Refusal, StoreError};

/// A kind's folder. No folder's name begins another's.
pub(crate) fn folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Engine => "engines",
        Kind::Validation => "validations",
        Kind::Kernels => "kernels",
        Kind::Content => "contents",
        Kind::Blob => "blobs",
        Kind::Claim => "claims",
    }
}

pub(crate) fn engine(key: &Id) -> String {
    format!("engines/{key}.sealed")
}

pub(crate) fn content(fingerprint: &Id) -> String {
    format!("contents/{fingerprint}.sealed")
}

pub(crate) fn blob(blake3: &Id) -> String {
    format!("blobs/{blake3}.zst")
}

/// Where the claims of one file are.
pub(crate) fn claims(fingerprint: &Id) -> String {
    format!("claims/{fingerprint}")
}

pub(crate) fn claim(fingerprint: &Id, number: u32) -> String {
    format!("{}/{number}", claims(fingerprint))
}

/// The name of a validation or of kernels.
///
/// # Errors
/// That `machine` is not of [`engine::kernels_folder`]'s form.
pub(crate) fn of_machine(kind: Kind, machine: &str, engine: &Id) -> Result<String, StoreError> {
    let name = format!("{}/{machine}/{engine}.sealed", folder(kind));
    if is_machine(machine) {
        Ok(name)
    } else {
        let why = "its machine is not named by a GPU, a driver and a version of TensorRT";
        Err(StoreError::refused(&name, Refusal::NotWhatItSays(why.to_owned())))
    }
}

/// Whether [`engine::kernels_folder`] may have made it.
fn is_machine(machine: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    machine.len() <= 200 && machine.split('-').count() == 3 && machine.chars().all(is_usual)
}

/// What an object of this name is of: the engine's key, the fingerprint, or the blob's BLAKE3. `None` if no release of this
/// format gives such a name.
pub(crate) fn parse(kind: Kind, name: &str) -> Option<Id> {
    let rest = name.strip_prefix(folder(kind))?.strip_prefix('/')?;
    let sealed = |file: &str| file.strip_suffix(".sealed")?.parse().ok();
    match kind {
        Kind::Engine | Kind::Content => sealed(rest),
        Kind::Validation | Kind::Kernels => {
            let (machine, file) = rest.split_once('/')?;
            is_machine(machine).then(|| sealed(file)).flatten()
        }
        Kind::Blob => rest.strip_suffix(".zst")?.parse().ok(),
        Kind::Claim => {
            let (fingerprint, number) = rest.split_once('/')?;
            number.parse::<u32>().ok()?;
            fingerprint.parse().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_others_do_not() {
        let id = Id::from([0xab; 32]);
        let machine = engine::kernels_folder("GeForce RTX 4090 (24-GB)", "580.1", "1.7.1.116");
        let of_machine = |kind| of_machine(kind, &machine, &id).unwrap();
        for (kind, name) in [
            (Kind::Engine, super::engine(&id)),
            (Kind::Validation, of_machine(Kind::Validation)),
            (Kind::Kernels, of_machine(Kind::Kernels)),
            (Kind::Content, content(&id)),
            (Kind::Blob, blob(&id)),
            (Kind::Claim, claim(&id, 7)),
        ] {
            assert!(name.starts_with(folder(kind)), "{name}");
            assert_eq!(parse(kind, &name), Some(id), "{name}");
            for other in
                [format!("{name}x"), format!("x{name}"), name.replace('b', "B"), name + "/x"]
            {
                assert_eq!(parse(kind, &other), None, "{other}");
            }
        }
    }

    #[test]
    fn a_machine_is_not_any_text() {
        let id = Id::from([1; 32]);
        assert!(of_machine(Kind::Kernels, &engine::kernels_folder("../x", "", "1"), &id).is_ok());
        for machine in ["", "..", "a-b", "a-b-c-d", "a/b-c-d", "../a-b-c", "a b-c-d", "é-b-c"] {
            assert!(of_machine(Kind::Kernels, machine, &id).is_err(), "{machine}");
        }
        let long = format!("{}-b-c", "a".repeat(200));
        assert!(of_machine(Kind::Kernels, &long, &id).is_err());
    }
}
