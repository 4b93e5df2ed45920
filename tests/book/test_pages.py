"""The pages hang together: table of contents, citations, names, pictures, the plan."""

import importlib
import re
from contextlib import suppress
from operator import attrgetter

import nbformat
import pytest
import yaml

from direid.config import load_preset
from direid.models import DDGAN, DFEN
from scripts import api_pages
from scripts.execute_notebooks import BOOK, ROOT, notebooks

PAGES = sorted([*BOOK.glob("*.md"), *notebooks()])
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
MACHINE_PATH = re.compile(r"(?<![\w.:/~])/(?:home|root|Users|tmp|mnt|work)/\w")


def text_of(path) -> str:
    if path.suffix == ".ipynb":
        return "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    return path.read_text(encoding="utf-8")


def table_of_contents() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [toc["root"]]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            entries += [chapter["file"], *(s["file"] for s in chapter.get("sections", []))]
    return entries


def test_every_page_is_in_the_table_of_contents_and_the_other_way_round():
    pages = sorted(str(path.relative_to(ROOT).with_suffix("")) for path in PAGES)
    assert sorted(table_of_contents()) == pages


def test_the_landing_page_lists_every_chapter_in_order():
    listed = text_of(BOOK / "index.md").split("## The chapters")[1].split("\n## ")[0]
    linked = [
        f"book/{name}" for name in re.findall(r"^- \{doc\}`(\w+)`", listed, flags=re.MULTILINE)
    ]
    assert linked == [name for name in table_of_contents()[1:] if "/api_" not in name]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_is_cited_is_in_the_bibliography(path):
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    known = re.findall(r"^@\w+\{(\S+),", bibliography, flags=re.MULTILINE)
    assert len(known) == len(set(known))
    cited = [key.strip() for keys in CITATION.findall(text_of(path)) for key in keys.split(",")]
    assert set(cited) <= set(known)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_page_has_one_title_and_no_path_of_a_machine(path):
    prose = re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL)
    if path.suffix == ".md":
        assert len(re.findall(r"^# ", prose, flags=re.MULTILINE)) == 1
    assert not MACHINE_PATH.search(text_of(path))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pictures_in_the_text_have_alt_text_and_exist(path):
    text = text_of(path)
    for alt, target in re.findall(r"!\[(.*?)\]\((\S+?)\)", text):
        assert alt.strip(), f"{target} has no alt text"
        assert (BOOK / target).is_file()
    for target, options in re.findall(
        r"^[`:]{3,}\{(?:figure|image)\} (\S+)\n((?::.*\n)*)", text, re.M
    ):
        assert re.search(r"^:alt: \S", options, re.M), f"{target} has no alt text"
        assert (BOOK / target).is_file()


def notation_names() -> list[str]:
    """What the page of notation says things are called, from the last but one column."""
    rows = [
        line.split("|") for line in text_of(BOOK / "notation.md").split("\n") if line[:1] == "|"
    ]
    names = {name for row in rows for name in re.findall(r"`([\w.]+)`", row[-3])}
    return sorted(names - {"direid"})


def exists(name: str) -> bool:
    """Whether a name lies in the package, or among the networks of a stage."""
    net = load_preset("tiny").network
    for networks in (DDGAN(net, 2), DFEN(net, 2)):
        with suppress(AttributeError):
            return attrgetter(name)(networks) is not None
    module, *rest = name.split(".")
    try:
        found = importlib.import_module(f"direid.{module}")
    except ModuleNotFoundError:
        return False
    for part in rest:
        fields = getattr(found, "model_fields", {}) | getattr(found, "__dataclass_fields__", {})
        if part in fields:
            found = fields[part]
        elif hasattr(found, part):
            found = getattr(found, part)
        elif hasattr(found, "__path__"):
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except ModuleNotFoundError:
                return False
        else:
            return False
    return True


@pytest.mark.parametrize("name", notation_names())
def test_what_the_notation_names_is_in_the_package(name):
    assert exists(name)


def test_a_wrong_name_would_be_noticed():
    assert not exists("losses.invariant_content")
    assert not exists("models.nothing.Here")
    assert not exists("generator.content_encodr")


def test_the_notation_covers_every_equation():
    rows = [
        line.split("|") for line in text_of(BOOK / "notation.md").split("\n") if line[:1] == "|"
    ]
    covered = set()
    for row in rows:
        for first, last in re.findall(r"(\d+)(?:–(\d+))?", row[-4]):
            covered |= set(range(int(first), int(last or first) + 1))
    assert covered == set(range(1, 15))


def test_the_api_pages_name_every_module():
    """After a module was added, moved or removed: scripts/api_pages.py writes them anew."""
    for name, text in api_pages.pages().items():
        assert (BOOK / name).read_text(encoding="utf-8") == text
