"""Tasks spread over processes, which load what they need once, and of which any may die at any moment."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
# Called with a number of documents.
Progress = Callable[[int], Any]

# A forked process inherits threads' locks, and cannot use a GPU that its parent has used.
START_METHOD = "spawn"


class ProcessDied(Exception):
    """A process ended before its task was done."""


def spread(
    start: Callable[[int], Callable[[Task, Progress], Result]],
    tasks: Sequence[Task],
    processes: int,
    progress: Callable[[Task, int], Any],
) -> Iterator[tuple[Task, Result | ProcessDied]]:
    """Spread tasks over processes; each gets the next one when it is done with the one before.

    A process that dies costs its task alone: another one takes its place.

    Args:
        start: Called in every process, with its number from 0; returns what handles a task. It has to be pickled, like
            tasks and results.
        tasks: The tasks.
        processes: Number of processes.
        progress: Called with a task and a number of documents of it, whenever its handler tells one.

    Yields:
        Tasks with their results, as they come.

    Raises:
        ValueError: If `start` raises OSError or ValueError in a process, with the same message; or if all processes
            die before they get a task.

    Example:
        >>> list(spread(partial(load, "output/quickstart"), ["a.jsonl", "b.jsonl"], 2, progress))
        [('b.jsonl', 770), ('a.jsonl', 42)]
    """
    pending = deque(tasks)
    workers: dict[Any, _Worker] = {}

    def add_worker(number: int) -> None:
        worker = _Worker(start, number)
        workers[worker.connection] = worker

    try:
        for number in range(min(processes, len(pending))):
            add_worker(number)
        while pending or any(worker.task is not None for worker in workers.values()):
            for connection in wait(list(workers)):
                worker = workers[connection]
                try:
                    kind, value = worker.connection.recv()
                except (EOFError, OSError):
                    del workers[connection]
                    worker.process.join()
                    end = _describe(worker.process.exitcode)
                    if worker.task is not None:
                        yield worker.task, ProcessDied(f"its process died ({end})")
                        if pending:
                            add_worker(worker.number)
                    elif pending and not workers:
                        raise ValueError(f"No process is left: they died while they started ({end}).") from None
                    continue
                if kind == "error":
                    raise ValueError(value)
                if kind == "progress":
                    progress(worker.task, value)
                    continue
                if kind == "result":
                    task, worker.task = worker.task, None
                    yield task, value
                if pending:
                    worker.give(pending.popleft())
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.process.join()


class _Worker:
    """A process, and the way to it."""

    def __init__(self, start: Callable[[int], Any], number: int) -> None:
        context: Any = get_context(START_METHOD)
        self.number = number
        self.task: Any = None
        self.connection, far_end = context.Pipe()
        self.process = context.Process(target=_work, args=(start, number, far_end), daemon=True)
        self.process.start()
        far_end.close()  # So that the connection ends with the process.

    def give(self, task: Any) -> None:
        self.task = task
        with suppress(OSError):  # That it has died shows when its answer is read.
            self.connection.send(task)


def _work(start: Callable[[int], Any], number: int, connection: Connection[Any, Any]) -> None:
    """Handle tasks until there are no more; runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process.

    def tell(count: int) -> None:
        try:
            connection.send(("progress", count))
        except OSError:  # The parent was killed.
            sys.exit(1)

    with suppress(EOFError, ConnectionError):  # The parent has ended.
        try:
            handle = start(number)
        except (OSError, ValueError) as error:
            connection.send(("error", str(error)))
            return
        # So that what was written aside is removed. Not before: an import that is ended shows a traceback.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        connection.send(("ready", None))
        while True:
            connection.send(("result", handle(connection.recv(), tell)))


def _describe(exit_code: int | None) -> str:
    """Describe how a process ended; a signal's number is its exit code below zero."""
    if exit_code is not None and exit_code < 0:
        return f"signal {-exit_code}, {signal.Signals(-exit_code).name}"
    return f"exit status {exit_code}"
