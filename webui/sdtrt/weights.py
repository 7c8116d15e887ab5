"""An engine's weights where torch has them: the UNet's own parameters in the layout that the engine reads, or fp16
copies of those that can't be read there.
"""
from __future__ import annotations

import math
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch

from .binding import OutOfMemory, Unfit

# The alignment in bytes that TensorRT requires of addresses.
ALIGNMENT = 256
# From here on, values round to infinity in fp16.
FP16_END = 65520.0


class Bound:
    """A UNet's parameters in the form that engines of one binding read."""

    def __init__(self, table, device):
        self.table, self.device = table, device
        # fp16 copies, by input: what can't be read where torch has it.
        self.copies = {}
        self.places, self.pointers, self.addresses = [], None, None


class Weights:
    """What engines currently read: the weights of one UNet.

    Nothing here keeps a UNet or its memory alive: parameters are looked up in their modules, and one that is moved
    to the CPU is freed on the GPU."""

    def __init__(self):
        self._bound: WeakKeyDictionary[torch.nn.Module, Bound] = WeakKeyDictionary()
        # For each UNet, the parameters whose layout was changed, and their original layout.
        self._turned: WeakKeyDictionary[torch.nn.Module, dict] = WeakKeyDictionary()

    def release(self):
        """Stops reading, and restores the layout of what is on the GPU."""
        self._bound.clear()
        self.restore_all()

    def restore_all(self):
        """Restores the layout of what is on the GPU."""
        for unet in list(self._turned):
            self.restore(unet)

    def follow(self, unet, places, table, fresh):
        """Returns each input's address in a dictionary, which is a new one whenever an address changes. `fresh`
        examines everything, not only whether something moved: set it whenever weights may have changed. Raises
        Unfit, and then nothing is bound."""
        bound = self._bound.get(unet)
        if bound is None or bound.table != table:
            self._bound.clear()
            bound = Bound(table, here())
        elif not fresh and bound.pointers == pointers(bound.places):
            return bound.addresses
        try:
            with torch.inference_mode(False), torch.no_grad():
                addresses = self._bind(bound, unet, places)
        except BaseException as error:
            self._bound.clear()
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise OutOfMemory("there is no GPU memory for the UNet's weights as an engine reads them") from None
            raise
        bound.places = [places[part] for each in table for part in each.parts]
        bound.pointers = pointers(bound.places)
        if addresses != bound.addresses:
            bound.addresses = addresses
        self._bound[unet] = bound
        return bound.addresses

    def restore(self, unet):
        """Restores the layout of a UNet's weights, so that PyTorch's results are the same bit for bit. What is on
        the CPU stays as it is: the values are the same, and converting takes a second."""
        turned, device = self._turned.get(unet, {}), here()
        for name, (held, key, layout) in list(turned.items()):
            parameter = held.get(key)
            if parameter is not None and parameter.device != device:
                continue
            try:
                if parameter is not None:
                    with as_made([parameter]):
                        parameter.data = parameter.data.contiguous(memory_format=layout)
                del turned[name]
            except torch.cuda.OutOfMemoryError:
                return

    def _bind(self, bound, unet, places):
        parameters = {
            part: sound(part, places, bound.device) for each in bound.table for part in each.parts
        }
        for each in bound.table:
            misfit = each.misfit([parameters[part].shape for part in each.parts])
            if misfit is not None:
                raise Unfit(misfit)
        addresses: dict[str, int] = {}
        wide: dict[str, torch.Tensor] = {}
        for each in bound.table:
            parts = [parameters[part] for part in each.parts]
            if lie_ready(each, parts) or self._arrange(bound, unet, places, each, parts):
                bound.copies.pop(each.name, None)
                addresses[each.name] = parts[0].data_ptr()
            else:
                addresses[each.name] = copy(bound, each, parts).data_ptr()
                wide |= {name: of for name, of in zip(each.parts, parts, strict=True) if is_wide(of)}
        check_range(wide)
        return addresses

    def _arrange(self, bound, unet, places, each, parts):
        """Converts parameters of the UNet to the layout that an engine reads, if nothing else relies on their
        addresses. Whatever fails, each stays valid."""
        if not are_free(parts) or len({part.is_inference() for part in parts}) > 1:
            return False
        with as_made(parts):
            self._put(bound, unet, places, each, parts)
        return True

    def _put(self, bound, unet, places, each, parts):
        if len(parts) > 1:
            joined = torch.empty(each.shape, dtype=torch.float16, device=bound.device)
            for part, rows in zip(parts, joined.split([part.shape[0] for part in parts]), strict=True):
                rows.copy_(part)
                part.data = rows
            return
        (part,), (name,) = parts, each.parts
        layout = torch.channels_last if each.layout == "ohwi" else torch.contiguous_format
        known = (torch.contiguous_format, torch.channels_last) if part.dim() == 4 else ()
        before = next((form for form in known if part.is_contiguous(memory_format=form)), layout)
        part.data = part.data.clone(memory_format=layout)
        if before != layout:
            self._turned.setdefault(unet, {}).setdefault(name, (*places[name], before))


@contextmanager
def as_made(parts):
    """For new memory of parameters: in inference mode if they were made in it, as ComfyUI's are, and else outside of
    it. torch takes the kind of the memory but keeps the parameter's own count of versions, and a parameter that is
    of one kind by the one and of the other by the other can't compute any more."""
    with torch.inference_mode(parts[0].is_inference()), torch.no_grad():
        yield


def here():
    """Returns the engines' device."""
    return torch.device("cuda", torch.cuda.current_device())


def pointers(places):
    """Returns the addresses of the parameters at these places; None if one is gone."""
    try:
        return [held[key].data_ptr() for held, key in places]
    except (KeyError, AttributeError):
        return None


def sound(name, places, device):
    """Returns the parameter of this name, if an engine can read its memory."""
    held, key = places.get(name, ({}, None))
    found = held.get(key)
    if found is None:
        raise Unfit(f"the UNet has no {name}, which the engine reads")
    if type(found) not in (torch.nn.Parameter, torch.Tensor):
        raise Unfit(f"{name} is a {type(found).__name__}, which only its own code can read")
    if found.is_meta or found.layout != torch.strided or not found.is_floating_point():
        raise Unfit(f"{name} is not a plain floating-point tensor ({found.dtype}, {found.layout}, on {found.device})")
    if found.device != device:
        raise Unfit(f"{name} is on {found.device}, not on the engine's GPU")
    steps = zip(found.shape, found.stride(), strict=True)
    last = found.storage_offset() + sum((size - 1) * step for size, step in steps)
    if found.numel() == 0 or (last + 1) * found.element_size() > found.untyped_storage().nbytes():
        raise Unfit(f"the memory of {name} was freed")
    return found


def lie_ready(each, parts):
    """Whether these parameters are in the layout that an engine reads."""
    first = parts[0]
    if first.data_ptr() % ALIGNMENT or any(part.dtype != torch.float16 for part in parts):
        return False
    if each.layout == "ohwi":
        return first.is_contiguous(memory_format=torch.channels_last)
    # One after the other, in one allocation.
    end, storage = first.data_ptr(), first.untyped_storage().data_ptr()
    for part in parts:
        if part.data_ptr() != end or part.untyped_storage().data_ptr() != storage or not part.is_contiguous():
            return False
        end += part.numel() * 2
    return True


def are_free(parts):
    """Whether these are fp16 and alone in their memory, or where `_arrange` has put them."""
    total, start = sum(part.numel() for part in parts) * 2, 0
    for part in parts:
        storage, size = part.untyped_storage(), part.numel() * 2
        own = storage.nbytes() == size
        ours = storage.nbytes() == total and part.data_ptr() == storage.data_ptr() + start
        if part.dtype != torch.float16 or not (own or ours):
            return False
        start += size
    return True


def copy(bound, each, parts):
    """Returns a copy of what has another type, or whose address others rely on, by torch's own casts."""
    if each.name not in bound.copies:
        bound.copies[each.name] = torch.empty(each.shape, dtype=torch.float16, device=bound.device)
    found = bound.copies[each.name]
    rows = found.permute(0, 3, 1, 2) if each.layout == "ohwi" else found
    for own, part in zip(rows.split([part.shape[0] for part in parts]), parts, strict=True):
        own.copy_(part)
    return found


def is_wide(parameter):
    """Whether its type has a larger range than fp16."""
    return torch.finfo(parameter.dtype).max > FP16_END


def check_range(parameters):
    """Refuses values outside fp16's range. Waits for the GPU."""
    check_largest({name: largest(each) for name, each in parameters.items()})


def largest(parameter):
    """Returns the largest absolute value, without waiting for it."""
    return torch.linalg.vector_norm(parameter, math.inf, dtype=torch.float32)


def check_largest(found):
    """Refuses parameters whose largest value is outside fp16's range. Waits for the GPU."""
    if not found:
        return
    for name, value in zip(found, torch.stack(list(found.values())).tolist(), strict=True):
        if FP16_END <= value < math.inf:
            raise Unfit(f"{name} goes up to {value:.3g}, which is outside fp16's range")
