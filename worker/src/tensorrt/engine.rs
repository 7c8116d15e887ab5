use std::{fs, path::Path, rc::Rc, sync::Arc};

use anyhow::{Context, Result, ensure};
use half::f16;
use trtx::{
    CudaEngine, CudaGraphStrategy, DataType,
    DynamicShapesKernelSpecializationStrategy as Specialization, ExecutionContext,
    ExecutionContextAllocationStrategy as Allocation, Runtime, RuntimeCache, trtx_sys::Dims,
};
use unet::Binding;

use super::super::{
    card::Card,
    cuda::{Cuda, Memory},
    inputs::{Array, Inputs},
    weights::Weights,
};

const OUTPUT: &str = "latent";

/// A deserialized engine.
pub(in super::super) struct Loaded<'runtime>(CudaEngine<'runtime>);

impl<'runtime> Loaded<'runtime> {
    pub(in super::super) fn new(runtime: &mut Runtime<'runtime>, plan: &[u8]) -> Result<Self> {
        let engine = runtime.deserialize_cuda_engine(plan);
        engine.map(Self).context("TensorRT can't load the engine on this GPU")
    }

    /// Creates the execution context. `kernels` is the file of the kernels that were compiled for such a GPU, and
    /// `card` is this one.
    pub(in super::super) fn start(
        mut self,
        kernels: &Path,
        card: Card,
    ) -> Result<Engine<'runtime>> {
        let mut config = self.0.create_runtime_config()?;
        // The same as in the web UI's extension, so that the cache holds the kernels that it needs: each
        // shape gets its kernel in its first call, and memory is allocated for the shapes of a call only.
        config.set_dynamic_shapes_kernel_specialization_strategy(Specialization::kEAGER);
        config.set_execution_context_allocation_strategy(Allocation::kUSER_MANAGED);
        config.set_cuda_graph_strategy(CudaGraphStrategy::kWHOLE_GRAPH_CAPTURE)?;
        let cache = Arc::new(config.create_runtime_cache()?);
        if let Ok(compiled) = fs::read(kernels) {
            // TensorRT rejects a cache of another GPU, driver or version, and compiles the kernels again.
            let _ = cache.deserialize(&card.moved(&compiled));
        }
        config.set_runtime_cache(cache.clone())?;
        let context = self.0.create_execution_context_with_config(Rc::new(config));
        let context = context.context("TensorRT cannot create an execution context")?;
        Ok(Engine { context, profile: None, weights: Vec::new(), cache, card, engine: self.0 })
    }
}

/// An engine with its execution context. Fields are dropped in this order, dependents first.
pub(in super::super) struct Engine<'runtime> {
    context: ExecutionContext<'runtime>,
    profile: Option<usize>,
    /// The buffers that the weight inputs point to.
    weights: Vec<Memory>,
    cache: Arc<RuntimeCache>,
    card: Card,
    engine: CudaEngine<'runtime>,
}

/// One call's buffers on the GPU.
pub(in super::super) struct Call {
    inputs: Vec<(String, Memory)>,
    activations: Memory,
    output: Memory,
    shape: Vec<u64>,
}

impl Engine<'_> {
    /// Returns the kernels compiled here, merged with those in `others`.
    pub(in super::super) fn kernels(&self, others: &[u8]) -> Result<Vec<u8>> {
        // TensorRT rejects those of another GPU, driver or version.
        let _ = self.cache.deserialize(&self.card.moved(others));
        Ok(self.cache.serialize()?.to_vec())
    }

    /// Copies the weights to the GPU and binds the inputs to them.
    #[expect(unsafe_code, reason = "passes device addresses to TensorRT")]
    pub(in super::super) fn bind(
        &mut self,
        cuda: &Cuda,
        weights: &Weights<'_>,
        binding: &Binding,
    ) -> Result<()> {
        for bound in &binding.inputs {
            let memory = cuda.upload(&weights.input(bound)?)?;
            // SAFETY: the buffer has the size that the binding says, and lives as long as the context.
            unsafe { self.context.set_tensor_address(&bound.name, cuda.address(&memory)) }
                .with_context(|| format!("the engine has no weight input {}", bound.name))?;
            self.weights.push(memory);
        }
        cuda.finish()
    }

    /// Copies a call's inputs to the GPU and allocates its output and scratch memory.
    pub(in super::super) fn prepare(
        &mut self,
        cuda: &Cuda,
        profile: usize,
        inputs: &Inputs,
    ) -> Result<Call> {
        self.choose(cuda, profile)?;
        let mut placed = Vec::new();
        for (name, array) in inputs {
            let shape: Vec<i64> =
                array.shape.iter().map(|size| i64::try_from(*size)).collect::<Result<_, _>>()?;
            self.context.set_input_shape(name, &Dims::from_slice(&shape)).with_context(|| {
                format!("the engine does not accept the shape {shape:?} for {name}")
            })?;
            placed.push((name.clone(), cuda.upload(&self.bytes(name, &array.values)?)?));
        }
        let dims = self.context.tensor_shape(OUTPUT)?;
        let shape = dims.d.iter().take(usize::try_from(dims.nbDims)?);
        let shape: Vec<u64> = shape.map(|size| u64::try_from(*size)).collect::<Result<_, _>>()?;
        let size = if self.is_half(OUTPUT)? { 2 } else { 4 };
        let output = cuda.reserve(size * shape.iter().product::<u64>() as usize)?;
        let activations = cuda.reserve(self.context.update_device_memory_size_for_shapes())?;
        // The copies must be complete, whichever other streams TensorRT uses.
        cuda.finish()?;
        Ok(Call { inputs: placed, activations, output, shape })
    }

    #[expect(unsafe_code, reason = "passes a CUDA stream to TensorRT")]
    fn choose(&mut self, cuda: &Cuda, profile: usize) -> Result<()> {
        if self.profile != Some(profile) {
            let number = i32::try_from(profile)?;
            // SAFETY: the stream lives as long as `cuda`, which waits for its work.
            let chosen =
                unsafe { self.context.set_optimization_profile_async(number, cuda.stream()) };
            ensure!(chosen, "the engine has no optimization profile {profile}");
            cuda.finish()?;
            self.profile = Some(profile);
        }
        Ok(())
    }

    /// Enqueues one call on the stream.
    #[expect(unsafe_code, reason = "passes device addresses to TensorRT")]
    pub(in super::super) fn enqueue(&mut self, cuda: &Cuda, call: &Call) -> Result<()> {
        let bytes = self.context.update_device_memory_size_for_shapes();
        // SAFETY: the buffers have the sizes that TensorRT asked for, and the caller keeps them until the
        // stream's work is done.
        unsafe {
            for (name, memory) in &call.inputs {
                self.context.set_tensor_address(name, cuda.address(memory))?;
            }
            self.context.set_tensor_address(OUTPUT, cuda.address(&call.output))?;
            self.context
                .set_device_memory_v2(cuda.address(&call.activations), i64::try_from(bytes)?);
            self.context.enqueue_v3(cuda.stream()).context("TensorRT could not run the engine")
        }
    }

    /// Waits for an enqueued call and returns its output.
    pub(in super::super) fn output(&self, cuda: &Cuda, call: &Call) -> Result<Array> {
        cuda.finish()?;
        let bytes = cuda.download(&call.output)?;
        let values = match self.is_half(OUTPUT)? {
            true => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            false => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        Ok(Array { shape: call.shape.clone(), values })
    }

    /// Converts values to the type of this input.
    fn bytes(&self, name: &str, values: &[f32]) -> Result<Vec<u8>> {
        Ok(match self.is_half(name)? {
            true => values.iter().flat_map(|n| f16::from_f32(*n).to_le_bytes()).collect(),
            false => values.iter().flat_map(|n| n.to_le_bytes()).collect(),
        })
    }

    fn is_half(&self, name: &str) -> Result<bool> {
        Ok(self.engine.tensor_data_type(name)? == DataType::kHALF)
    }
}
