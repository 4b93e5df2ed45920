"""What every chapter must have, read from the stored notebook alone: no kernel runs here.

Each rule is a function from a notebook to the complaints it has. Every notebook of the book must
draw none; and a notebook that breaks every rule on purpose must draw one from each, so that no rule
can fall silent.
"""

import re
from collections.abc import Iterator

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scripts.bootstrap_cell import METADATA, bootstrap_cell
from scripts.execute_notebooks import BOOK, is_normal, notebooks

NOTEBOOKS = notebooks()

# A reader on a telephone, GitHub's viewer and Colab all load the whole file, pictures included.
# Grids of faces need more than line plots, so there is room for some; a chapter that needs more
# than this should draw smaller pictures.
LARGEST = 2_000_000

HEADINGS = [
    "## What you will learn", "## What breaks without it", "## What to remember", "## Exercises",
]  # fmt: skip
BOX = ["You need", "Paper", "Time", "Hardware", "Data"]  # what the reader is told beforehand
MACHINE_PATH = re.compile(
    r"(?<![\w.:/~])/(?:home|root|Users|tmp|var|mnt|opt|usr|work)/\w|\b[A-Z]:\\\w"
)
RAW_IMAGE = re.compile(r"!\[(.*?)\]\(|<img\b([^>]*)>")


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def outputs(notebook) -> Iterator[tuple[int, dict, dict]]:
    """Number and metadata of the cell, and each of its outputs."""
    for number, cell in enumerate(code_cells(notebook), 1):
        for output in cell.outputs:
            yield number, cell.metadata, output


def run_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}: run scripts/execute_notebooks.py"
    if not any(cell.outputs for cell in code_cells(notebook)):
        yield "no cell has an output, so nbval would compare nothing"
    for number, cell in enumerate(code_cells(notebook), 1):
        if not cell.source.strip():
            yield f"code cell {number} is empty"


def no_error(notebook):
    for number, metadata, output in outputs(notebook):
        if output.output_type == "error" and "raises-exception" not in metadata.get("tags", []):
            yield f"code cell {number} fails with {output.ename}"
        if output.output_type == "stream" and output.name == "stderr":
            yield f"code cell {number} writes to stderr: {output.text[:60]!r}"


def only_text_and_pixels(notebook):
    """Widgets and scripts are blank in a static page; nbval compares the bytes of SVG and PDF."""
    if "widgets" in notebook.metadata:
        yield "the notebook holds widget state"
    for number, _, output in outputs(notebook):
        for kind, content in output.get("data", {}).items():
            script = kind == "text/html" and "<script" in "".join(content)
            if kind in {"image/svg+xml", "application/pdf"} or "javascript" in kind or script:
                yield f"code cell {number} has an output of {kind}, with or as a script or drawing"
            if kind.startswith("application/vnd."):
                yield f"code cell {number} has an output of {kind}"


def figures_are_shown(notebook):
    """A matplotlib figure is a picture only once ``%matplotlib inline`` has run."""
    for number, _, output in outputs(notebook):
        data = output.get("data", {})
        if data.get("text/plain", "").startswith("<Figure size") and "image/png" not in data:
            yield f"code cell {number} shows a figure as text: %matplotlib inline first"


def pictures_are_described(notebook):
    """For readers who do not see: alt text; and for all others a caption."""
    for number, metadata, output in outputs(notebook):
        if not any(kind.startswith("image/") for kind in output.get("data", {})):
            continue
        rendering = metadata.get("mystnb", {})
        if len(rendering.get("image", {}).get("alt", "")) < 20:
            yield f"code cell {number}: its metadata needs mystnb.image.alt, in a full sentence"
        if not rendering.get("figure", {}).get("caption"):
            yield f"code cell {number}: its metadata needs mystnb.figure.caption"
    for alt, attributes in RAW_IMAGE.findall(markdown(notebook)):
        if not alt.strip() and not re.search(r'alt="[^"]+"', attributes):
            yield "an image in the text has no alt text"


def follows_the_template(notebook):
    text = markdown(notebook)
    if not notebook.cells or not re.match(r"# \S", notebook.cells[0].source):
        yield "the first cell must start with the title, '# ...'"
    lines = re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n")
    headings = [line.strip() for line in lines if re.match(r"#+ ", line)]
    if sum(heading.startswith("# ") for heading in headings) != 1:
        yield "there must be one title"
    found = [heading for heading in headings if heading in HEADINGS]
    if found != HEADINGS:
        yield f"the headings {HEADINGS} must stand in this order, found {found}"
    levels = [heading.index(" ") for heading in headings]
    for before, after, heading in zip(levels, levels[1:], headings[1:], strict=False):
        if after > before + 1:
            yield f"{heading!r} skips a level"


def says_what_it_takes(notebook):
    """The box under the title: what a reader needs, and how long it will be."""
    first = notebook.cells[0].source if notebook.cells else ""
    if "admonition} Before you start" not in first:
        yield "the first cell needs the box 'Before you start'"
    for word in BOX:
        if f"- **{word}**:" not in first:
            yield f"the box needs a line '- **{word}**: ...'"


def exercises_are_solved(notebook):
    """Two exercises at least, each with a solution that is hidden and that runs."""
    text = markdown(notebook)
    asked = re.findall(r"\{exercise-start\}\n:label: (\S+)", text)
    solved = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text)
    if len(asked) < 2 or asked != solved:
        yield f"two exercises or more, each followed by its solution: {asked} and {solved}"
    kinds = [
        "end" if "{solution-end}" in cell.source else
        "start" if "{solution-start}" in cell.source else cell.cell_type
        for cell in notebook.cells
    ]  # fmt: skip
    for start in (i for i, kind in enumerate(kinds) if kind == "start"):
        inside = kinds[start + 1 :]
        if "end" not in inside or "code" not in inside[: inside.index("end")]:
            yield f"solution {start}: no code that runs"


def starts_on_colab(notebook):
    first = next(iter(code_cells(notebook)), None)
    if first is None or first.source != bootstrap_cell():
        yield "the first code cell must be that of scripts/bootstrap_cell.py"
    elif first.metadata != METADATA:
        yield "the first code cell needs its metadata: run scripts/bootstrap_cell.py --write"


def no_path_of_a_machine(notebook):
    printed = [output.get("text", "") for _, _, output in outputs(notebook)]
    printed += [output.get("data", {}).get("text/plain", "") for _, _, output in outputs(notebook)]
    for text in [cell.source for cell in notebook.cells] + printed:
        if found := MACHINE_PATH.search(text):
            yield f"a path of one machine: {text[found.start() : found.start() + 40]!r}"


RULES = [
    run_from_top_to_bottom,
    no_error,
    only_text_and_pixels,
    figures_are_shown,
    pictures_are_described,
    follows_the_template,
    says_what_it_takes,
    exercises_are_solved,
    starts_on_colab,
    no_path_of_a_machine,
]


@pytest.fixture(scope="module")
def bad_notebook():
    return new_notebook(
        metadata={"widgets": {}},
        cells=[
            new_markdown_cell(
                "## Exercises\n\n#### Deep\n\n![](picture.png) in /home/somebody/book"
            ),
            new_code_cell(
                "1 / 0",
                execution_count=3,
                outputs=[
                    new_output("error", ename="ZeroDivisionError", evalue="", traceback=[]),
                    new_output("display_data", data={"image/png": "", "text/plain": "<Figure>"}),
                    new_output(
                        "display_data", data={"text/plain": "<Figure size 9x9 with 1 Axes>"}
                    ),
                    new_output("display_data", data={"text/html": "<script>alert()</script>"}),
                ],
            ),
        ],
    )


def test_the_book_has_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter(path, rule):
    assert list(rule(nbformat.read(path, as_version=4))) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_can_fail(rule, bad_notebook):
    assert list(rule(bad_notebook))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_is_small(path):
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_is_stored_as_the_script_stores_it(path):
    assert is_normal(path), f"run scripts/execute_notebooks.py {path.relative_to(BOOK.parent)}"


def test_no_cell_ends_in_a_semicolon() -> None:
    """JupyterLab hides the last value then, nbval does not: the comparison would fail."""
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            assert cell.cell_type != "code" or not cell.source.rstrip().endswith(";"), path.name
