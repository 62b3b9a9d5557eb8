"""Many files to order: which are to be, which are ordered already, and several at once."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..orderers import locate_orderer
from .answering import Run
from .asking import tell_orderer
from .loading import explain, load_orderer
from .manifests import FOLDER, Manifest, Shard, describe_input, find_finished, fingerprint_model
from .workers import ProcessDied, Progress, spread

if TYPE_CHECKING:
    from .order_arguments import OrderArguments, PipelineArguments, ShardArguments

# Options that change how fast the answers come; a rerun may choose others, after the memory was too small for example.
SPEED = ("batch_size", "max_tokens_per_batch", "num_workers")
# Names in a message; more are counted.
NAMED = 10


@dataclass
class Job:
    """What a process needs to know.

    Args:
        args: The orderer, the form of the input, and what to do with what is no document.
        options: How the pipeline is to order.
        settings: What answers depend on.
        processes: Number of processes that share this machine.
    """

    args: OrderArguments
    options: PipelineArguments
    settings: dict[str, Any]
    processes: int


def order_shards(args: OrderArguments, many: ShardArguments, options: PipelineArguments) -> None:
    """Order files into a folder, those left out that an earlier run has ordered, and print a summary.

    Args:
        args: `input` is a file or glob; `output` and `rejects` have to be at their defaults.
        many: The folder, the number of processes, and the part of the files.
        options: How the pipeline is to order.
    """
    assert many.output_dir is not None
    if args.output != "-" or args.rejects != type(args).rejects:
        sys.exit("With `--output_dir` files get their names from the input: leave out `--output` and `--rejects`.")
    try:
        part, parts = many.part
        shards = find_shards(args.input, Path(many.output_dir), args.format)[part::parts]
        settings = choose_settings(args, options)
        finished = find_all_finished(shards, settings)
        Path(many.output_dir, FOLDER).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    pending = [shard for shard in shards if shard not in finished]
    if pending:
        tell_orderer(args.model)
    processes = min(many.num_processes, len(pending))
    job = Job(args, options, settings, processes)
    report = Report(shards, finished)
    try:
        with report:
            for shard, result in spread(partial(start_worker, job), pending, processes, report.advance):
                report.add(shard, result)
    except ValueError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted. What is finished stays; the same command goes on with the rest.")
    print(report.summary(), file=sys.stderr)
    if report.failures:
        sys.exit(f"Not ordered: {_list_names(report.failures)}. The same command tries these again, and no others.")


def find_shards(pattern: str, output_dir: Path, form: str = "auto") -> list[Shard]:
    """Find the files that a glob matches, each once.

    Args:
        pattern: A file, or a glob, in which `**` matches folders in folders. Files in the output folder are passed over
            if this program has made it.
        output_dir: Folder of the outputs.
        form: Form of the input; with auto the names have to tell it.

    Returns:
        The files with their outputs, sorted by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If one cannot be read, lies in the output folder, or has the name of another one.
    """
    from ..data.files import find_files, form_of

    if pattern == "-":
        raise ValueError("With `--output_dir`, name the files to read: `--input 'shards/*.parquet'`.")
    paths = sorted(path for path in map(Path, find_files(pattern)) if not path.is_dir())
    if not paths:
        raise ValueError(f"{pattern!r} is a folder. Name its files: `--input '{pattern}/*.parquet'`.")
    folder = output_dir.resolve()
    outside = [path for path in paths if not path.parent.resolve().is_relative_to(folder)]
    if not outside or (len(outside) < len(paths) and not (folder / FOLDER).is_dir()):
        inside = next(path for path in paths if path not in outside)
        raise ValueError(f"{inside} is input, and lies in --output_dir {output_dir}. Choose a folder without input.")
    inputs: dict[str, Path] = {}
    shards = []
    for path in outside:
        if not path.is_file():
            raise ValueError(f"{path} is no file that could be read, but a pipe or a link to nothing.")
        try:
            if form == "auto":
                form_of(path.name)
        except ValueError as error:
            raise ValueError(f"{path}: {error} What other files hold is said with `--format`.") from error
        shard = Shard(path, output_dir / path.name)
        for name in (shard.output.name, shard.rejects.name):
            first = inputs.setdefault(name, path)
            if first != path:
                raise ValueError(
                    f"{first} and {path} would both be written to {output_dir / name}. Rename one, or order their "
                    "folders one by one, each to an --output_dir of its own."
                )
        shards.append(shard)
    return shards


def choose_settings(args: OrderArguments, options: PipelineArguments) -> dict[str, Any]:
    """Choose what answers depend on: the model's content and those options that do not only change the speed.

    Raises:
        OSError: If there is no such model.
    """
    chosen = {name: value for name, value in vars(options).items() if name not in SPEED}
    try:
        fingerprint = fingerprint_model(locate_orderer(args.model))
    except OSError as error:
        raise OSError(explain(args.model, error)) from error
    return {"model": fingerprint, "format": args.format, **chosen}


def find_all_finished(shards: list[Shard], settings: dict[str, Any]) -> dict[Shard, Manifest]:
    """Find the shards that were ordered before.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If outputs are there that were made in another way; the message tells of the first one, and how
            many more there are.
    """
    finished: dict[Shard, Manifest] = {}
    others: list[ValueError] = []
    for shard in shards:
        try:
            manifest = find_finished(shard, settings)
        except ValueError as error:
            others.append(error)
        else:
            if manifest is not None:
                finished[shard] = manifest
    if len(others) > 1:
        raise ValueError(f"{others[0]} So it is with {len(others)} of the {len(shards)} files.")
    if others:
        raise others[0]
    return finished


def start_worker(job: Job, number: int) -> Any:
    """Load the pipeline in a process; returns what orders a shard."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # One bar for all is the parent's.
    threads = max(1, torch.get_num_threads() // job.processes)
    torch.set_num_threads(threads)
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # Those of the tokenizer.
    device = None if job.options.int8 else choose_device(number)  # Bytes are for the processor.
    return partial(order_shard, job, load_orderer(job.args.model, device=device, **vars(job.options)))


def choose_device(number: int) -> str | None:
    """Choose the device of a process: each its own, as long as there are; None leaves a single one to the pipeline."""
    import torch

    devices = torch.accelerator.device_count()
    accelerator = torch.accelerator.current_accelerator()
    return None if accelerator is None or devices < 2 else f"{accelerator.type}:{number % devices}"


def order_shard(job: Job, pipeline: Any, shard: Shard, progress: Progress) -> Manifest | str:
    """Order a shard; returns its manifest, or why there is none."""
    from ..data.atomic import write_whole
    from ..model.configuration_sentence_ordering import __version__

    args = replace(job.args, input=str(shard.input), output=str(shard.output))
    rejects = [shard.rejects] if args.on_error == "skip" else []
    try:
        source = describe_input(shard.input)
        # The output gets its name last, so that it is never there without its manifest and rejects.
        with write_whole(shard.manifest, *rejects, shard.output) as (manifest_file, *rejects_file, output):
            run = Run(pipeline, args, job.options.overlong, output, *rejects_file)
            run.answer_all(progress)
            if not run.failure and run.read != run.answered + run.rejected:
                run.failure = f"{shard.input}: {run.read} documents were read, but {run.answered} ordered."
            if run.failure:
                raise ValueError(f"{run.failure}{run.advice}")
            manifest = Manifest(
                source, output.tell(), args.model, __version__, job.settings, run.read, run.answered, run.rejected
            )
            manifest_file.write(manifest.to_json())
            if not rejects:
                shard.rejects.unlink(missing_ok=True)  # Those of a run before, which this one has ordered.
    except OSError as error:
        return f"{error.filename or shard.output}: {error.strerror or error}."
    except ValueError as error:
        return str(error)
    return manifest


class Report:
    """Counts documents while shards are ordered, in a progress bar, and sums up.

    How many there will be is estimated from the sizes of the files that are finished.

    Args:
        shards: All shards.
        finished: Those that were ordered before.
    """

    def __init__(self, shards: list[Shard], finished: dict[Shard, Manifest]) -> None:
        from transformers.utils.logging import tqdm

        self.before = len(finished)
        self.manifests = dict(finished)
        self.failures: list[Shard] = []
        self.advanced: dict[Shard, int] = {}
        self.sizes = {shard: shard.input.stat().st_size for shard in shards}
        ordered = sum(manifest.ordered for manifest in finished.values())
        self.bar: Any = tqdm(desc="Ordering", unit=" documents", initial=ordered, total=self._estimate())

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, shard: Shard, count: int) -> None:
        """Count documents of a shard that is not finished yet."""
        self.advanced[shard] = self.advanced.get(shard, 0) + count
        self.bar.update(count)

    def add(self, shard: Shard, result: Manifest | str | ProcessDied) -> None:
        """Take note of a shard's manifest, or tell at once why it has none."""
        from tqdm import tqdm

        advanced = self.advanced.pop(shard, 0)
        if isinstance(result, Manifest):
            self.manifests[shard] = result
            self.bar.total = self._estimate()
        else:
            self.bar.update(-advanced)
            self.failures.append(shard)
            reason = f"{shard.input}: {result}." if isinstance(result, ProcessDied) else result
            tqdm.write(f"Not ordered: {reason}", file=sys.stderr)

    def summary(self) -> str:
        """Sum up, in two lines."""
        now = len(self.manifests) - self.before
        documents, ordered, rejected = (
            sum(getattr(manifest, name) for manifest in self.manifests.values())
            for name in ("documents", "ordered", "rejected")
        )
        return (
            f"Files: {now:,} ordered, {self.before:,} ordered before, {len(self.failures):,} failed.\n"
            f"Documents of the ordered ones: {documents:,} in = {ordered:,} out + {rejected:,} rejected."
        )

    def _estimate(self) -> int | None:
        known = sum(self.sizes[shard] for shard in self.manifests)
        ordered = sum(manifest.ordered for manifest in self.manifests.values())
        return round(ordered * sum(self.sizes.values()) / known) if known else None


def _list_names(shards: list[Shard]) -> str:
    names = ", ".join(str(shard.input) for shard in shards[:NAMED])
    return names + (f" and {len(shards) - NAMED} more" if len(shards) > NAMED else "")
