//! The GPU's memory and clock.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use cudarc::driver::{
    CudaContext, CudaSlice, CudaStream, DevicePtr, DriverError,
    sys::{self, CUevent_flags},
};
use thiserror::Error;

/// The GPU has too little free memory.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not enough GPU memory: {said}")]
pub(super) struct OutOfMemory {
    /// Bytes that could not be had, where that is known.
    pub(super) needed: Option<u64>,
    /// What CUDA or TensorRT said.
    pub(super) said: String,
}

/// CUDA's first GPU, and a stream on it.
pub(super) struct Cuda {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
}

/// Bytes on the GPU.
pub(super) struct Memory(CudaSlice<u8>);

impl Cuda {
    pub(super) fn new() -> Result<Self> {
        // Without the library, cudarc ends the process.
        ensure!(is_there(), "there is no NVIDIA driver: libcuda can't be loaded");
        let context = CudaContext::new(0).map_err(told).context("CUDA finds no GPU")?;
        let stream = context.new_stream().map_err(told)?;
        Ok(Self { context, stream })
    }

    /// Bytes that are free at present.
    pub(super) fn free(&self) -> u64 {
        self.context.mem_get_info().map_or(0, |(free, _)| free as u64)
    }

    /// Room for so many bytes.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Memory> {
        // TensorRT may take no bytes, and CUDA gives none.
        let zeros = self.stream.alloc_zeros(bytes.max(1));
        zeros.map(Memory).map_err(|error| lacking(error, bytes))
    }

    pub(super) fn upload(&self, bytes: &[u8]) -> Result<Memory> {
        self.stream.clone_htod(bytes).map(Memory).map_err(|error| lacking(error, bytes.len()))
    }

    /// What is there once all work is done.
    pub(super) fn download(&self, memory: &Memory) -> Result<Vec<u8>> {
        self.stream.clone_dtoh(&memory.0).map_err(told)
    }

    /// Where TensorRT finds it.
    pub(super) fn address(&self, memory: &Memory) -> *mut std::ffi::c_void {
        memory.0.device_ptr(&self.stream).0 as *mut _
    }

    /// The stream, for TensorRT.
    pub(super) fn stream(&self) -> *mut std::ffi::c_void {
        self.stream.cu_stream().cast()
    }

    /// Waits until all work is done.
    pub(super) fn finish(&self) -> Result<()> {
        self.stream.synchronize().map_err(told)
    }

    /// Milliseconds that the GPU takes for what `work` puts on the stream.
    pub(super) fn milliseconds(&self, work: impl FnOnce() -> Result<()>) -> Result<f64> {
        let event = || self.context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(told);
        let (start, end) = (event()?, event()?);
        start.record(&self.stream).map_err(told)?;
        work()?;
        end.record(&self.stream).map_err(told)?;
        start.elapsed_ms(&end).map(f64::from).map_err(told)
    }
}

#[expect(unsafe_code, reason = "loads the driver's library to see whether it is there")]
fn is_there() -> bool {
    // SAFETY: loading libcuda runs its initialisers only.
    unsafe { sys::is_culib_present() }
}

fn told(error: DriverError) -> anyhow::Error {
    anyhow!("CUDA says {error}")
}

fn lacking(error: DriverError, bytes: usize) -> anyhow::Error {
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            OutOfMemory { needed: Some(bytes as u64), said: error.to_string() }.into()
        }
        _ => told(error),
    }
}
