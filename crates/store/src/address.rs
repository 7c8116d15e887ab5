//! Where a store is.

use std::{fmt, path::PathBuf, str::FromStr};

use object_store::path::Path;
use url::Url;

/// Where a store is: `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, or
/// `https://HOST/PATH`, which is only read from.
///
/// [`Display`](fmt::Display) and [`Debug`](fmt::Debug) leave out a user, a password and a query.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    place: Place,
}

/// What an address names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket or container, and the prefix of its objects' names.
    Bucket(Provider, String, Path),
    /// A folder of a web server.
    Web,
}

/// Whose object store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    S3,
    Google,
    Azure,
}

/// The text is no address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(String);

impl Address {
    /// Whether nothing can be written there.
    pub fn is_read_only(&self) -> bool {
        self.place == Place::Web
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// With user, password and query.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = |why: &str| Err(BadAddress(why.to_owned()));
        if text.starts_with('/') {
            return bad("a folder's address begins with file://, as in file:///mnt/nas/sdtrt");
        }
        let Ok(url) = Url::parse(text) else {
            return bad(
                "an address is file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or \
                 https://HOST/PATH",
            );
        };
        let place = match url.scheme() {
            "file" => folder(&url),
            "s3" => bucket(&url, Provider::S3),
            "gs" => bucket(&url, Provider::Google),
            "az" => bucket(&url, Provider::Azure),
            "http" | "https" if url.fragment().is_none() => Ok(Place::Web),
            "http" | "https" => return bad("'#' in an address is written %23"),
            _ => return bad("an address begins with file://, s3://, gs://, az:// or https://"),
        };
        Ok(Self { place: place?, url })
    }
}

fn folder(url: &Url) -> Result<Place, BadAddress> {
    let bad = |why: &str| Err(BadAddress(why.to_owned()));
    if url.host().is_some() {
        return bad("a folder's address has three slashes, as in file:///mnt/nas/sdtrt");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return bad("'?' and '#' in a folder's address are written %3F and %23");
    }
    match url.to_file_path() {
        Ok(path) if path.parent().is_some() => Ok(Place::Folder(path)),
        Ok(_) | Err(()) => bad("a folder's address names a folder below /"),
    }
}

fn bucket(url: &Url, provider: Provider) -> Result<Place, BadAddress> {
    let bad = |why: &str| Err(BadAddress(why.to_owned()));
    let Some(name) = url.host_str().filter(|name| !name.is_empty()) else {
        return bad("the address names no bucket");
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Whoever writes them there is told where they belong, and they are not repeated.
        return bad(
            "credentials do not belong into the address of a bucket, but into the environment or the provider's files",
        );
    }
    if url.port().is_some() || url.query().is_some() || url.fragment().is_some() {
        return bad(
            "the address of a bucket has a name and a prefix alone; an endpoint is set in the environment",
        );
    }
    match Path::from_url_path(url.path()) {
        Ok(prefix) => Ok(Place::Bucket(provider, name.to_owned(), prefix)),
        Err(_) => bad("the prefix has a part that no object's name can have"),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Without user, password and query.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Text by others with the user, the password and the query left out of each address in it, in one line and not long.
pub(crate) fn plain(text: &str) -> String {
    const LONGEST: usize = 400;
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = String::new();
    let mut rest = one_line.as_str();
    while let Some((before, after)) = rest.split_once("://") {
        let ends = |c: char| c.is_whitespace() || "\"'`<>(){}|,;".contains(c);
        let (address, further) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = path.split_at(path.find('/').unwrap_or(path.len()));
        let host = host.rsplit('@').next().unwrap_or_default();
        plain.extend([before, "://", host, path]);
        rest = further;
    }
    plain.push_str(rest);
    if plain.chars().count() > LONGEST {
        plain = plain.chars().take(LONGEST).chain(['…']).collect();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_without_secrets() {
        for (text, shown, read_only) in [
            ("file:///mnt/nas/sdtrt", "file:///mnt/nas/sdtrt", false),
            ("file:///mnt/my%20nas/ü", "file:///mnt/my%20nas/%C3%BC", false),
            ("s3://bucket", "s3://bucket", false),
            ("s3://my.bucket_1/a/b/", "s3://my.bucket_1/a/b/", false),
            ("gs://bucket/prefix", "gs://bucket/prefix", false),
            ("az://container/prefix", "az://container/prefix", false),
            ("https://host:8443/x", "https://host:8443/x", true),
            ("https://user:secret@host/x?sig=secret", "https://host/x", true),
            ("http://127.0.0.1:80/", "http://127.0.0.1/", true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
            assert_eq!(address.is_read_only(), read_only, "{text}");
        }
    }

    #[test]
    fn a_folder_and_a_prefix_are_decoded() {
        let place = |text: &str| text.parse::<Address>().unwrap().place;
        assert!(place("file:///mnt/my%20nas") == Place::Folder("/mnt/my nas".into()));
        assert!(place("file:///mnt/my nas") == Place::Folder("/mnt/my nas".into()));
        let prefix = Path::from("a b/c");
        assert!(
            place("s3://bucket/a%20b/c/") == Place::Bucket(Provider::S3, "bucket".into(), prefix)
        );
    }

    #[test]
    fn other_addresses_are_refused_in_words_without_secrets() {
        for (text, part) in [
            ("", "an address is"),
            ("/mnt/nas", "file:///mnt/nas"),
            ("mnt/nas", "an address is"),
            ("file://nas/share", "three slashes"),
            ("file:///", "below /"),
            ("file:///mnt/a?b", "%3F"),
            ("ftp://host/x", "begins with"),
            ("s3:///x", "no bucket"),
            ("s3://key:hunter2@bucket/x", "credentials"),
            ("s3://bucket/x?token=hunter2", "a name and a prefix"),
            ("s3://bucket:90/x", "a name and a prefix"),
            ("gs://bucket/a//b", "no object's name"),
            ("https://host/#x", "%23"),
        ] {
            match text.parse::<Address>() {
                Ok(address) => panic!("{text} is {address}"),
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains(part), "{text}: {said}");
                    assert!(!said.contains("hunter2"), "{said}");
                }
            }
        }
    }

    #[test]
    fn text_by_others_has_no_secrets() {
        for (text, expected) in [
            ("plain", "plain"),
            ("two\n lines", "two lines"),
            (
                "GET https://user:pw@host:1/a/b?sig=pw#x: failed",
                // The colon is taken for a part of the address.
                "GET https://host:1/a/b failed",
            ),
            ("(http://h/?t=1) \"s3://b/c?d\" http://h?x", "(http://h/) \"s3://b/c\" http://h"),
            ("http://p@w@h/", "http://h/"),
        ] {
            assert_eq!(plain(text), expected);
        }
        assert_eq!(plain(&"x".repeat(1000)).chars().count(), 401);
    }
}
