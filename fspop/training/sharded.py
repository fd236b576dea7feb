"""Tensors that are spread over ranks: torch.distributed.checkpoint plans, the files are ours.

Its planners say which rank writes which piece of a tensor, and which pieces a rank needs that has
another share of it; `Pieces` and `PieceReader` put those pieces into files that have a digest and
are read without executing anything, which DCP's own metadata file is not.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, SavePlan, SavePlanner
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.distributed.tensor import DTensor, Replicate, Shard, empty
from torch.futures import Future

from fspop.errors import ConfigurationError, FspopError, StorageUnavailable, TaskError
from fspop.training import state_file
from fspop.training.durable import write_error
from fspop.training.opened import RANKS_FILE, damaged, mapped_file
from fspop.training.plain_copy import copy_state
from fspop.training.ranks import Ranks
from fspop.training.written import SavedCheckpoint, write_file

Written = list[tuple[str, SavedCheckpoint]]


def like(shard: Any, local: torch.Tensor) -> DTensor:
    """The same share of the same tensor, in other memory."""
    found: DTensor = DTensor(local, shard._spec, requires_grad=False)  # type: ignore[no-untyped-call]
    return found


def write_tensors(
    temporary: Path, shards: Mapping[int, Any], ranks: Ranks
) -> tuple[Written, dict[str, Any]]:
    """Writes this rank's pieces; all ranks call it. Returns all ranks' files, and what an index
    says about the tensors. Raises FspopError of any rank on all.
    """
    writer = Pieces(temporary, ranks.rank)
    named = {str(number): shard for number, shard in shards.items()}
    with _errors_of(temporary):
        save(
            named,
            storage_writer=writer,
            planner=DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False),
            process_group=ranks.group,
        )
    described = ranks.together(lambda: {name: _describe(t) for name, t in named.items()})
    chunks = ranks.share(lambda: writer.chunks)
    files = [file for each in ranks.each(lambda: writer.files) for file in each]
    return files, {name: {**described[name], "chunks": chunks[name]} for name in described}


def read_tensors(
    folder: Path,
    files: Mapping[str, Any],
    tensors: Mapping[str, Any],
    map_location: Any,
    live: Callable[[], Any] | None,
) -> dict[int, torch.Tensor]:
    """The tensors by number: spread as those of `live()` are, or whole.

    Needs no other rank: each reads the pieces it has a share of.
    """
    meshes = _meshes(live() if live is not None else {})
    wanted = {
        name: _empty(name, told, meshes, map_location, folder) for name, told in tensors.items()
    }
    with warnings.catch_warnings(), _errors_of(folder):
        warnings.filterwarnings("ignore", message=".*single process.*")
        load(
            wanted,
            storage_reader=PieceReader(folder, files, tensors),
            planner=DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False),
            no_dist=True,
        )
    return {int(name): tensor for name, tensor in wanted.items()}


class Pieces(StorageWriter):
    """Writes the pieces that fall to this rank into one file; knows on rank 0 where all went."""

    def __init__(self, folder: Path, rank: int):
        self.folder, self.prefix = folder, f"shards-{rank}."
        self.files: Written = []
        self.chunks: dict[str, list[dict[str, Any]]] = {}

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing is kept between two."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """The folder is there."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """As it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """As they are."""
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Writes the pieces durably."""
        pieces = {_key(item.index): planner.resolve_data(item).detach() for item in plan.items}
        name = self.prefix + state_file.TORCH_FILE
        try:
            if pieces:
                self.files = [(name, write_file(self.folder / name, pieces))]
        except OSError as error:
            raise write_error(error, self.folder) from error
        results = [WriteResult(item.index, 0, name) for item in plan.items]
        done: Future[list[WriteResult]] = _done(results)
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Notes which piece is in which file, as plain data."""
        for result in (each for of_rank in results for each in of_rank):
            held: Any = metadata.state_dict_metadata[result.index.fqn]
            offset = list(result.index.offset or [0] * len(held.size))
            sizes = next(list(c.sizes) for c in held.chunks if list(c.offsets) == offset)
            chunk = {"offset": offset, "sizes": sizes, "file": result.storage_data}
            self.chunks.setdefault(result.index.fqn, []).append(chunk)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Takes none."""
        return False


class PieceReader(StorageReader):
    """Reads pieces out of verified files."""

    def __init__(self, folder: Path, files: Mapping[str, Any], tensors: Mapping[str, Any]):
        self.folder, self.files, self.tensors = folder, files, tensors

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing is kept between two."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """What the index says, as DCP's planner wants it."""
        found: dict[str, Any] = {}
        where = {}
        for name, told in self.tensors.items():
            chunks = [
                ChunkStorageMetadata(torch.Size(c["offset"]), torch.Size(c["sizes"]))
                for c in told["chunks"]
            ]
            properties = TensorProperties(dtype=getattr(torch, told["dtype"]))
            found[name] = TensorStorageMetadata(properties, torch.Size(told["size"]), chunks)
            for c in told["chunks"]:
                where[MetadataIndex(name, c["offset"])] = c["file"]
        return Metadata(found, storage_data=where)

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """Where each piece is."""
        self._where = metadata.storage_data

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """As it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """As they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Copies each wanted part of a piece to where it belongs; a file is opened once."""
        wanted: dict[str, list[Any]] = {}
        for item in plan.items:
            wanted.setdefault(self._where[item.storage_index], []).append(item)
        for name, items in wanted.items():
            if name not in self.files:
                raise damaged(self.folder / RANKS_FILE, f"it does not say what {name} is")
            with mapped_file(self.folder, name, self.files[name][1], "cpu") as pieces:
                for item in items:
                    piece = pieces[_key(item.storage_index)]
                    for dim, (begin, n) in enumerate(
                        zip(item.storage_offsets, item.lengths, strict=True)
                    ):
                        piece = piece.narrow(dim, begin, n)
                    target = planner.resolve_tensor(item).detach()
                    target.copy_(piece)
                    planner.commit_tensor(item, target)
                    del piece
        done: Future[None] = _done(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Takes none."""
        return False


def _describe(tensor: Any) -> dict[str, Any]:
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "size": list(tensor.shape),
        "mesh": list(tensor.device_mesh.shape),
        "names": list(tensor.device_mesh.mesh_dim_names or []),
        "placements": [_describe_placement(each) for each in tensor.placements],
    }


def _describe_placement(placement: Any) -> int | None:
    """The dimension that is shared out, or None."""
    if type(placement) is Shard:
        return int(placement.dim)
    if type(placement) is Replicate:
        return None
    raise TaskError(
        f"state_dict(): a tensor is placed as {placement}; only Shard and Replicate can be saved"
    )


def _meshes(state: Any) -> dict[tuple[int, tuple[str, ...]], Any]:
    found = {}

    def note(value: Any) -> Any:
        if isinstance(value, DTensor):
            mesh = value.device_mesh
            found[mesh.ndim, tuple(mesh.mesh_dim_names or ())] = mesh
        return value

    copy_state(state, note)
    return found


def _empty(
    name: str, told: Mapping[str, Any], meshes: Mapping[Any, Any], map_location: Any, folder: Path
) -> torch.Tensor:
    dtype = getattr(torch, told["dtype"])
    if not meshes:
        device = map_location if isinstance(map_location, str | torch.device) else "cpu"
        return torch.empty(told["size"], dtype=dtype, device=device)
    mesh = meshes.get((len(told["mesh"]), tuple(told["names"])))
    if mesh is None:
        raise ConfigurationError(
            f"{folder}: tensor {name} was spread over a mesh of {told['mesh']} ranks "
            f"{told['names'] or ''}, but the task has no such mesh; give its model as many mesh "
            "dimensions of the same names"
        )
    placements = [Replicate() if dim is None else Shard(dim) for dim in told["placements"]]
    return empty(told["size"], dtype=dtype, device_mesh=mesh, placements=placements)


def _key(index: MetadataIndex) -> str:
    return f"{index.fqn}@{','.join(map(str, index.offset or ()))}"


def _done(result: Any) -> Any:
    future: Any = Future()
    future.set_result(result)
    return future


@contextlib.contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    """DCP collects the errors of all ranks; ours comes out again."""
    try:
        yield
    except CheckpointException as collected:
        errors = [error for error, _ in collected.failures.values()]
        ours = [error for error in errors if isinstance(error, FspopError)]
        if ours:
            raise ours[0] from collected
        raise StorageUnavailable(f"{folder}: {errors[0]!r}", path=str(folder)) from collected
