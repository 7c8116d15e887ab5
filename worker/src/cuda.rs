//! CUDA: GPU memory, a stream and timing.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use cudarc::driver::{
    CudaContext, CudaSlice, CudaStream, DevicePtr, DriverError,
    sys::{self, CUdevice_attribute_enum as Attribute, CUevent_flags},
};
use thiserror::Error;

use super::card::Card;

/// The GPU has too little free memory.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not enough GPU memory: {said}")]
pub(super) struct OutOfMemory {
    /// Bytes needed, if known.
    pub(super) needed: Option<u64>,
    /// CUDA's or TensorRT's message.
    pub(super) said: String,
}

/// CUDA's first GPU, with one stream.
pub(super) struct Cuda {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
}

/// A buffer in GPU memory.
pub(super) struct Memory(CudaSlice<u8>);

impl Cuda {
    pub(super) fn new() -> Result<Self> {
        // cudarc ends the process if the library is missing.
        ensure!(is_installed(), "no NVIDIA driver: cannot load libcuda");
        let context = CudaContext::new(0).map_err(cuda_error).context("CUDA finds no GPU")?;
        let stream = context.new_stream().map_err(cuda_error)?;
        Ok(Self { context, stream })
    }

    /// Returns where the GPU is.
    pub(super) fn card(&self) -> Result<Card> {
        let pci = self.context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
        let pci = usize::try_from(pci.map_err(cuda_error)?).context("a slot is below 0")?;
        Ok(Card { pci, cuda: self.context.ordinal() })
    }

    /// Returns the bytes that are free now, or 0 if CUDA does not say.
    pub(super) fn free(&self) -> u64 {
        self.context.mem_get_info().map_or(0, |(free, _)| free as u64)
    }

    /// Allocates a zeroed buffer of this many bytes.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Memory> {
        // TensorRT may ask for 0 bytes, which CUDA refuses to allocate.
        let zeros = self.stream.alloc_zeros(bytes.max(1));
        zeros.map(Memory).map_err(|error| out_of_memory(error, bytes))
    }

    pub(super) fn upload(&self, bytes: &[u8]) -> Result<Memory> {
        self.stream.clone_htod(bytes).map(Memory).map_err(|error| out_of_memory(error, bytes.len()))
    }

    /// Waits for the stream, then copies the buffer to host memory.
    pub(super) fn download(&self, memory: &Memory) -> Result<Vec<u8>> {
        self.stream.clone_dtoh(&memory.0).map_err(cuda_error)
    }

    /// The buffer's device address, for TensorRT.
    pub(super) fn address(&self, memory: &Memory) -> *mut std::ffi::c_void {
        memory.0.device_ptr(&self.stream).0 as *mut _
    }

    /// The CUDA stream, for TensorRT.
    pub(super) fn stream(&self) -> *mut std::ffi::c_void {
        self.stream.cu_stream().cast()
    }

    /// Waits until all work on the stream is done.
    pub(super) fn finish(&self) -> Result<()> {
        self.stream.synchronize().map_err(cuda_error)
    }

    /// Returns the milliseconds that the GPU takes for the work that `work` enqueues on the stream.
    pub(super) fn milliseconds(&self, work: impl FnOnce() -> Result<()>) -> Result<f64> {
        let event =
            || self.context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(cuda_error);
        let (start, end) = (event()?, event()?);
        start.record(&self.stream).map_err(cuda_error)?;
        work()?;
        end.record(&self.stream).map_err(cuda_error)?;
        start.elapsed_ms(&end).map(f64::from).map_err(cuda_error)
    }
}

#[expect(unsafe_code, reason = "loads the driver's library to see whether it exists")]
fn is_installed() -> bool {
    // SAFETY: loading libcuda only runs its initialisers.
    unsafe { sys::is_culib_present() }
}

fn cuda_error(error: DriverError) -> anyhow::Error {
    anyhow!("CUDA says {error}")
}

fn out_of_memory(error: DriverError, bytes: usize) -> anyhow::Error {
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            OutOfMemory { needed: Some(bytes as u64), said: error.to_string() }.into()
        }
        _ => cuda_error(error),
    }
}
