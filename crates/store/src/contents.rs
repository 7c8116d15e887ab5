//! What files were found to be.

use checkpoint::Id;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Opened, Put, Store, StoreError, names, sealed::value};

impl Store {
    /// What the file of this fingerprint was found to be; `None` if nobody has read it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is not used, also if it is no `T`, and [`StoreError::Away`].
    pub async fn content<T: DeserializeOwned>(
        &self,
        fingerprint: &Id,
    ) -> Result<Option<T>, StoreError> {
        let name = names::content(fingerprint);
        let Some(opened) = self.open_sealed(&name).await? else { return Ok(None) };
        value(&name, &opened).map(Some)
    }

    /// Puts what the file of this fingerprint was found to be, in place of what is refused or differs.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`], [`StoreError::Away`], and [`StoreError::Refused`] if a later
    /// release has put it.
    pub async fn put_content<T: Serialize>(
        &self,
        fingerprint: &Id,
        content: &T,
    ) -> Result<Put, StoreError> {
        let same = serde_json::to_value(content).ok();
        let is_kept = |opened: &Opened| serde_json::from_slice(&opened.payload).ok() == same;
        self.put_sealed(&names::content(fingerprint), content, is_kept).await
    }
}
