"""A Python that has modules imported before it is asked for: each run is a fork, and begins at once.

`python preloaded.py SOCKET MODULES` waits for runs, and `CLIENT` stands for `python` in commands. It knows the options
`-c`, `-m` and `-u` alone, its streams may not be closed, and what those modules read on import (transformers HF_HOME,
torch OMP_NUM_THREADS) is the server's.
"""

import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

# The first line's options leave out what takes time; `{socket}` is where the server listens.
CLIENT = """#!{python} -SE
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
socket.send_fds(server, [b"."], [0, 1, 2])
asked = [os.getcwd(), os.getpgid(0), dict(os.environ), sys.argv[1:]]
server.sendall(json.dumps(asked).encode() + b"\\n")
status = os.waitstatus_to_exitcode(int(server.recv(20)))
if status < 0:
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


def serve(path: str) -> list[str]:
    """Wait for runs; return in the process of each, with its arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for minders.
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{path}.new")
    server.listen(64)
    os.rename(f"{path}.new", path)
    while True:
        client, _ = server.accept()
        if os.fork() == 0:
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _, streams, *_ = socket.recv_fds(client, 1, 3)
            folder, group, environment, arguments = json.loads(client.makefile("rb").readline())
            program = os.fork()
            if program == 0:
                become(client, streams, folder, group, environment)
                return arguments
            _, status = os.waitpid(program, 0)
            with suppress(OSError):  # It was killed.
                client.sendall(b"%d" % status)
            os._exit(0)
        client.close()


def become(client, streams, folder, group, environment):
    """Take a client's streams, folder, process group and environment, and end with it."""
    with suppress(PermissionError):  # It is of another session.
        os.setpgid(0, group)
    fcntl.fcntl(client, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(client, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(client, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    client.detach()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    encoding, _, errors = environment.get("PYTHONIOENCODING", "utf-8").partition(":")
    unbuffered = bool(environment.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw) if number else io.BufferedReader(raw),
            encoding,
            "backslashreplace" if number == 2 else errors or "strict",
            line_buffering=number == 2,
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(arguments: list[str]) -> None:
    """Run what Python would run of these arguments."""
    first, *rest = arguments[arguments[0] == "-u" :]
    if first == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path[0] = ""
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    elif first == "-m":
        sys.argv = rest
        sys.path[0] = os.getcwd()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        sys.path[0] = str(Path(first).resolve().parent)  # Of a folder runpy puts the folder itself before it.
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()  # What was imported is not looked through when a fork ends.
    run(serve(sys.argv[1]))
