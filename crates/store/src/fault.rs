//! What went wrong at an object store, in words.

use std::{error::Error, io, iter};

use rustix::io::Errno;

use crate::StoreError;

/// What providers answer for what is not an object that is missing.
const NO_BUCKET: [&str; 3] =
    ["NoSuchBucket", "The specified bucket does not exist", "ContainerNotFound"];

/// Whether the object is not there. A bucket that is not there is another matter.
pub(crate) fn is_absent(error: &object_store::Error) -> bool {
    let object_store::Error::NotFound { source, .. } = error else { return false };
    let said = source.to_string();
    !NO_BUCKET.iter().any(|part| said.contains(part))
}

/// What asking for this object met with.
pub(crate) fn away(name: &str, error: &object_store::Error) -> StoreError {
    StoreError::away(format!("{name}: {}", words(error)))
}

/// An error and what caused it, each said once.
fn words(error: &object_store::Error) -> String {
    let mut words = error.to_string();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// Whether it can't be done there without overwriting.
pub(crate) fn has_no_condition(error: &object_store::Error) -> bool {
    use object_store::Error::{NotImplemented, NotSupported};
    let is_unknown = matches!(error, NotImplemented { .. } | NotSupported { .. });
    // Some servers' answer to a condition.
    is_unknown || has_no_links(error) || words(error).contains("501 Not Implemented")
}

/// Whether a folder's file system knows no hard links.
pub(crate) fn has_no_links(error: &object_store::Error) -> bool {
    const NONE: [Errno; 5] =
        [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    causes(error).any(|cause| {
        let code = cause.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
        code.is_some_and(|code| NONE.contains(&code))
    })
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}
