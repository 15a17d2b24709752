import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BELIEF = ROOT / "belief"
TOOLS = ROOT / "tools" / "belief_tools"

# A module imports only from those above it.
ORDER = (
    "errors",
    "paths",
    "freed_memory",
    "sessions",
    "events",
    "prices",
    "bars",
    "tables",
    "sources",
    "frames",
    "audit_rows",
    "audit_series",
    "audit",
    "yahoo",
    "observations",
    "market",
    "fitted_model",
    "posterior",
    "drift",
    "forecast",
    "view",
    "mixture",
    "scores",
    "student_t",
    "hmm",
    "grid_kernels",
    "volatility_grid",
    "grid_forecast",
    "grid_belief",
    "grid_likelihood",
    "volatility_grid_fit",
    "transitions",
    "change_bounded",
    "few_state",
    "few_state_fit",
    "return_bins",
    "chain",
    "garch",
    "baselines",
    "models",
    "model_cache",
    "library",
    "backtest_parts",
    "backtest",
    "backtest_summary",
    "track_record",
    "backtest_sheet",
    "store_schema",
    "store_opening",
    "store",
    "ledger_entries",
    "ledger",
    "ledger_scores",
    "refit_gate",
    "refit",
    "plots",
    "volatility_plot",
    "backtest_plots",
)
MODELLING = ORDER[ORDER.index("observations") :]
PANDAS_DOORS = {"sessions", "frames", "plots"}
# Where parsing, showing and serving happen, and which of them are parts of another.
EDGES = {
    "cli": {"cli_evaluate", "cli_mcp", "cli_serve", "cli_store"},
    "cli_evaluate": set(),
    "cli_mcp": {"http_door", "mcp_http", "mcp_server"},
    "cli_serve": {"http_door", "page_access", "page_token", "web", "web_state"},
    "cli_store": set(),
    "http_door": set(),
    "mcp_http": {"http_door"},
    "mcp_server": set(),
    "page_access": {"http_door", "page_token"},
    "page_token": set(),
    "web": {"web_ask", "web_layout", "web_look", "web_refit", "web_state", "web_view"},
    "web_ask": {"web_state"},
    "web_layout": set(),
    "web_look": {"web_state"},
    "web_refit": {"web_state"},
    "web_state": set(),
    "web_view": {"web_look", "web_state"},
}


def imported(path, package):
    """Full names of everything a file imports, wherever in the file it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def modules(folder):
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}


def siblings(stem):
    """Modules of belief/ that a module of belief/ imports."""
    names = imported(BELIEF / f"{stem}.py", "belief")
    return {name.split(".")[1] for name in names if name.startswith("belief.")} & set(
        modules(BELIEF)
    )


def test_every_module_has_its_place_in_the_order():
    assert set(modules(BELIEF)) == set(ORDER)


@pytest.mark.parametrize("stem", ORDER)
def test_a_module_imports_only_from_those_above_it(stem):
    above = set(ORDER[: ORDER.index(stem)])
    assert siblings(stem) <= above


def test_imports_inside_functions_and_type_checking_blocks_are_seen():
    assert "hmm" in siblings("few_state")
    assert {"few_state", "prices", "sessions"} <= siblings("models")
    assert "exchange_calendars.get_calendar" in imported(BELIEF / "sessions.py", "belief")


@pytest.mark.parametrize("stem", MODELLING)
def test_what_models_compute_does_not_depend_on_where_prices_come_from(stem):
    assert "sources" not in siblings(stem)


def every_file():
    return [*sorted(BELIEF.rglob("*.py")), *sorted(TOOLS.rglob("*.py"))]


def test_the_estimator_knows_nothing_of_the_language_model():
    for path in sorted(BELIEF.rglob("*.py")):
        roots = {name.split(".")[0] for name in imported(path, "belief")}
        assert not roots & {"belief_tools", "openai", "xllamacpp", "dateparser", "typer"}, path


def test_pandas_stays_at_the_doors():
    for path in every_file():
        roots = {name.split(".")[0] for name in imported(path, path.parent.name)}
        assert "pandas" not in roots or path.stem in PANDAS_DOORS, path


def test_nothing_imports_an_edge():
    for path in every_file():
        if path.stem == "__main__":
            continue
        names = imported(path, path.parent.name)
        others = set(EDGES) - EDGES.get(path.stem, set())
        assert not names & {f"belief_tools.{edge}" for edge in others}, path
