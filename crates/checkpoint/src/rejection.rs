//! Why a file is of no use, said so that its owner knows what to do.

use std::io;

use crate::tensor::Dtype;

/// Why a file is not a checkpoint that an engine can be built for.
///
/// `Display` says what is wrong and what to do about it, without the file's path: the caller knows
/// it, and the same file may lie at several.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The operating system refused.
    #[error("could not {doing}: {source}; check the file's permissions and its disk")]
    Unreadable {
        /// What was being done, as in "could not …".
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("not a regular file; put the checkpoint itself here, or a link to it")]
    NotAFile,
    /// Size, time or content changed between opening and the end of reading.
    #[error("the file changed while it was read; wait until it is complete and try again")]
    ChangedWhileRead,

    /// No bytes.
    #[error("the file is empty; copy or download it again")]
    Empty,
    /// The text that git leaves in place of a large file.
    #[error("a git-LFS pointer, not the file itself; run `git lfs pull` in its folder")]
    GitLfsPointer,
    /// A page or message that a server sent instead of the file.
    #[error("a web page, not a checkpoint; download it again, logged in if the site asks for it")]
    WebPage,
    /// Neither safetensors nor a torch file.
    #[error("neither a safetensors nor a torch file; copy or download it again")]
    NotACheckpoint,
    /// torch's format before 0.1.10.
    #[error("a torch file in the tar format of before 2017; {CONVERT}")]
    LegacyTar,
    /// torch's format before 1.6: bare pickles.
    #[error("a torch file in the pickle format of before torch 1.6; {CONVERT}")]
    LegacyPickle,

    /// The data ends before the header says.
    #[error("cut short: {expected} bytes expected, {actual} present; copy or download it again")]
    Truncated {
        /// Bytes that the header promises, itself included.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// Bytes follow the last tensor.
    #[error("too long: {expected} bytes expected, {actual} present; copy or download it again")]
    TooLong {
        /// Bytes that the header promises, itself included.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// The header would end after the file.
    #[error(
        "cut short: its header alone takes {header} bytes, {actual} present; \
         copy or download it again"
    )]
    HeaderPastEnd {
        /// Bytes of the header.
        header: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// The header is longer than any checkpoint's.
    #[error(
        "its header takes {header} bytes, more than the {limit} allowed; save it again in A1111"
    )]
    HeaderTooLong {
        /// Bytes of the header.
        header: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The header is not what safetensors prescribes; offsets that overlap or overflow included.
    #[error("damaged safetensors header: {reason}; copy or download it again")]
    BadHeader {
        /// The parser's words.
        reason: String,
    },
    /// A dtype that no checkpoint has.
    #[error("tensor {tensor} has dtype {dtype}, which is not supported; save it as fp16")]
    UnsupportedDtype {
        /// Its name in the file.
        tensor: String,
        /// The dtype as the file calls it.
        dtype: String,
    },
    /// Two tensors mean the same thing.
    #[error("two tensors are called {name}; save the checkpoint again in A1111")]
    DuplicateName {
        /// The canonical name.
        name: String,
    },

    /// The end of the zip archive, which holds its table of contents, is missing.
    #[error("a torch file cut short at {actual} bytes; copy or download it again")]
    TruncatedZip {
        /// Bytes of the file.
        actual: u64,
    },
    /// The archive contradicts itself or uses what torch never writes.
    #[error("damaged torch file: {reason}; copy or download it again")]
    BadZip {
        /// What is wrong.
        reason: String,
    },
    /// An entry cannot be read in place.
    #[error("torch file with compressed or encrypted entry {entry}; {CONVERT}")]
    Compressed {
        /// The entry's name.
        entry: String,
    },
    /// Written by a big-endian machine.
    #[error("a torch file written by a big-endian machine; {CONVERT}")]
    BigEndian,
    /// The pickle names code that no checkpoint needs: it may be malicious.
    #[error("its pickle asks for {name}, which is not allowed; if you trust the file, {CONVERT}")]
    ForbiddenGlobal {
        /// Module and name, as in `os.system`.
        name: String,
    },
    /// The pickle holds an instruction that torch does not write.
    #[error(
        "its pickle uses {opcode} at byte {at}, which is not allowed; if you trust the file, {CONVERT}"
    )]
    ForbiddenOpcode {
        /// The instruction's name, or its number if it has none.
        opcode: String,
        /// Position in the pickle.
        at: u64,
    },
    /// The pickle breaks its own rules.
    #[error("damaged pickle at byte {at}: {reason}; copy or download it again")]
    BadPickle {
        /// Position in the pickle.
        at: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The pickle is larger than a checkpoint's can be.
    #[error("its pickle has more than {limit} {what}; {CONVERT}")]
    PickleTooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The most that is read.
        limit: u64,
    },
    /// A tensor whose elements do not follow each other: it cannot be read in place.
    #[error("tensor {tensor} is a strided view; {CONVERT}")]
    Strided {
        /// Its name in the file.
        tensor: String,
    },
    /// A tensor that the file does not hold, or not in full.
    #[error("tensor {tensor} {reason}; copy or download it again")]
    BadTensor {
        /// Its name in the file.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A well-formed file that holds no tensors.
    #[error("it holds no tensors; it is no checkpoint")]
    NoTensors,

    /// A LoRA or one of its kin.
    #[error("a LoRA, not a checkpoint; move it to models/Lora")]
    Lora,
    /// A VAE alone.
    #[error("a VAE, not a checkpoint; move it to models/VAE")]
    Vae,
    /// A textual-inversion embedding.
    #[error("a textual-inversion embedding, not a checkpoint; move it to embeddings")]
    Embedding,
    /// A ControlNet.
    #[error("a ControlNet, not a checkpoint; move it to models/ControlNet")]
    ControlNet,
    /// A text encoder alone.
    #[error("a text encoder, not a checkpoint; move it out of the checkpoints' folder")]
    TextEncoder,
    /// Stable Diffusion 3.
    #[error("a Stable Diffusion 3 model: it has no UNet; not supported")]
    Sd3,
    /// Flux.
    #[error("a Flux model: it has no UNet; not supported")]
    Flux,
    /// Tensors named as the diffusers library names them.
    #[error(
        "a UNet with diffusers' tensor names; convert it to the original layout \
         (diffusers' convert_diffusers_to_original_*.py), which A1111 needs as well"
    )]
    Diffusers,
    /// Nothing that is known.
    #[error("no Stable Diffusion UNet in it; not supported")]
    NoUnet,
    /// A UNet, but of no kind that A1111 runs.
    #[error(
        "an unknown kind of UNet: {in_channels} input channels, context {context_width} wide, \
         y {}; not supported", y_width.map_or_else(|| "absent".into(), |width| format!("{width} wide"))
    )]
    UnknownArchitecture {
        /// Channels of the `sample` input.
        in_channels: u64,
        /// Width of the `encoder_hidden_states` input.
        context_width: u64,
        /// Width of the `y` input.
        y_width: Option<u64>,
    },
    /// A UNet with more parts than any has: to make a graph of it could take minutes.
    #[error(
        "its UNet has {count} {what}, and none that is supported has more than {limit}; not supported"
    )]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// How many there are, at least.
        count: u64,
        /// How many there may be.
        limit: u64,
    },
    /// A UNet that lacks a part, or has a misshapen one.
    #[error("damaged UNet: {tensor} {reason}; copy or download it again")]
    BadUnet {
        /// The canonical name.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A UNet stored in a type that engines are not built from.
    #[error("its UNet is stored as {dtype} ({tensor}), which is not supported; save it as fp16")]
    UnetDtype {
        /// The first such tensor's canonical name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
}

/// What to do about a torch file that is not read in place.
const CONVERT: &str = "load it once in A1111 and save it as safetensors (Checkpoint Merger)";
