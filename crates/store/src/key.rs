//! Keys in minisign's formats.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minisign::{KeyPair, SecretKey};

use crate::{StoreError, Trust, trust::seal};

/// More than a secret key's file has.
const KEY_FILE_BYTES: u64 = 4096;

/// A minisign secret key without a password.
#[derive(Clone)]
pub struct SigningKey {
    secret: SecretKey,
    public: PublicKey,
}

impl SigningKey {
    /// Reads the key in the file at `path`.
    ///
    /// # Errors
    /// [`StoreError::Local`] if it can't be read, if others than its owner can read it, if it is no secret key of
    /// minisign's, and if it has a password.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        Self::read_file(path).map_err(|error| StoreError::local(path, error))
    }

    fn read_file(path: &Path) -> io::Result<Self> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let file = engine::open_regular(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others can read this secret key: `chmod 600` makes it its owner's alone",
            ));
        }
        let mut text = String::new();
        file.take(KEY_FILE_BYTES).read_to_string(&mut text)?;
        let other = || invalid("it is no secret key of minisign's, or a damaged one");
        let line = text.lines().nth(1).and_then(|line| STANDARD.decode(line).ok());
        let bytes = line.filter(|bytes| bytes.starts_with(b"Ed")).ok_or_else(other)?;
        if bytes.get(2..4).is_some_and(|kind| kind == b"Sc") {
            return Err(invalid(
                "this secret key has a password, which nobody is there to type: one without is needed",
            ));
        }
        // The crate's own reading wants a checksum, which `minisign -G -W` leaves out.
        let secret = SecretKey::from_bytes(&bytes).map_err(|_| other())?;
        Self::of(secret).ok_or_else(other)
    }

    /// Makes a key, and writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`StoreError::Local`] if it can't be written, or if there is something at `path`.
    pub fn generate(path: &Path) -> Result<Self, StoreError> {
        let other = |error: minisign::PError| StoreError::local(path, io::Error::other(error));
        let KeyPair { sk, .. } = KeyPair::generate_unencrypted_keypair().map_err(other)?;
        let text = sk.to_box(Some("sdtrt store secret key")).map_err(other)?.into_string();
        let local = |error| StoreError::local(path, error);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(path).map_err(local)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(local)?;
        Self::of(sk).ok_or_else(|| local(io::ErrorKind::InvalidData.into()))
    }

    fn of(secret: SecretKey) -> Option<Self> {
        let public = minisign::PublicKey::from_secret_key(&secret).ok()?.to_base64();
        let key = Self { secret, public: public.parse().ok()? };
        let sealed = seal(&key, "", 0, b"").ok()?;
        let is_whole = Trust::new(vec![key.public.clone()]).verify("", &sealed).is_ok();
        is_whole.then_some(key)
    }

    /// The other half, which others trust.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The four lines of a signature over `payload` and `trusted_comment`, then `payload`.
    pub(crate) fn seal(
        &self,
        trusted_comment: &str,
        payload: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let untrusted = "sdtrt store: signature of what follows";
        let signed =
            minisign::sign(None, &self.secret, payload, Some(trusted_comment), Some(untrusted));
        // Only the system's random numbers can fail.
        let signed = signed.map_err(|error| StoreError::Away { reason: error.to_string() })?;
        let mut sealed = signed.to_bytes();
        sealed.extend_from_slice(payload);
        Ok(sealed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // minisign's own prints the secret.
        write!(f, "SigningKey({})", self.public.id())
    }
}

/// A minisign public key: in text, the line that minisign prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    text: String,
    number: [u8; 8],
    key: minisign_verify::PublicKey,
}

/// The text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is a line of 56 characters that begins with RW, as minisign prints it")]
pub struct BadKey;

impl PublicKey {
    /// The key's id as minisign prints it: 16 hex digits.
    pub fn id(&self) -> String {
        shown_id(self.number)
    }

    pub(crate) fn number(&self) -> [u8; 8] {
        self.number
    }

    pub(crate) fn key(&self) -> &minisign_verify::PublicKey {
        &self.key
    }
}

/// A key's id as minisign prints it.
pub(crate) fn shown_id(number: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(number))
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let key = minisign_verify::PublicKey::from_base64(text).map_err(|_| BadKey)?;
        let parsed = minisign::PublicKey::from_base64(text).map_err(|_| BadKey)?;
        // A key's algorithm is 'Ed' whatever its signatures' is.
        if !parsed.to_bytes().starts_with(b"Ed") {
            return Err(BadKey);
        }
        let number = parsed.keynum().try_into().map_err(|_| BadKey)?;
        Ok(Self { text: text.to_owned(), number, key })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_key_is_its_owners_alone_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = SigningKey::generate(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = SigningKey::read(&path).unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(key.public().to_string().parse(), Ok(key.public().clone()));
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().id()));

        let before = fs::read(&path).unwrap();
        let Err(StoreError::Local { error, .. }) = SigningKey::generate(&path) else { panic!() };
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    /// By `minisign -G -W`, version 0.11.
    const BY_THE_TOOL: &str = "untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAaV7CuZJdPeNoelnwHSeizVycMGsjbea/l4j7F6PL/j4ij+Y3jRx24s6+X2Ihyff/rD9WuMlBQxcI+Nz+5IcJzbwxKGHYuvA6AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";

    fn write_key(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_by_minisign_itself_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_key(&path, BY_THE_TOOL, 0o400);
        let key = SigningKey::read(&path).unwrap();
        let printed = "RWRpXsK5kl09486+X2Ihyff/rD9WuMlBQxcI+Nz+5IcJzbwxKGHYuvA6";
        assert_eq!(key.public().to_string(), printed);
        assert_eq!(key.public().id(), "E33D5D92B9C25E69");
    }

    #[test]
    fn other_files_are_no_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let good = {
            SigningKey::generate(&path).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let encrypted = KeyPair::generate_encrypted_keypair(Some("password".into())).unwrap();
        let encrypted = encrypted.sk.to_box(None).unwrap().into_string();
        let mut changed = good.clone().into_bytes();
        let middle = changed.len() - 60;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        let damaged = BY_THE_TOOL.replace("KGHYuvA6", "KGHYuvA7");
        for (text, mode, part) in [
            (good.as_str(), 0o640, "chmod 600"),
            (&good, 0o604, "chmod 600"),
            (&encrypted, 0o600, "has a password"),
            (str::from_utf8(&changed).unwrap(), 0o600, "no secret key"),
            (&good[..good.len() / 2], 0o600, "no secret key"),
            (&damaged, 0o600, "no secret key"),
            ("", 0o600, "no secret key"),
            ("untrusted comment: x\n", 0o600, "no secret key"),
        ] {
            write_key(&path, text, mode);
            let error = SigningKey::read(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_public_key_is_what_minisign_prints() {
        // From minisign's documentation.
        let line = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let key: PublicKey = line.parse().unwrap();
        assert_eq!(key.id(), "E7620F1842B4E81F");
        assert_eq!(key.to_string(), line);
        assert_eq!(format!(" {line}\n").parse(), Ok(key));
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("key");
        SigningKey::generate(&secret).unwrap();
        let secret = fs::read_to_string(secret).unwrap();
        for bad in ["", "x", &line[..55], &format!("{line}A"), &format!("RW{line}"), &secret] {
            assert_eq!(bad.parse::<PublicKey>(), Err(BadKey), "{bad}");
        }
        let other_algorithm = line.replacen("RWQ", "RUQ", 1);
        assert_eq!(other_algorithm.parse::<PublicKey>(), Err(BadKey));
    }
}
