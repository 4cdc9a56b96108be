"""The house holds: imports go one way, and each side, each heavy package, stays in its place."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
LAYERS = [
    {
        "loadtests",
        "loadtests.child",
        "loadtests.clock",
        "loadtests.limits",
        "loadtests.redact",
        "loadtests.stop",
        "loadtests.units",
    },
    {
        "loadtests.counters",
        "loadtests.draws",
        "loadtests.guard",
        "loadtests.histogram",
        "loadtests.loads",
        "loadtests.proxies",
        "loadtests.shards",
    },
    {"loadtests.record", "loadtests.formats", "loadtests.phrases", "loadtests.tokens"},
    {
        "loadtests.bodies",
        "loadtests.link",
        "loadtests.derive",
        "loadtests.errors",
        "loadtests.sse",
        "loadtests.schedule",
    },
    {
        "loadtests.coding",
        "loadtests.manifest",
        "loadtests.ratelimit",
        "loadtests.seal",
        "loadtests.wire",
        "loadtests.sink",
        "loadtests.mock",
    },
    {"loadtests.parts", "loadtests.profiles", "loadtests.calibration", "loadtests.shipping"},
    {"loadtests.imports", "loadtests.merge", "loadtests.store", "loadtests.workload"},
    {"loadtests.arrival", "loadtests.dialect", "loadtests.headroom", "loadtests.targets"},
    {"loadtests.reader", "loadtests.scrape"},
    {"loadtests.columns"},
    {"loadtests.send", "loadtests.probe"},
    {"loadtests.plan", "loadtests.client", "loadtests.flight", "loadtests.given", "loadtests.arms"},
    {"loadtests.tally"},
    {
        "loadtests.budget",
        "loadtests.conduct",
        "loadtests.slots",
        "loadtests.defaults",
        "loadtests.contradictions",
        "loadtests.ledger",
    },
    {"loadtests.connections"},
    {
        "loadtests.course",
        "loadtests.fit",
        "loadtests.lease",
        "loadtests.places",
        "loadtests.options",
        "loadtests.played",
        "loadtests.pulse",
    },
    {"loadtests.admission", "loadtests.arrivals", "loadtests.fleet", "loadtests.forecast", "loadtests.missing"},
    {"loadtests.assembly", "loadtests.hopeless"},
    {"loadtests.agent", "loadtests.engine", "loadtests.finish", "loadtests.rundir", "loadtests.watch"},
    {"loadtests.orders"},
    {
        "loadtests.asking",
        "loadtests.campaign",
        "loadtests.dispatch",
        "loadtests.live",
        "loadtests.locust_shape",
    },
    {"loadtests.run", "loadtests.standing", "loadtests.users"},
    {"loadtests.exposed", "loadtests.worker", "loadtests.locust_end", "loadtests.locust_tab", "loadtests.calibrate"},
    {"loadtests.locust_run", "loadtests.locust_worker"},
    {"loadtests.locust_master"},
    {"loadtests.plugin"},
    {"loadtests.locustfile"},
    {"loadtests.cli"},
]
"""A module imports only from layers above its own row; inside a row only within its own folder."""

OF_ANALYSIS = [
    {"analysis", "analysis.glance", "analysis.load", "analysis.memory", "analysis.places", "analysis.stats"},
    {"analysis.rundir"},
    {"analysis.arms", "analysis.derived", "analysis.facts", "analysis.failures", "analysis.series", "analysis.sources"},
    {"analysis.accounting", "analysis.campaign", "analysis.window"},
    {"analysis.inside", "analysis.objectives"},
    {"analysis.measured"},
    {"analysis.sums"},
    {"analysis.metrics"},
    {"analysis.groups", "analysis.units"},
    {"analysis.checks", "analysis.fairness", "analysis.rows", "analysis.server"},
    {"analysis.validity"},
    {"analysis.summary"},
    {"analysis.digest", "analysis.table"},
    {"analysis.capacity"},
    {"analysis.others", "analysis.quantiles"},
    {"analysis.compare", "analysis.files"},
    {"analysis.gate", "analysis.replicates"},
    {"analysis.charts"},
    {"analysis.report"},
    {"analysis.runs"},
    {"analysis.capacity.report"},
    {"analysis.verify"},
]
"""The same for the other side, from the rows of a run to the page that people read."""

APART = {"analysis.capacity.report"}
"""Modules that stand in a row of their own, not in their folder's: the page reads the charts, which read the others."""

OF_LOADTESTS_FOR_ANALYSIS = {"loadtests.record"}


@cache
def modules(package: str) -> dict[str, set[str]]:
    """Every module of a package with what it imports of ours."""
    found: dict[str, set[str]] = {}
    for path in sorted((HOME / package).rglob("*.py")):
        name = (
            ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__").removesuffix(".__main__")
        )
        found[name] = found.get(name, set()) | imported(ast.parse(path.read_text()))
    return found


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def room(name: str) -> str:
    """The row entry a module belongs to: a folder's modules are one room."""
    parts = name.split(".")
    whole = ".".join(parts[:3])
    return whole if whole in APART else ".".join(parts[:2])


def row(name: str, layers: list[set[str]]) -> int | None:
    return next((number for number, layer in enumerate(layers) if name in layer), None)


SIDES = pytest.mark.parametrize(("package", "layers"), [("loadtests", LAYERS), ("analysis", OF_ANALYSIS)])


@SIDES
def test_every_module_has_its_place_and_no_place_is_empty(package: str, layers: list[set[str]]) -> None:
    assert {room(name) for name in modules(package)} == set().union(*layers)


@SIDES
def test_imports_go_one_way(package: str, layers: list[set[str]]) -> None:
    """What is imported for its type alone may point back: `measured` holds objectives, which are judged by it."""
    wrong = []
    for name, names in modules(package).items():
        mine = row(room(name), layers)
        for other in names:
            theirs = row(room(other), layers) if other.startswith(f"{package}.") else None
            if theirs is None or room(other) == room(name):
                continue
            assert mine is not None
            if theirs >= mine and (room(name), room(other)) not in FOR_TYPES:
                wrong.append(f"{name} imports {other}")
    assert not wrong


FOR_TYPES = {("analysis.objectives", "analysis.measured")}


class Running(ast.NodeTransformer):
    """What is left of a module when it runs: what stands there for types alone is gone."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Leave a block out that is there for types."""
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


@pytest.mark.parametrize("package", ["loadtests", "analysis"])
def test_no_module_needs_one_that_needs_it(package: str) -> None:
    """Inside a folder too, and lazy imports count: else neither could be read, or moved, without the other."""
    names = modules(package)
    left = {name: _needs(name, names) - {name} for name in names}
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}

    assert not {name: sorted(needs & left.keys()) for name, needs in left.items()}


def _needs(name: str, names: dict[str, set[str]]) -> set[str]:
    """What it imports when it runs, most closely named: of `from a.b import c` a.b.c, if that is a module."""
    folder = HOME.joinpath(*name.split("."))
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    found = imported(Running().visit(ast.parse(path.read_text()))) & names.keys()
    return {one for one in found if not any(other.startswith(f"{one}.") for other in found)}


def test_analysis_knows_one_module_of_loadtests_and_none_of_its_packages() -> None:
    for name, names in modules("analysis").items():
        ours = {room(other) for other in names if other.startswith("loadtests.")}
        assert ours <= OF_LOADTESTS_FOR_ANALYSIS, name
        assert not {other.split(".")[0] for other in names} & {"locust", "gevent", "httpx", "httptools"}, name


def test_only_the_command_line_knows_both_sides() -> None:
    for name, names in modules("loadtests").items():
        if room(name) != "loadtests.cli":
            assert not any(other == "analysis" or other.startswith("analysis.") for other in names), name


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        (
            "locust",
            {
                "loadtests.users",
                "loadtests.worker",
                "loadtests.plugin",
                "loadtests.locust_master",
                "loadtests.locust_run",
                "loadtests.locust_worker",
                "loadtests.locust_shape",
            },
        ),
        ("httpcore", {"loadtests.wire"}),
        ("httptools", {"loadtests.wire", "loadtests.mock"}),
        ("pydantic", {"loadtests.profiles", "loadtests.workload"}),
        ("click", {"loadtests.cli"}),
        ("rich", {"loadtests.cli"}),
        ("zmq", {"loadtests.agent", "loadtests.fleet"}),
        ("flask", {"loadtests.locust_tab"}),
        ("pyarrow.fs", {"loadtests.store"}),
        ("psutil", {"loadtests.client"}),
        ("tokenizers", {"loadtests.tokens"}),
        ("prometheus_client", {"loadtests.scrape", "loadtests.exposed"}),
    ],
)
def test_each_package_has_its_home(package: str, rooms: set[str]) -> None:
    users = {
        room(name)
        for name, names in modules("loadtests").items()
        if any(other == package or other.startswith(f"{package}.") for other in names)
    }
    assert users <= rooms


def test_help_loads_nothing_heavy() -> None:
    """`firsttoken --help` answers at once because it imports click and little else."""
    script = (
        "import sys; sys.argv = ['firsttoken', '--help']\n"
        "from loadtests.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'locust', 'gevent', 'pandas', 'numpy', 'pyarrow', 'httpx', 'pydantic', 'rich', 'matplotlib'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout


def test_no_module_carries_the_name_of_a_standard_one() -> None:
    """Locust puts the locustfile's folder first on sys.path while it loads it."""
    names = {path.stem for path in (HOME / "loadtests").glob("*.py")} | {
        path.name for path in (HOME / "loadtests").iterdir() if path.is_dir()
    }
    assert not names & set(sys.stdlib_module_names)
    assert not names & {"locust", "gevent", "httpx", "click", "rich"}


def test_files_stay_readable() -> None:
    """50 to 300 lines is the house rule; 300 is the wall."""
    long = [
        f"{path.relative_to(HOME)}: {lines}"
        for package in ("loadtests", "analysis")
        for path in (HOME / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    ]
    assert not long
