//! Whose objects are used, and how an object is sealed.

use crate::{PublicKey, Refusal, SigningKey, StoreError, key::shown_id};

/// The format of the objects below `v1/`.
const FORMAT: u32 = 1;

/// What a minisign signature file begins with.
const START: &[u8] = b"untrusted comment: ";

/// How many lines a minisign signature file has.
const LINES: usize = 4;

/// The keys whose objects are used.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
}

/// A sealed object that a trusted key has signed under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What was sealed.
    pub payload: Vec<u8>,
    /// When, in seconds since 1970, by the signer's clock.
    pub time: u64,
    /// The id of the key that signed it, as minisign prints it.
    pub signer: String,
}

impl Trust {
    /// Only these count. Without any, every object is refused.
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self { keys }
    }

    /// Opens the sealed object of this name below `v1/`. What was seen before is not known here: it never says
    /// [`Refusal::Replayed`].
    ///
    /// # Errors
    /// Why it is not used.
    pub fn verify(&self, name: &str, sealed: &[u8]) -> Result<Opened, Refusal> {
        let (head, payload) = split(sealed)?;
        let head = str::from_utf8(head).map_err(|_| Refusal::Damaged)?;
        // Both crates take lines that end as on Windows, whose last character then is signed or not.
        if head.contains('\r') {
            return Err(Refusal::Damaged);
        }
        let signer = signer(head)?;
        let of_signer = self.keys.iter().filter(|key| key.number() == signer);
        // minisign's own verification panics at a global signature that is too short.
        let signature = minisign_verify::Signature::decode(head).map_err(|_| Refusal::Damaged)?;
        let mut keys = of_signer.peekable();
        if keys.peek().is_none() {
            return Err(Refusal::Foreign { key: shown_id(signer) });
        }
        if !keys.any(|key| key.key().verify(payload, &signature, false).is_ok()) {
            return Err(Refusal::Damaged);
        }
        let time = signed_as(name, signature.trusted_comment())?;
        Ok(Opened { payload: payload.to_owned(), time, signer: shown_id(signer) })
    }
}

/// Seals `payload` as the object of this name below `v1/`, at `time` in seconds since 1970.
pub(crate) fn seal(
    key: &SigningKey,
    name: &str,
    time: u64,
    payload: &[u8],
) -> Result<Vec<u8>, StoreError> {
    key.seal(&format!("sdtrt store {FORMAT} {name} {time}"), payload)
}

/// The signature's lines, and what they stand above.
fn split(sealed: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if !sealed.starts_with(START) {
        let is_start = START.starts_with(sealed);
        return Err(if is_start { Refusal::Truncated } else { Refusal::Unsigned });
    }
    let ends = sealed.iter().enumerate().filter(|&(_, byte)| *byte == b'\n');
    match ends.map(|(at, _)| at + 1).nth(LINES - 1) {
        Some(end) => Ok(sealed.split_at(end)),
        None => Err(Refusal::Truncated),
    }
}

/// The number of the key that the signature says it is by.
fn signer(head: &str) -> Result<[u8; 8], Refusal> {
    let parsed = minisign::SignatureBox::from_string(head).map_err(|_| Refusal::Damaged)?;
    if !parsed.is_prehashed() {
        return Err(Refusal::Legacy);
    }
    parsed.keynum().try_into().map_err(|_| Refusal::Damaged)
}

/// The time of a trusted comment of the object of this name.
fn signed_as(name: &str, comment: &str) -> Result<u64, Refusal> {
    let other =
        || Refusal::NotWhatItSays("its signature is not of an object of a store".to_owned());
    let mut words = comment.split(' ');
    if [words.next(), words.next()] != [Some("sdtrt"), Some("store")] {
        return Err(other());
    }
    let format = words.next().and_then(|format| format.parse().ok()).ok_or_else(other)?;
    if format != FORMAT {
        return Err(Refusal::Format(format));
    }
    let says = words.next().ok_or_else(other)?;
    if says != name {
        return Err(Refusal::Swapped { says: says.to_owned() });
    }
    let time = words.next().and_then(|time| time.parse().ok()).ok_or_else(other)?;
    words.next().is_none().then_some(time).ok_or_else(other)
}

#[cfg(test)]
mod tests;
