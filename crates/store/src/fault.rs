//! What went wrong at an object store, in words.

use std::{error::Error, io, iter};

use rustix::io::Errno;
use url::Url;

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

/// What making a client met with.
pub(crate) fn no_client(error: &object_store::Error) -> StoreError {
    StoreError::away(format!("its configuration is not enough: {}", words(error)))
}

/// What asking for this object met with.
pub(crate) fn away(name: &str, error: &object_store::Error) -> StoreError {
    StoreError::away(format!("{name}: {}", words(error)))
}

/// An error and what caused it, each said once, and then what can be done.
fn words(error: &object_store::Error) -> String {
    let mut words = error.to_string();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    let hint = HINTS.iter().find(|(part, _)| words.contains(part));
    let words = shortened(&without_markup(&words));
    match hint {
        Some((_, hint)) => format!("{words} ({hint})"),
        None => words,
    }
}

/// What helps against an error with these words in it.
const HINTS: [(&str, &str); 5] = [
    ("URL scheme is not allowed", "an endpoint at http:// needs AWS_ALLOW_HTTP=true"),
    (
        "169.254.169.254",
        "there are no credentials in the environment nor in the provider's files, so this machine's provider was asked",
    ),
    ("Account must be specified", "AZURE_STORAGE_ACCOUNT_NAME names it"),
    (
        "UnknownIssuer",
        "an authority of one's own is added to the system's, or its certificate is named by SSL_CERT_FILE",
    ),
    ("Error performing PROPFIND", "a web server can be listed only if it knows WebDAV"),
];

/// What object_store and its HTTP client say besides what happened.
const NOISE: [&str; 5] = [
    "Server returned non-2xx status code: ",
    "HTTP error: ",
    "error sending request: ",
    "client error (Connect): ",
    "builder error: ",
];

/// Without what says nothing to who reads it, and differs each time. Words of other releases stay as they are.
fn shortened(words: &str) -> String {
    let mut short =
        match words.strip_prefix("Generic ").and_then(|rest| rest.split_once(" error: ")) {
            Some((_, rest)) => rest.to_owned(),
            None => words.to_owned(),
        };
    // Error performing METHOD URL in TIME, after … retries, … - …
    if let Some((before, request)) = short.rsplit_once("Error performing ")
        && let Some((request, rest)) = request.split_once(" - ")
        && let Some((method, url)) = request.split_once(' ')
        && let Some(url) = url.split(' ').next().and_then(|url| Url::parse(url).ok())
    {
        // The object's name is told anyway.
        short = format!("{before}{method} {}: {rest}", url.origin().ascii_serialization());
    }
    NOISE.iter().fold(short, |short, noise| short.replace(noise, ""))
}

/// With an answer in XML as its code and message alone, which providers have in common, and without one in HTML.
fn without_markup(words: &str) -> String {
    if let Some((before, _)) =
        words.split_once(": <!DOCTYPE").or_else(|| words.split_once(": <html"))
    {
        return before.to_owned();
    }
    let start = words.find("<?xml").or_else(|| words.find("<Error>"));
    let Some((before, xml)) = start.map(|start| words.split_at(start)) else {
        return words.to_owned();
    };
    let within = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    };
    match (within("Code"), within("Message")) {
        (Some(code), Some(message)) => {
            // Azure's goes on with what differs each time.
            let message = message.split("\nRequestId:").next().unwrap_or_default();
            format!("{before}{code}: {message}")
        }
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
    fn what_happened_is_told_first_and_once_without_secrets_and_markup() {
        let performing = |request: &str, rest: &str| {
            generic(format!(
                "Error performing {request} in 305.061262ms, after 2 retries, max_retries: 2, retry_timeout: 5s  - {rest}"
            ))
        };
        for (error, expected) in [
            (generic("it broke"), "it broke"),
            (
                Fault::NotFound { path: "x".into(), source: "it is gone".into() },
                "Object at location x not found: it is gone",
            ),
            (
                generic("asking https://me:pw@host/x?X-Amz-Signature=pw failed"),
                "asking https://host/x failed",
            ),
            (
                performing(
                    "GET http://127.0.0.1:9/x/v1/contents/y.sealed?sig=pw",
                    "HTTP error: error sending request: client error (Connect): tcp connect error: Connection refused",
                ),
                "GET http://127.0.0.1:9: tcp connect error: Connection refused",
            ),
            (
                performing(
                    "PUT https://bucket.s3.amazonaws.com/x",
                    "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>\
                     AccessDenied</Code><Message>Access Denied</Message><RequestId>7</RequestId></Error>",
                ),
                "PUT https://bucket.s3.amazonaws.com: 403 Forbidden: AccessDenied: Access Denied",
            ),
            (
                performing(
                    "PROPFIND http://host/x/v1/blobs",
                    "Server returned non-2xx status code: 501 Not Implemented: <!DOCTYPE HTML> <html lang=\"en\">",
                ),
                "PROPFIND http://host: 501 Not Implemented (a web server can be listed only if it knows WebDAV)",
            ),
            (
                performing(
                    "GET http://h/x",
                    "HTTP error: builder error: URL scheme is not allowed",
                ),
                "GET http://h: URL scheme is not allowed (an endpoint at http:// needs AWS_ALLOW_HTTP=true)",
            ),
            (
                performing("token request: Error performing GET http://169.254.169.254/t", "no"),
                "Error performing token request: GET http://169.254.169.254: no (there are no credentials in the \
                 environment nor in the provider's files, so this machine's provider was asked)",
            ),
            (
                performing(
                    "GET https://a.blob.core.windows.net/x",
                    "Server returned non-2xx status code: 404 Not Found: \u{feff}<?xml version=\"1.0\"?><Error><Code>\
                     ContainerNotFound</Code><Message>It does not exist.\nRequestId:7\nTime:2026</Message></Error>",
                ),
                "GET https://a.blob.core.windows.net: 404 Not Found: \u{feff}ContainerNotFound: It does not exist.",
            ),
            (
                performing(
                    "PROPFIND https://host/x",
                    "HTTP error: error sending request: client error (Connect): invalid peer certificate: UnknownIssuer",
                ),
                "PROPFIND https://host: invalid peer certificate: UnknownIssuer (an authority of one's own is added to \
                 the system's, or its certificate is named by SSL_CERT_FILE)",
            ),
            (generic("500: <?xml?><odd/>"), "500: <?xml?><odd/>"),
            (generic("Error performing what nobody knows"), "Error performing what nobody knows"),
        ] {
            let StoreError::Away { reason } = away("name", &error) else { panic!() };
            assert_eq!(reason, format!("name: {expected}"));
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
