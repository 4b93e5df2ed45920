"""The script that makes the book's outputs."""

import json

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scripts import bootstrap_cell, execute_notebooks, run_times
from scripts.execute_notebooks import execute, is_normal, main, normalise, record


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


def test_how_long_a_notebook_took_is_recorded_beside_the_others(tmp_path):
    store = tmp_path / "run_times.json"
    record(tmp_path / "second.ipynb", 3.14159, store)
    record(tmp_path / "first.ipynb", 2.0, store)
    record(tmp_path / "second.ipynb", 5.0, store)
    chapters = json.loads(store.read_text(encoding="utf-8"))["chapters"]
    assert {name: line["seconds"] for name, line in chapters.items()} == {"first": 2, "second": 5}
    assert list(chapters) == ["first", "second"]
    assert chapters["first"]["machine"]["cores"] > 0 and chapters["first"]["versions"]["torch"]


def test_only_notebooks_of_the_book_are_timed(chapter, monkeypatch):
    monkeypatch.setattr(execute_notebooks, "record", lambda *_: pytest.fail("a test was recorded"))
    assert main([str(chapter("print(1)"))]) == 0


def test_the_page_of_run_times_is_what_its_script_writes():
    text = run_times.PAGE.read_text(encoding="utf-8")
    assert text == run_times.page(text), "run: python scripts/run_times.py"


def test_the_tables_are_made_of_what_was_recorded(tmp_path):
    results, line = tmp_path / "book" / "results", {"seconds": 61.6}
    results.mkdir(parents=True)
    line["machine"] = {"system": "Linux", "cpu": "A CPU", "cores": 2, "memory": "8 GB"}
    line["versions"] = {"python": "3.11", "torch": "2.6+cpu"}
    stored = {"chapters": {"late": line, "early": line | {"seconds": 2.4}, "unlisted": line}}
    (results / "run_times.json").write_text(json.dumps(stored))
    (results / "tiny.json").write_text(json.dumps(line | {"seconds": {"data": 3.0, "dfen": 4.0}}))
    (tmp_path / "_toc.yml").write_text(
        "parts: [{chapters: [{file: book/early}, {file: book/late}, {file: book/text}]}]"
    )
    for name in ("late", "early"):
        cells = [new_markdown_cell(f"# The {name} one\n\nText")]
        nbformat.write(new_notebook(cells=cells), tmp_path / "book" / f"{name}.ipynb")
    made = run_times.page(f"Above\n{run_times.BEGIN}\nold\n{run_times.END}\nBelow\n", tmp_path)
    rows = [row for row in made.split("\n") if row.startswith("| [")]
    assert rows == ["| [The early one](early.ipynb) | 2 |", "| [The late one](late.ipynb) | 62 |"]
    assert "| **all 2** | **64** |" in made and "| **all of it** | **7** |" in made
    assert "old" not in made and made.startswith("Above\n") and made.endswith("\nBelow\n")
    assert made.count("A CPU, 2 cores") == 2  # once for the chapters, once for the main job
    assert run_times.page(made, tmp_path) == made


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
