//! What the owner of a file that can't be used can do about it.

/// The remedy for a torch file that front ends load. A1111 is none: it refuses the files of torch 2.7 and later.
pub(crate) const CONVERT: &str = "save it as safetensors: load it in ComfyUI and use its node Save Checkpoint, or in Python \
                       torch.load(…, weights_only=True) and safetensors' save_file";

/// The remedy for one that they refuse as well, because it may run anything.
pub(crate) const TRUSTED: &str = "front ends refuse it too; only if you trust who made it, load it in Python with \
                       torch.load(…, weights_only=False), which runs what is in it, and save its tensors with \
                       safetensors' save_file";

/// The remedy for a pickle that asks for this.
pub(crate) fn for_global(global: &str) -> &'static str {
    match global.strip_prefix("torch.distributed.") {
        Some(_) => {
            "front ends refuse it too: it holds one process's part of the tensors; save what \
             torch.distributed.checkpoint.state_dict's get_model_state_dict returns with full_state_dict=True"
        }
        None => TRUSTED,
    }
}

/// The remedy for a checkpoint in several files.
pub(crate) const JOIN: &str = "join them into one, which front ends need as well: in Python, update one dictionary with safetensors' \
                    load_file of each part, and write it with save_file";
