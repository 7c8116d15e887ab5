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
    without_xml(&words)
}

/// With an answer in XML as its code and message alone, which providers have in common.
fn without_xml(words: &str) -> String {
    let start = words.find("<?xml").or_else(|| words.find("<Error>"));
    let Some((before, xml)) = start.map(|start| words.split_at(start)) else {
        return words.to_owned();
    };
    let within = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    };
    match (within("Code"), within("Message")) {
        (Some(code), Some(message)) => format!("{before}{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => format!("{before}{text}"),
        (None, None) => words.to_owned(),
    }
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
    const NONE: [Errno; 6] = [
        Errno::PERM,
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::MLINK,
        // A file system over several others.
        Errno::XDEV,
    ];
    causes(error).any(|cause| {
        let code = cause.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
        code.is_some_and(|code| NONE.contains(&code))
    })
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use object_store::Error as Fault;

    use super::*;

    fn missing(said: &str) -> Fault {
        Fault::NotFound { path: "x".into(), source: said.into() }
    }

    fn generic(source: impl Into<Box<dyn Error + Send + Sync>>) -> Fault {
        Fault::Generic { store: "S3", source: source.into() }
    }

    #[test]
    fn a_missing_object_is_told_from_a_missing_bucket() {
        for (said, expected) in [
            ("404 Not Found: ", true),
            ("404 Not Found: <Code>NoSuchKey</Code>", true),
            ("404 Not Found: <Code>NoSuchBucket</Code>", false),
            ("404 Not Found: The specified bucket does not exist.", false),
            ("404 Not Found: <Code>ContainerNotFound</Code>", false),
        ] {
            assert_eq!(is_absent(&missing(said)), expected, "{said}");
        }
        assert!(!is_absent(&generic("404")));
    }

    #[test]
    fn causes_are_told_once_and_without_secrets_and_xml() {
        for (error, expected) in [
            (generic("it broke"), "name: Generic S3 error: it broke"),
            (
                generic("GET https://me:pw@host/x?X-Amz-Signature=pw failed"),
                "name: Generic S3 error: GET https://host/x failed",
            ),
            (
                generic(
                    "403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Access \
                     Denied</Message><RequestId>7</RequestId></Error>",
                ),
                "name: Generic S3 error: 403 Forbidden: AccessDenied: Access Denied",
            ),
            (generic("500: <?xml?><odd/>"), "name: Generic S3 error: 500: <?xml?><odd/>"),
        ] {
            let StoreError::Away { reason } = away("name", &error) else { panic!() };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn what_knows_no_links_or_conditions_is_told_from_what_fails() {
        let io = |code: Errno| generic(io::Error::from(code));
        let unknown = Fault::NotImplemented { operation: "put".into(), implementer: "x".into() };
        for (error, no_links, no_condition) in [
            (io(Errno::PERM), true, true),
            (io(Errno::OPNOTSUPP), true, true),
            (io(Errno::XDEV), true, true),
            (io(Errno::ACCESS), false, false),
            (io(Errno::NOSPC), false, false),
            (io(Errno::STALE), false, false),
            (unknown, false, true),
            (generic("501 Not Implemented: If-None-Match"), false, true),
            (generic("500 Internal Server Error"), false, false),
        ] {
            assert_eq!(has_no_links(&error), no_links, "{error}");
            assert_eq!(has_no_condition(&error), no_condition, "{error}");
        }
    }
}
