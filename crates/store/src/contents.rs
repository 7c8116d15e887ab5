//! What files were found to be.

use checkpoint::Id;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Put, Store, StoreError};

impl Store {
    /// What the file of this evidence was found to be; `None` if nobody has read it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is not used, also if it is no `T`, and [`StoreError::Away`].
    #[expect(clippy::unused_async)]
    pub async fn content<T: DeserializeOwned>(
        &self,
        evidence: &Id,
    ) -> Result<Option<T>, StoreError> {
        let _ = evidence;
        todo!()
    }

    /// Puts what the file of this evidence was found to be, in place of what is refused or differs.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`] and [`StoreError::Away`].
    #[expect(clippy::unused_async)]
    pub async fn put_content<T: Serialize>(
        &self,
        evidence: &Id,
        content: &T,
    ) -> Result<Put, StoreError> {
        let _ = (evidence, content);
        todo!()
    }
}
