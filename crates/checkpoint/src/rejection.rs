//! Why a file can't be used, and what its owner can do about it.

use std::io;

use crate::{
    kinds::OtherKind,
    remedy::{self, CONVERT, JOIN, TRUSTED},
    tensor::Dtype,
};

/// Why no engine can be built for a file.
///
/// `Display` says what is wrong and what to do about it, without the file's path: the caller knows it, and
/// the same file may have several.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The operating system refused access.
    #[error("could not {doing}: {source}; check the file's permissions and its disk")]
    Unreadable {
        /// The failed action, to follow "could not".
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("not a regular file; put the checkpoint itself here, or a link to it")]
    NotAFile,
    /// Size, times or content changed between opening the file and the end of reading.
    #[error("the file changed while it was read; wait until it is complete and try again")]
    ChangedWhileRead,

    /// The file has no bytes.
    #[error("the file is empty; copy or download it again")]
    Empty,
    /// git's placeholder for a large file.
    #[error("a git-LFS pointer, not the file itself; run `git lfs pull` in its folder")]
    GitLfsPointer,
    /// A page or message that a server sent in place of the file.
    #[error("a web page, not a checkpoint; download it again, logged in if the site asks for it")]
    WebPage,
    /// A GGUF file of a Stable Diffusion UNet.
    #[error(
        "a GGUF file of {model}; engines need a safetensors or .ckpt file of the same model. ComfyUI with ComfyUI-GGUF \
         and Forge run this one without them"
    )]
    GgufUnet {
        /// What it holds, in a sentence.
        model: String,
    },
    /// A GGUF file of anything else.
    #[error(
        "a GGUF file of {model}, not of a Stable Diffusion UNet, so it is not supported; ComfyUI loads it with ComfyUI-GGUF, \
         and Forge if it knows the model"
    )]
    Gguf {
        /// What it holds, in a sentence.
        model: String,
    },
    /// One of several files of a checkpoint.
    #[error("part {number} of {of} of a checkpoint in several files ({missing}); {JOIN}")]
    Part {
        /// Which one, from 1.
        number: u32,
        /// Of how many.
        of: u32,
        /// Which others are not in its folder, in a sentence.
        missing: String,
    },
    /// One of several files of something else.
    #[error("part {number} of {of} ({missing}) of {kind}")]
    PartOf {
        /// What the whole is.
        kind: &'static OtherKind,
        /// Which one, from 1.
        number: u32,
        /// Of how many.
        of: u32,
        /// Which others are not in its folder, in a sentence.
        missing: String,
    },
    /// The list of such files.
    #[error(
        "the index of a checkpoint in {parts} files ({missing}), which has no weights itself; {JOIN}"
    )]
    PartsIndex {
        /// The number of files.
        parts: usize,
        /// Which are not in its folder, in a sentence.
        missing: String,
    },
    /// A file of a folder that torch.distributed has saved.
    #[error(
        "a part of a torch.distributed checkpoint, which no front end loads; make one file of its folder: \
         python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER x.ckpt"
    )]
    Distributed,
    /// A JSON file of a model's settings.
    #[error("a model's settings, without weights; use the .safetensors files beside it")]
    Settings,
    /// Neither safetensors nor a torch file.
    #[error("neither a safetensors nor a torch file; copy or download it again")]
    NotACheckpoint,
    /// torch's format before 0.1.10.
    #[error(
        "a torch file in the tar format of before 2017, which no front end loads; load it with \
         torch.load(…, weights_only=False), which runs what is in it, and save its tensors with safetensors' save_file"
    )]
    LegacyTar,
    /// A pickle, and no torch file.
    #[error(
        "a Python pickle that torch did not write, so no front end loads it; save its tensors as safetensors"
    )]
    OtherPickle,

    /// The file is shorter than its header says.
    #[error("cut short: {expected} bytes expected, {actual} present; copy or download it again")]
    Truncated {
        /// The bytes that the header declares, including itself.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// The file is longer than its header says.
    #[error("too long: {expected} bytes expected, {actual} present; copy or download it again")]
    TooLong {
        /// The bytes that the header declares, including itself.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// The header is longer than the file.
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
        "its header takes {header} bytes, more than the {limit} that safetensors allows; copy or download it again"
    )]
    HeaderTooLong {
        /// Bytes of the header.
        header: u64,
        /// The longest header that is read.
        limit: u64,
    },
    /// The header is malformed, which includes offsets that overlap or overflow.
    #[error("damaged safetensors header: {reason}; copy or download it again")]
    BadHeader {
        /// The parser's message.
        reason: String,
    },
    /// Two tensors have the same canonical name.
    #[error("two tensors are called {name}; save the checkpoint again in A1111")]
    DuplicateName {
        /// The canonical name.
        name: String,
    },

    /// The zip archive's end, which has its directory, is missing.
    #[error("a torch file cut short at {actual} bytes; copy or download it again")]
    TruncatedZip {
        /// Bytes of the file.
        actual: u64,
    },
    /// The archive is inconsistent, or has features that torch never uses.
    #[error("damaged torch file: {reason}; copy or download it again")]
    BadZip {
        /// What is wrong.
        reason: String,
    },
    /// An entry that torch can't read either.
    #[error(
        "torch file with entry {entry}, which is encrypted or compressed in a way that torch can't read; \
         copy or download it again"
    )]
    Compressed {
        /// The entry's name.
        entry: String,
    },
    /// Written by a big-endian machine.
    #[error("a torch file written by a big-endian machine; {CONVERT}")]
    BigEndian,
    /// The pickle asks for code that no checkpoint needs: it may be malicious.
    #[error("its pickle asks for {name}, which is not allowed; {}", remedy::for_global(name))]
    ForbiddenGlobal {
        /// Module and name, as in `os.system`.
        name: String,
    },
    /// The pickle has an instruction that torch never writes.
    #[error("its pickle uses {opcode} at byte {at}, which is not allowed; {TRUSTED}")]
    ForbiddenOpcode {
        /// The instruction's name, or its number if it has none.
        opcode: String,
        /// Position in the pickle.
        at: u64,
    },
    /// The pickle is malformed.
    #[error("damaged pickle at byte {at}: {reason}; copy or download it again")]
    BadPickle {
        /// Position in the pickle.
        at: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The pickle exceeds a limit that no checkpoint reaches.
    #[error("its pickle has more than {limit} {what}; {CONVERT}")]
    PickleTooLarge {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Views that repeat the same data, or strides, that would take hours to read.
    #[error(
        "its tensors share their data so often that reading them takes far more than the file's size; {CONVERT}"
    )]
    TooMuchData,
    /// Names and shapes alone.
    #[error("it holds no data: it was saved {how}; get the file with the weights")]
    NoData {
        /// By what, to follow "it was saved".
        how: &'static str,
    },
    /// A tensor of the UNet is one that only torch has, such as a sparse one.
    #[error(
        "its UNet's {tensor} is stored as torch's {kind}, which no front end runs; save it as fp16"
    )]
    NotPlain {
        /// The tensor's canonical name.
        tensor: String,
        /// What it is.
        kind: String,
    },
    /// Tensors that are where no front end looks for them.
    #[error(
        "its tensors are in `{key}`, beside other entries, where no front end looks for them; save what is in \
         `{key}` alone, with safetensors' save_file"
    )]
    Nested {
        /// The key, cut short.
        key: String,
    },
    /// A tensor that the file lacks, at least in part.
    #[error("tensor {tensor} {reason}; copy or download it again")]
    BadTensor {
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A well-formed file without tensors.
    #[error("it has no tensors, so it is not a checkpoint")]
    NoTensors,

    /// Another kind of file.
    #[error("{0}")]
    Other(&'static OtherKind),
    /// Something unknown.
    #[error("it has no Stable Diffusion UNet; not supported")]
    NoUnet,
    /// A UNet inside a wrapper of a training program.
    #[error(
        "its UNet's names begin with `{wrapper}`, which no front end takes off; save it without"
    )]
    Wrapped {
        /// What they begin with.
        wrapper: String,
    },
    /// A UNet of a kind that A1111 does not run.
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
    /// A UNet with more than a Stable Diffusion UNet has.
    #[error("its UNet has {what} ({tensor}), which change what it computes; not supported")]
    OtherUnet {
        /// What it has.
        what: &'static str,
        /// The first such tensor's canonical name.
        tensor: String,
    },
    /// A Zero123, whose UNet looks like that of instruct-pix2pix.
    #[error(
        "a Zero123 model, which shows an object from another side: its context is one position, and no prompt; \
         not supported"
    )]
    Zero123,
    /// A UNet with too many parts: building its graph could take minutes.
    #[error(
        "its UNet has {count} {what}, and none that is supported has more than {limit}; not supported"
    )]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// Their number, at least.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// A UNet that lacks a tensor, or has one of the wrong shape.
    #[error("damaged UNet: {tensor} {reason}; copy or download it again")]
    BadUnet {
        /// The canonical name.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A UNet with packed weights.
    #[error(
        "its UNet is quantised to {}: {tensor} is packed, and no longer shows the shape that it is for; {}",
        kind.name, kind.advice
    )]
    Quantised {
        /// What it is quantised to, and by whom.
        kind: &'static OtherKind,
        /// The first such tensor's canonical name.
        tensor: String,
    },
    /// A UNet stored in a type that engines can't be built from.
    #[error(
        "its UNet is stored as {dtype} ({tensor}), which is not supported; get or make an fp16, bf16 or fp8 file of the \
         same model"
    )]
    UnetDtype {
        /// The first such tensor's canonical name.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
}
