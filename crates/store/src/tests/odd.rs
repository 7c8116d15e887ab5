//! An object store that does what it is told to besides what it should.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, path::Path,
};

type BeforePut = Box<dyn Fn(&Path, &PutMode) -> Option<Error> + Send + Sync>;
type AfterPut = Box<dyn Fn(&Path) -> Option<Error> + Send + Sync>;
type Sent = Box<dyn Fn(&Path, Chunks) -> Chunks + Send + Sync>;
type Chunks = BoxStream<'static, Result<Bytes>>;

pub(super) struct Odd {
    pub(super) inner: Arc<dyn ObjectStore>,
    /// What becomes of a write instead.
    pub(super) before_put: BeforePut,
    /// What is answered to a write that was done.
    pub(super) after_put: AfterPut,
    /// What is sent of an object.
    pub(super) sent: Sent,
    /// Whether an object is listed.
    pub(super) listed: Arc<dyn Fn(&ObjectMeta) -> bool + Send + Sync>,
}

impl Odd {
    /// One that does nothing odd yet.
    pub(super) fn over(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            before_put: Box::new(|_, _| None),
            after_put: Box::new(|_| None),
            sent: Box::new(|_, chunks| chunks),
            listed: Arc::new(|_| true),
        }
    }
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Odd")
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Odd")
    }
}

#[async_trait]
impl ObjectStore for Odd {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if let Some(error) = (self.before_put)(path, &options.mode) {
            return Err(error);
        }
        let put = self.inner.put_opts(path, payload, options).await?;
        (self.after_put)(path).map_or(Ok(put), Err)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let got = self.inner.get_opts(path, options).await?;
        if is_head {
            return Ok(got);
        }
        let (meta, range, attributes, extensions) =
            (got.meta.clone(), got.range.clone(), got.attributes.clone(), got.extensions.clone());
        let payload = GetResultPayload::Stream((self.sent)(path, got.into_stream()));
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.listed.clone();
        self.inner.list(prefix).try_filter(move |meta| std::future::ready(listed(meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
