"""Whether two ranks hold the same value: by digest, so that only digests travel."""

import io
import sys
from typing import Any

from fspop.training.hashed import as_digest, new_hash


def leaf_digest(value: Any) -> str:
    """The digest of a tensor's content and type, or of plain data."""
    torch = sys.modules.get("torch")
    hash_ = new_hash()
    if torch is None or not isinstance(value, torch.Tensor):
        hash_.update(repr(value).encode("utf-8", "surrogatepass"))
    elif value.layout is torch.strided and not value.is_quantized:
        found = value.detach().resolve_conj().resolve_neg().to("cpu").contiguous()
        hash_.update(f"{value.dtype} {tuple(value.shape)}".encode())
        hash_.update(memoryview(found.reshape(-1).view(torch.uint8).numpy()))
    else:
        buffer = io.BytesIO()
        torch.save(value.detach().cpu(), buffer)
        hash_.update(buffer.getbuffer())
    return as_digest(hash_)
