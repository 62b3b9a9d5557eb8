from dataclasses import dataclass, field

import pytest

from sentence_ordering.commands.arguments import parse_arguments


@dataclass
class Arguments:
    name: str
    rate: float = 0.5
    flag: bool = False
    many: list[int] = field(default_factory=list)
    table: dict | str | None = None


def parse(*argv, **kwargs):
    return parse_arguments((Arguments,), argv, "test", "What it does.", **kwargs)[0]


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("name: file\nrate: 1e-4\nflag: true\nmany: [1, 2]\ntable: {a: 1}\n")
    return str(path)


def test_file_sets_options(settings):
    assert parse(settings) == Arguments("file", 1e-4, True, [1, 2], '{"a": 1}')


def test_command_line_overrides_the_file_and_the_file_the_defaults(settings):
    arguments = parse(settings, "--rate", "3", defaults={"rate": 7, "name": "default"})
    assert (arguments.name, arguments.rate) == ("file", 3.0)
    assert parse(defaults={"name": "default"}).name == "default"


def test_null_leaves_the_default(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("name: file\nrate: null\n")
    assert parse(str(path)).rate == 0.5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: --name"),
        (["--name", "x", "--rte", "3"], "unrecognized arguments: --rte 3"),
        (["--nam", "x"], "required: --name"),
        (["--name", "x", "--rate", "fast"], "argument --rate: invalid float value: 'fast'"),
        (["absent.yaml"], "cannot read absent.yaml"),
        (["stories.jsonl"], "stories.jsonl is no file of options (.yaml). What to read is named by an option"),
    ],
)
def test_wrong_arguments_end_with_a_message(argv, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(*argv)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [("rte: 3\nname: x\n", "--rte 3"), ("- a\n", "holds no options"), ("a: [", "cannot read")],
)
def test_wrong_file_ends_with_a_message(text, message, tmp_path, capsys):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        parse(str(path))
    assert message in capsys.readouterr().err


def test_options_that_do_not_go_together_end_with_one_line():
    @dataclass
    class Picky:
        def __post_init__(self):
            raise ValueError("not on this machine")

    with pytest.raises(SystemExit, match="^not on this machine$"):
        parse_arguments((Picky,), [], "program", None)
