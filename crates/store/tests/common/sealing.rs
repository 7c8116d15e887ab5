//! Signs as the store does, by minisign itself: at any time, and under any name.

use minisign::{KeyPair, PublicKey, SecretKey};

pub(crate) struct Signer {
    public: PublicKey,
    secret: SecretKey,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        Self { public: pk, secret: sk }
    }

    pub(crate) fn public(&self) -> store::PublicKey {
        self.public.to_base64().parse().unwrap()
    }

    /// A sealed object of this name below `v1/`, signed at `time` in seconds since 1970.
    pub(crate) fn seal(&self, name: &str, time: u64, payload: &[u8]) -> Vec<u8> {
        let comment = format!("sdtrt store 1 {name} {time}");
        let signed = minisign::sign(
            Some(&self.public),
            &self.secret,
            payload,
            Some(&comment),
            Some("signed by a test"),
        );
        let mut sealed = signed.unwrap().into_string().into_bytes();
        sealed.extend(payload);
        sealed
    }
}
