r"""Order the documents of Parquet files on a Ray cluster (extra `ray`), and go on where a crash left off.

    python scripts/order_ray.py --model user/orderer --input 's3://bucket/shards/*.parquet' \
        --output_dir s3://bucket/ordered --num_actors 8 --num_gpus 1

Each actor holds the pipeline, on GPUs of its own with `--num_gpus`. Input and output are on any filesystem that pyarrow
knows. A row has an id and the columns that `sentence-ordering order` reads; the output has the same columns, with the
sentences in reading order, and `order`, `scores`, `positions` and `confidence` added. Rows come in any order.

What is done is noted by id beside the output, in `--checkpoint_dir`: the same command goes on after a crash of the
program or the cluster. At the end the ids of the output are compared with those of the input: each must be there once.
Read the output only then.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sentence_ordering.commands.arguments import parse_arguments
from sentence_ordering.commands.order_arguments import PipelineArguments
from sentence_ordering.orderers import DEFAULT_ORDERER

if TYPE_CHECKING:
    from cluster.tables import Place

# Seconds in which a cluster must answer.
PATIENCE = 10.0
# Ray reads, writes and looks up what is done on CPUs besides those of the actors, one for each at least.
OTHER_CPUS = 2


@dataclass
class RayArguments:
    """What to order with what, on how many machines."""

    input: str = field(metadata={"help": "Parquet file, folder of such, or pattern; a path or a URI."})
    output_dir: str = field(metadata={"help": "Folder to write Parquet files to; a path or a URI."})
    model: str = field(
        default=DEFAULT_ORDERER,
        metadata={"help": "Orderer: general, a Hub id, or a folder that all machines see."},
    )
    checkpoint_dir: str | None = field(
        default=None,
        metadata={"help": "Folder to note in what is done, seen by all machines; by default OUTPUT_DIR.checkpoint."},
    )
    id_column: str = field(default="id", metadata={"help": "Column of the ids: integers or strings, each once."})
    on_error: Literal["stop", "skip"] = field(
        default="stop",
        metadata={"help": "At a row that is no document: stop, or keep it without an answer and with a `reason`."},
    )
    num_actors: int = field(default=1, metadata={"help": "Number of processes that hold the pipeline."})
    num_cpus: float = field(default=1, metadata={"help": "CPUs of each."})
    num_gpus: float = field(default=0, metadata={"help": "GPUs of each; two processes share one with 0.5."})
    num_blocks: int | None = field(
        default=None,
        metadata={"help": "Number of pieces of the input; by default Ray decides. A crash loses those at work."},
    )
    address: str | None = field(
        default=None, metadata={"help": "The cluster; by default the one of this machine, or a new one."}
    )


def main(argv: list[str] | None = None) -> None:
    """Order documents on a cluster.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, options = parse_arguments((RayArguments, PipelineArguments), argv, "order_ray", __doc__)
    try:
        import ray
    except ImportError:
        sys.exit("This program needs Ray: `pip install 'sentence-ordering[ray]'`.")
    from ray.exceptions import RayError

    try:
        check_address(args.address or os.environ.get("RAY_ADDRESS", ""))
        run = Run(args, options)
        ray.init(args.address, ignore_reinit_error=True)
        check_cluster(ray.cluster_resources(), args)
        run.order()
        print(run.check(), file=sys.stderr)
    except RayError as error:
        sys.exit(f"{getattr(error, 'cause', error)}\nWhat was ordered before is kept: the same command goes on.")
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))


def check_address(address: str) -> None:
    """Check that a cluster answers, to which Ray would else try to connect forever.

    Args:
        address: A host and a port, also with `ray://` before them. Anything else ("auto", "local") is left to Ray.

    Raises:
        ValueError: If it does not.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"No cluster answers at {address!r} ({error}). Is it started, and is the address right?"
        ) from error


def check_cluster(resources: dict[str, float], args: RayArguments) -> None:
    """Check that a cluster has room for the actors and for what Ray does besides, which would else wait forever.

    Args:
        resources: What `ray.cluster_resources()` returns.
        args: The actors.

    Raises:
        ValueError: If it has not.
    """
    if args.num_actors < 1:
        raise ValueError(f"`--num_actors {args.num_actors}` order nothing. Use 1 or more.")
    for name, each, others in (("CPU", args.num_cpus, OTHER_CPUS), ("GPU", args.num_gpus, 0)):
        needed, found = args.num_actors * each + others, resources.get(name, 0)
        if found < needed:
            besides = f", and {others} to read, write and look up what is done" if others else ""
            raise ValueError(
                f"The cluster has {found:g} {name}s, but {needed:g} are needed: {each:g} for each of {args.num_actors} "
                f"actors{besides}. Lower `--num_actors` or `--num_{name.lower()}s`, or start more machines."
            )


def keep_settings(checkpoint: Place, output: Place, settings: dict[str, Any]) -> None:
    """Note what a run was started with, or check that an earlier one was started with the same.

    Args:
        checkpoint: Folder to note it in.
        output: Folder that the run writes to.
        settings: What has to be the same, as JSON can hold it.

    Raises:
        ValueError: If it is not, or the output holds files of which nobody knows what they were made with.
    """
    path = f"{checkpoint.path}/settings.json"
    if checkpoint.filesystem.get_file_info(path).is_file:
        with checkpoint.filesystem.open_input_stream(path) as file:
            found = json.loads(file.read())
        if changed := [name for name in settings if found.get(name) != settings[name]]:
            raise ValueError(
                f"{output.path} was begun with another {' and another '.join(changed)}: "
                f"{', '.join(f'{name} {found.get(name)!r} is now {settings[name]!r}' for name in changed)}. Go on with "
                "the same, or write to another folder."
            )
        return
    if output.list_files():
        raise ValueError(f"{output.path} has files in it already, but not of a run noted in {checkpoint.path}.")
    checkpoint.filesystem.create_dir(checkpoint.path)
    with checkpoint.filesystem.open_output_stream(f"{path}.tmp") as file:
        file.write(json.dumps(settings).encode())
    checkpoint.filesystem.move(f"{path}.tmp", path)


class Run:
    """One run over an input, that goes on with what an earlier one has left.

    Args:
        args: The input, the output and the cluster.
        options: Options of the pipeline.

    Raises:
        ValueError: If the input is not what is wanted, or an earlier run had other options.
    """

    def __init__(self, args: RayArguments, options: PipelineArguments) -> None:
        from cluster.orderer import find_columns
        from cluster.tables import Place, check_ids, find_parquet, open_table, read_schema

        self.args, self.options = args, options
        self.input, self.output = Place.of(args.input), Place.of(args.output_dir)
        self.checkpoint = Place.of(args.checkpoint_dir or f"{args.output_dir.rstrip('/')}.checkpoint")
        self.files = find_parquet(self.input)
        read = {info.path for info in self.files}
        if self.checkpoint.path.startswith(f"{self.output.path}/") or read & {i.path for i in self.output.list_files()}:
            raise ValueError("`--output_dir` needs a folder of its own: input and `--checkpoint_dir` are elsewhere.")
        schema = read_schema(self.input.filesystem, self.files)
        self.columns = find_columns(schema, args.on_error)
        self.ids = check_ids(open_table(self.input.filesystem, self.files), args.id_column)
        keep_settings(self.checkpoint, self.output, self._settings())

    def order(self) -> None:
        """Order what is not done yet."""
        import cluster
        import ray
        from cluster.orderer import Orderer
        from ray.data.checkpoint import CheckpointConfig

        args = self.args
        ray.cloudpickle.register_pickle_by_value(cluster.orderer)  # The machines have the package, but no scripts.
        context = ray.data.DataContext.get_current()
        context.use_datasource_v2 = False  # It joins small files whatever `--num_blocks`; a crash then costs them all.
        checkpoint = CheckpointConfig(
            args.id_column,
            f"{self.checkpoint.path}/ids",
            override_filesystem=self.checkpoint.filesystem,
            delete_checkpoint_on_success=False,  # The next run would do all again, and write it a second time.
        )
        checkpoint.checkpoint_actor_pool_max_size = 1  # Up to ten could take the CPUs that reading and writing need.
        context.checkpoint_config = checkpoint
        documents = ray.data.read_parquet(
            [info.path for info in self.files],
            filesystem=self.input.filesystem,
            override_num_blocks=args.num_blocks,
        )
        ordered = documents.map_batches(
            Orderer,
            fn_constructor_args=(args.model, vars(self.options), self.columns, args.id_column, args.on_error),
            batch_format="pyarrow",
            batch_size=32 * self.options.batch_size,  # Documents of similar length share a batch of the model.
            compute=ray.data.ActorPoolStrategy(size=args.num_actors),
            num_cpus=args.num_cpus,
            num_gpus=args.num_gpus,
        )
        ordered.write_parquet(self.output.path, filesystem=self.output.filesystem)

    def check(self) -> str:
        """Check that the output holds each row of the input once.

        Returns:
            A line that says how many there are.

        Raises:
            ValueError: If it does not.
        """
        from cluster.orderer import REASON
        from cluster.tables import hash_ids, open_table
        from pyarrow.compute import field as column

        table = open_table(self.output.filesystem, self.output.list_files())
        ids = hash_ids(table, self.args.id_column)
        if not np.array_equal(ids, self.ids):
            raise ValueError(
                f"{self.args.output_dir} is not what was to be written: {len(np.setdiff1d(self.ids, ids))} rows of the "
                f"input are missing, and {len(ids) - len(np.unique(ids))} stand there once more. Delete it and "
                f"{self.checkpoint.path}, and start again."
            )
        rejected = 0 if self.args.on_error == "stop" else table.count_rows(filter=column(REASON).is_valid())
        return (
            f"{len(ids)} rows in {self.args.output_dir}: {len(ids) - rejected} ordered, {rejected} kept as they were."
        )

    def _settings(self) -> dict[str, Any]:
        """Return what has to be the same for a run to go on with what another has left."""
        files = [[info.path, info.size] for info in self.files]
        return {
            "model": self.args.model,
            "options": vars(self.options),
            "on_error": self.args.on_error,
            "id_column": self.args.id_column,
            "input": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
        }


if __name__ == "__main__":
    main()
