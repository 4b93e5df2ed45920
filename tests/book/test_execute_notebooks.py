"""The script that makes the book's outputs."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scripts import bootstrap_cell
from scripts.execute_notebooks import execute, is_normal, main, normalise


@pytest.fixture
def chapter(tmp_path):
    """Writes a notebook of the given code cells and returns its path."""

    def write(*sources):
        cells = [new_markdown_cell("# Title"), *(new_code_cell(source) for source in sources)]
        path = tmp_path / "chapter.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write


def messy():
    """As an editor leaves a notebook behind."""
    stream = {"output_type": "stream", "name": "stdout"}
    return new_notebook(
        metadata={
            "kernelspec": {"name": "mine", "display_name": "Mine", "language": "python"},
            "language_info": {"name": "python", "version": "3.11.7"},
            "widgets": {"state": {}},
        },
        cells=[
            new_markdown_cell("# Title", metadata={"editable": True}),
            new_code_cell(
                "print('a'); print('b'); 3",
                execution_count=17,
                metadata={"tags": ["hide-input"], "execution": {"iopub.status.busy": "2026"}},
                outputs=[
                    nbformat.from_dict(stream | {"text": "a\n"}),
                    nbformat.from_dict(stream | {"text": "b\n"}),
                    new_output("execute_result", data={"text/plain": "3"}, execution_count=17),
                ],
            ),
            new_code_cell("4", execution_count=18),
        ],
    )


def test_normalise_keeps_what_authors_write_and_nothing_else():
    notebook = normalise(messy())
    first, second = notebook.cells[1:]
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert "widgets" not in notebook.metadata
    assert notebook.cells[0].metadata == {}
    assert first.metadata == {"tags": ["hide-input"]}
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert [output.output_type for output in first.outputs] == ["stream", "execute_result"]
    assert first.outputs[0].text == "a\nb\n"
    assert first.outputs[1].execution_count == 1


def test_normalise_twice_is_normalise_once():
    once = nbformat.writes(normalise(messy()))
    assert nbformat.writes(normalise(nbformat.reads(once, as_version=4))) == once


def test_a_messy_notebook_is_told_from_a_normal_one(tmp_path):
    notebook, path = messy(), tmp_path / "chapter.ipynb"
    nbformat.write(notebook, path)
    assert not is_normal(path)
    assert main(["--check", str(path)]) == 1
    nbformat.write(normalise(notebook), path)
    assert is_normal(path)
    assert main(["--check", str(path)]) == 0


def test_execute_runs_in_the_notebooks_folder_the_same_way_every_time(chapter):
    path = chapter(
        "from pathlib import Path\nimport os\nPath('chapter.ipynb').exists()",
        "print(os.environ['OMP_NUM_THREADS'], repr(os.environ['CUDA_VISIBLE_DEVICES']))",
        "print({'a', 'b', 'c', 'd'}, hash('direid') != 0)",
    )
    assert execute(path, timeout=60) > 0
    first = path.read_bytes()
    cells = nbformat.read(path, as_version=4).cells
    assert cells[1].outputs[0].data["text/plain"] == "True"
    assert cells[2].outputs[0].text == "1 ''\n"
    assert is_normal(path)
    execute(path, timeout=60)
    assert path.read_bytes() == first


def test_a_notebook_that_fails_is_left_as_it_was(chapter, capsys):
    path = chapter("print('before')", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError):
        execute(path, timeout=60)
    assert main([str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["chapter.ipynb"]


def test_the_bootstrap_cell_does_nothing_off_colab(capsys):
    exec(bootstrap_cell.bootstrap_cell(), {})
    assert capsys.readouterr() == ("", "")


def test_the_bootstrap_cell_is_written_over_an_old_one_but_over_nothing_else(chapter):
    path = chapter("import sys\nif 'google.colab' in sys.modules: ...", "1 + 1")
    bootstrap_cell.write(path)
    cells = nbformat.read(path, as_version=4).cells
    assert cells[1].source == bootstrap_cell.bootstrap_cell()
    assert cells[1].metadata == bootstrap_cell.METADATA
    assert cells[2].source == "1 + 1"
    with pytest.raises(SystemExit):
        bootstrap_cell.write(chapter("1 + 1"))
