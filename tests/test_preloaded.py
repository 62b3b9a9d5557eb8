"""The preloaded Python behaves as Python does, but for what it has imported."""

import os
import signal
import subprocess
import sys

import pytest


def outcome(python, *arguments, **options):
    run = subprocess.run([python, *arguments], capture_output=True, **options)
    return run.returncode, run.stdout, run.stderr.splitlines()[-1:]


@pytest.mark.parametrize(
    "code",
    [
        "import os, sys; print(sys.argv, os.getcwd(), os.environ['WORD'], sys.path[0], __name__)",
        "import sys; sys.exit(7)",
        "import sys; sys.exit('It cannot be done.')",
        "1 / 0",
        "import sys; print(sys.stdin.read().upper(), end='')",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "print('\\N{SNOWMAN}')",
        "import sys; sys.stdout = open('/dev/full', 'w'); print(1)",
        "import sys; sys.stdin = open(0); print(input())",
    ],
)
def test_code_ends_as_in_python(code, python, tmp_path):
    options = {"input": b"a word\n", "cwd": tmp_path, "env": os.environ | {"WORD": "word", "PYTHONIOENCODING": "ascii"}}
    assert outcome(python, "-c", code, "one", **options) == outcome(sys.executable, "-c", code, "one", **options)


def test_it_has_imported_before_it_was_asked(python):
    code = "import sys; print(*(name in sys.modules for name in ('torch', 'transformers', 'sentence_ordering')))"
    assert outcome(python, "-c", code) == (0, b"True True False\n", [])


def test_one_of_them_has_imported_torch_alone(python_with_torch):
    names = "('torch', 'torch._dynamo', 'transformers', 'huggingface_hub', 'sentence_ordering')"
    code = f"import sys; print(*(name in sys.modules for name in {names}))"
    assert outcome(python_with_torch, "-c", code) == (0, b"True True False False False\n", [])


def test_scripts_and_modules_are_run(python, tmp_path):
    (tmp_path / "script.py").write_text("import sys; print(sys.argv[1:], __name__, sys.path[0])")
    for arguments in (("script.py", "one"), ("-m", "script", "one")):
        assert outcome(python, *arguments, cwd=tmp_path) == outcome(sys.executable, *arguments, cwd=tmp_path)


def test_program_dies_with_what_stands_for_it(python):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE) as process:
        program = int(process.stdout.readline())
        process.kill()
        assert process.stdout.read() == b""  # It has ended.
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)
