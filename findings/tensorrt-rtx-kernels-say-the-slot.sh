#!/usr/bin/env bash
# TensorRT-RTX 1.6.1.120, on an NVIDIA GPU: kernels in a runtime cache are not used by an equal GPU in another PCI slot.
#
# NVIDIA's documentation says that a cache is reusable where compute capability, TensorRT-RTX and CUDA are the same, and
# one would expect it of two cards of one model, driver and host. But before each kernel there is a description of the
# card, in JSON, and only if all of it is the same are kernels used: besides name, memory and clocks (which differ
# between makers of one model) also the card's number on its PCI bus (`pciDeviceId`; 0 for most cards in a PC, any in a
# virtual machine) and CUDA's number of it in the process that compiled (`cudaDeviceId`; CUDA_VISIBLE_DEVICES changes
# it). Otherwise `deserialize` returns false, and all is compiled again. Seen with two H200 of one host in slots 6 and 7:
# an engine of Stable Diffusion's UNet is ready in 0.8 s with kernels of its own card, in 24 to 26 s with the other
# one's, or with its own when the process saw it as its second card. Here one card is enough: the numbers in a copy of
# its own cache are changed to others of the same length.
set -euo pipefail
nvidia-smi -L > /dev/null 2>&1 || { echo "this needs an NVIDIA GPU" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
  tensorrt-rtx-cu12-libs==1.6.1.120 tensorrt-rtx-cu12-bindings==1.6.1.120 numpy==2.3.4
libraries=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/tensorrt_rtx_libs
cat > "$work/slots.py" <<'PYTHON'
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorrt_rtx_bindings as trt

LOGGER = trt.Logger(trt.Logger.INTERNAL_ERROR)
work = Path(sys.argv[1])
plan, own = work / "plan", work / "own"


def build():
    """Stores a plan of some convolutions, each of which needs a kernel of its own."""
    builder = trt.Builder(LOGGER)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    x, held = network.add_input("x", trt.float16, (2, 64, 64, 64)), []
    for channels, outputs in ((64, 128), (128, 320), (320, 320), (320, 640), (640, 64)):
        held.append(np.full((outputs, channels, 3, 3), 0.01, np.float16))
        layer = network.add_convolution_nd(x, outputs, (3, 3), trt.Weights(held[-1]), trt.Weights())
        layer.padding_nd = (1, 1)
        x = layer.get_output(0)
    network.mark_output(x)
    plan.write_bytes(builder.build_serialized_network(network, builder.create_builder_config()))


def load(cache):
    """In a process of its own: prints whether the cache in this file is accepted, and the seconds until a context is
    ready; stores the cache that there is then."""
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(plan.read_bytes())
    config = engine.create_runtime_config()
    kernels = config.create_runtime_cache()
    accepted = kernels.deserialize(cache.read_bytes()) if cache.exists() else None
    config.set_runtime_cache(kernels)
    begin = time.perf_counter()
    context = engine.create_execution_context(config)
    print(accepted, time.perf_counter() - begin)
    cache.with_suffix(".after").write_bytes(kernels.serialize())
    del context


def seconds(cache):
    command = [sys.executable, __file__, str(work), str(cache)]
    accepted, taken = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return accepted, float(taken)


if len(sys.argv) > 2:
    load(Path(sys.argv[2]))
    sys.exit()
build()
_, compiled = seconds(own)
data = own.with_suffix(".after").read_bytes()
print(f"TensorRT-RTX {trt.__version__}: compiles for {compiled:.2f} s; {len(data)} bytes, which say",
      *sorted({found.decode() for found in re.findall(rb'"(?:pci|cuda)DeviceId":\d+|"smClockRateKHz":\d+', data)}))
for name in (None, b"pciDeviceId", b"cudaDeviceId", b"smClockRateKHz"):
    another = lambda found: found[1] + b"%d" % ((int(found[2]) + 1) % 10)
    copy = work / (name or b"unchanged").decode()
    copy.write_bytes(re.sub(rb'("%s":\d*)(\d)' % name, another, data) if name else data)
    accepted, taken = seconds(copy)
    print(f"{copy.name:16} accepted: {accepted}, ready in {taken:.2f} s")
    assert accepted == str(name is None), "kernels of another card are used" if name else "its own are not used"
PYTHON
LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$work/venv/bin/python" "$work/slots.py" "$work"
echo "as described"
