import ast
import functools
import os
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def executed(path, folder):
    """Run in a fresh kernel of this interpreter, far from the repository and from any profile."""
    notebook = read(path)
    # without folders of kernels "python3" is ipykernel under this interpreter, whatever else
    # goes by that name on this computer
    kernels = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels),
        timeout=120,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(
        cleanup_kc=True,  # or kernel and sockets outlive the notebook
        env=_without_a_language_model(os.environ)
        | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")]),
            "IPYTHONDIR": str(folder / "ipython"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        },
    )
    return notebook


def _without_a_language_model(environ):
    return {name: value for name, value in environ.items() if not name.startswith("OPENAI_")}


def definitions(source):
    """Names of the kinds of definition in a cell, its magics translated."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    return [type(node).__name__ for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]


def outputs(notebook, kind):
    return [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == kind
    ]


def streams(notebook, name):
    return "".join(o.text for o in outputs(notebook, "stream") if o.name == name)


def pictures(notebook):
    return [o for o in outputs(notebook, "display_data") if "image/png" in o.data]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The notebooks that were run, each once for all of its tests."""
    return functools.cache(lambda path: executed(path, tmp_path_factory.mktemp(path.stem)))


@pytest.fixture(scope="module")
def story(told):
    return told(ROOT / "notebooks" / "01_prices_to_belief.ipynb")


@pytest.fixture(scope="module")
def asked(told):
    return told(ROOT / "notebooks" / "04_ask_it.ipynb")


def test_there_are_notebooks_to_check():
    assert NOTEBOOKS


@each_notebook
def test_a_notebook_runs_from_top_to_bottom(path, told):
    notebook = told(path)
    assert not outputs(notebook, "error")
    assert [cell.execution_count for cell in code_cells(notebook)] == list(
        range(1, len(code_cells(notebook)) + 1)
    )
    assert "Warning" not in streams(notebook, "stderr")


def test_a_cell_that_fails_is_seen(tmp_path):
    cell = nbformat.v4.new_code_cell("import belief\n1 / 0")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "broken.ipynb")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        executed(tmp_path / "broken.ipynb", tmp_path)


def test_the_kernel_is_this_interpreter_and_imports_this_repository(tmp_path):
    source = "import sys, belief.errors\nprint(sys.executable, belief.errors.__file__, sep='\\n')"
    cell = nbformat.v4.new_code_cell(source)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "where.ipynb")
    lines = streams(executed(tmp_path / "where.ipynb", tmp_path), "stdout").splitlines()
    assert lines == [sys.executable, str(ROOT / "belief" / "errors.py")]


@each_notebook
def test_a_notebook_defines_nothing(path):
    for cell in code_cells(read(path)):
        assert definitions(cell.source) == [], cell.source


def test_definitions_are_seen_beside_a_magic():
    assert definitions("%matplotlib inline\ndef f():\n    pass") == ["FunctionDef"]
    assert definitions("f = lambda: 1") == ["Lambda"]
    assert definitions("class C:\n    pass") == ["ClassDef"]
    assert definitions("%matplotlib inline\nx = 1") == []


@each_notebook
def test_a_notebook_is_kept_without_outputs(path):
    for cell in code_cells(read(path)):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}


def test_the_story_ends_with_the_close_of_2024_03_28_and_what_the_forecast_gave_it(story):
    said = streams(story, "stdout")
    assert "last close 822.79 USD" in said
    assert "NVDA on 2024-03-28, 19 sessions after 2024-03-01" in said
    assert "splits in between: []" in said
    assert "actual close on 2024-03-28: 903.56 USD" in said
    assert "inside the 90 % interval: True" in said


def test_the_story_has_its_pictures(story):
    assert len(pictures(story)) == 5


def test_the_model_is_asked_first_bare_and_then_with_the_belief_in_hand(asked):
    said = streams(asked, "stdout")
    assert "the model was not allowed to consult the belief; do not rely on its figures" in said
    assert "On 2024-03-28 Nvidia is expected at $834" in said
    assert "track record 21 sessions ahead, 2013-01-02 to 2024-03-01" in said
    assert said.index("do not rely on its figures") < said.index("track record 21 sessions ahead")


def test_of_the_sentences_that_are_checked_only_the_right_one_passes(asked):
    lines = streams(asked, "stdout").splitlines()
    assert lines.count("passes") == 1
    assert sum(line.startswith("refused: ") for line in lines) >= 4
    right = lines[lines.index("passes") - 1]
    assert right == "On 2024-03-28 the median is $834, with a 90% chance between $681 and $994."


def test_a_conversation_answers_its_records_without_a_model(asked):
    lines = streams(asked, "stdout").splitlines()
    assert lines.count("(records)") == 3


def test_what_came_is_looked_at_last(asked):
    said = streams(asked, "stdout")
    assert "close on 2024-03-28: 903.56 USD" in said
    assert said.index("903.56") > said.rindex("(records)")
    assert len(pictures(asked)) == 2
