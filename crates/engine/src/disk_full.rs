use std::io;

/// Whether an error means that the disk is full.
pub fn is_disk_full(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    causes.map(io::Error::kind).any(|kind| kinds.contains(&kind))
}
