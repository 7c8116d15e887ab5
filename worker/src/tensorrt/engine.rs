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
    cuda::{Cuda, Memory},
    numbers::{Inputs, Numbers},
    weights::Weights,
};

const OUTPUT: &str = "latent";

/// An engine on the GPU.
pub(in super::super) struct Loaded<'runtime>(CudaEngine<'runtime>);

impl<'runtime> Loaded<'runtime> {
    pub(in super::super) fn new(runtime: &mut Runtime<'runtime>, plan: &[u8]) -> Result<Self> {
        let engine = runtime.deserialize_cuda_engine(plan);
        engine.map(Self).context("TensorRT can't load the engine on this GPU")
    }

    /// Ready to be called. `kernels` is the file of what was compiled for this GPU.
    pub(in super::super) fn start(mut self, kernels: &Path) -> Result<Engine<'runtime>> {
        let mut config = self.0.create_runtime_config()?;
        // As the web UI's extension has it, so that it finds the kernels that it needs: one for each shape
        // from the first call on, and memory only for the shapes of a call.
        config.set_dynamic_shapes_kernel_specialization_strategy(Specialization::kEAGER);
        config.set_execution_context_allocation_strategy(Allocation::kUSER_MANAGED);
        config.set_cuda_graph_strategy(CudaGraphStrategy::kWHOLE_GRAPH_CAPTURE)?;
        let cache = Arc::new(config.create_runtime_cache()?);
        if let Ok(compiled) = fs::read(kernels) {
            // Of another GPU, driver or version it is refused; then they are compiled anew.
            let _ = cache.deserialize(&compiled);
        }
        config.set_runtime_cache(cache.clone())?;
        let context = self.0.create_execution_context_with_config(Rc::new(config));
        let context = context.context("TensorRT has no execution context for the engine")?;
        Ok(Engine { context, profile: None, weights: Vec::new(), cache, engine: self.0 })
    }
}

/// An engine that can be called. What is made of another goes before it.
pub(in super::super) struct Engine<'runtime> {
    context: ExecutionContext<'runtime>,
    profile: Option<usize>,
    /// What the inputs that are weights are read from.
    weights: Vec<Memory>,
    cache: Arc<RuntimeCache>,
    engine: CudaEngine<'runtime>,
}

/// One call, with all that it needs on the GPU.
pub(in super::super) struct Call {
    inputs: Vec<(String, Memory)>,
    activations: Memory,
    output: Memory,
    shape: Vec<u64>,
}

impl Engine<'_> {
    /// The kernels that were compiled, and those that `others` holds.
    pub(in super::super) fn kernels(&self, others: &[u8]) -> Result<Vec<u8>> {
        // What is of another GPU, driver or version is refused.
        let _ = self.cache.deserialize(others);
        Ok(self.cache.serialize()?.to_vec())
    }

    /// Puts the weights on the GPU, and has the engine read them there.
    #[expect(unsafe_code, reason = "hands TensorRT memory of the GPU by its address")]
    pub(in super::super) fn bind(
        &mut self,
        cuda: &Cuda,
        weights: &Weights<'_>,
        binding: &Binding,
    ) -> Result<()> {
        for bound in &binding.inputs {
            let memory = cuda.upload(&weights.input(bound)?)?;
            // SAFETY: there are as many bytes as the binding says, and they stay as long as the context.
            unsafe { self.context.set_tensor_address(&bound.name, cuda.address(&memory)) }
                .with_context(|| format!("the engine takes no weight {}", bound.name))?;
            self.weights.push(memory);
        }
        cuda.finish()
    }

    /// Puts a call's inputs on the GPU, and whatever room it takes.
    pub(in super::super) fn prepare(
        &mut self,
        cuda: &Cuda,
        profile: usize,
        inputs: &Inputs,
    ) -> Result<Call> {
        self.choose(cuda, profile)?;
        let mut placed = Vec::new();
        for (name, numbers) in inputs {
            let shape: Vec<i64> =
                numbers.shape.iter().map(|size| i64::try_from(*size)).collect::<Result<_, _>>()?;
            self.context
                .set_input_shape(name, &Dims::from_slice(&shape))
                .with_context(|| format!("the engine takes no {name} of the shape {shape:?}"))?;
            placed.push((name.clone(), cuda.upload(&self.bytes(name, &numbers.values)?)?));
        }
        let dims = self.context.tensor_shape(OUTPUT)?;
        let shape = dims.d.iter().take(usize::try_from(dims.nbDims)?);
        let shape: Vec<u64> = shape.map(|size| u64::try_from(*size)).collect::<Result<_, _>>()?;
        let size = if self.is_half(OUTPUT)? { 2 } else { 4 };
        let output = cuda.reserve(size * shape.iter().product::<u64>() as usize)?;
        let activations = cuda.reserve(self.context.update_device_memory_size_for_shapes())?;
        // What was copied must be there, whatever stream TensorRT works on besides.
        cuda.finish()?;
        Ok(Call { inputs: placed, activations, output, shape })
    }

    #[expect(unsafe_code, reason = "hands TensorRT a stream")]
    fn choose(&mut self, cuda: &Cuda, profile: usize) -> Result<()> {
        if self.profile != Some(profile) {
            let number = i32::try_from(profile)?;
            // SAFETY: the stream lives as long as `cuda`, and its work is waited for.
            let chosen =
                unsafe { self.context.set_optimization_profile_async(number, cuda.stream()) };
            ensure!(chosen, "the engine has no optimization profile {profile}");
            cuda.finish()?;
            self.profile = Some(profile);
        }
        Ok(())
    }

    /// Puts one call on the stream.
    #[expect(unsafe_code, reason = "hands TensorRT memory of the GPU by its address")]
    pub(in super::super) fn enqueue(&mut self, cuda: &Cuda, call: &Call) -> Result<()> {
        let bytes = self.context.update_device_memory_size_for_shapes();
        // SAFETY: the memory is of the sizes that TensorRT asked for, and the call's owner keeps it until the
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

    /// What a call that was enqueued gave.
    pub(in super::super) fn output(&self, cuda: &Cuda, call: &Call) -> Result<Numbers> {
        cuda.finish()?;
        let bytes = cuda.download(&call.output)?;
        let values = match self.is_half(OUTPUT)? {
            true => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            false => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        Ok(Numbers { shape: call.shape.clone(), values })
    }

    /// Numbers in the type that the engine takes them in.
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
