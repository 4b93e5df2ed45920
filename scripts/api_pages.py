"""Write the pages of the API reference, book/api*.md: one for each part of the package.

    python scripts/api_pages.py         # after a module was added, moved or removed; a test looks

The pages name modules only. What stands on them comes from the docstrings when the book is built.
"""

from __future__ import annotations

import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK, PACKAGE = ROOT / "book", ROOT / "direid"
TOP = ("cli", "arguments", "__main__")  # the command line: `direid --help` documents it better
SINGLE = "api_package"  # the page of the modules that lie in no folder

INTRODUCTION = """\
# API

Every public class and function, made from the docstrings of the version that this book was built
with. `[source]` beside a name shows its code. On the other pages of the book, a name of the package
in `code style` leads here.

The package flows one way; a module imports only from those before it. Start with these:

| To do this | call |
|---|---|
| put a configuration together | `direid.config.load_preset` |
| load a benchmark, or your own folder | `direid.data.load` |
| train and evaluate everything | `direid.pipeline.run` |
| train some stages | `direid.training.stages.train` |
| load what a run has trained | `direid.training.stages.load_networks` |
| turn images into vectors | `direid.evaluation.features.extract` |
| score a search | `direid.evaluation.ranks.evaluate` |
| swap degradations | `direid.pictures.swaps` |
| spoil an image | `direid.degradations.SelfDegradation` |
| start where the chapters start | `direid.book.load` |

Mistakes that a caller can mend raise `direid.errors.DireidError`, whose message is one line. The
command line is not listed here: `direid --help` and `direid COMMAND --help` say what it can do.

| Page | Holds |
|---|---|
"""


def parts() -> dict[str, list[str]]:
    """The modules of each page, by the page's name."""
    found: dict[str, list[str]] = {SINGLE: []}
    for path in sorted(PACKAGE.rglob("*.py")):
        names = list(path.relative_to(ROOT).with_suffix("").parts)
        if names[-1] == "__init__":
            names.pop()
        if len(names) == 1 or (len(names) == 2 and names[1] in TOP):
            continue
        inside = len(names) > 2 or path.name == "__init__.py"
        page = f"api_{names[1]}" if inside else SINGLE
        found.setdefault(page, []).append(".".join(names))
    return found


def pages() -> dict[str, str]:
    """The text of each page, by its file's name."""
    texts, rows = {}, []
    for page, modules in parts().items():
        title = "Single modules" if page == SINGLE else f"direid.{page.removeprefix('api_')}"
        text = [f"# {title}", ""]
        text += [_module(name, name == title) for name in modules]
        texts[f"{page}.md"] = "\n".join(text).rstrip("\n") + "\n"
        short = [m.removeprefix(f"{title}.").removeprefix("direid.") for m in modules if m != title]
        what = ", ".join(f"`{name}`" for name in short)
        rows.append(f"| {{doc}}`{page}` | {what or _first_line(title)} |")
    texts["api.md"] = INTRODUCTION + "\n".join(rows) + "\n"
    return texts


def _module(name: str, is_title: bool) -> str:
    """One module's directive. What the folder's ``__init__`` offers is listed there, not twice."""
    options, left_out = ["   :members:", "   :show-inheritance:"], []
    if name == "direid.figures.style":
        left_out.append("set")  # matplotlib gives one to every figure class
    left_out += _offered_above(name) + _named_like_modules(name)
    if left_out:
        options.append(f"   :exclude-members: {', '.join(left_out)}")
    heading = "" if is_title else f"## {name}\n\n"
    directive = "\n".join([f".. automodule:: {name}", *options])
    return f"{heading}```{{eval-rst}}\n{directive}\n```\n"


def _offered_above(name: str) -> list[str]:
    """What of a module is listed with its folder's ``__init__``, which offers it too."""
    above = name.rpartition(".")[0]
    if above == "direid":
        return []
    folder, module = importlib.import_module(above), importlib.import_module(name)
    names = [n for n in getattr(folder, "__all__", []) if n not in _named_like_modules(above)]
    own = {n for n, value in vars(module).items() if getattr(value, "__module__", None) == name}
    return [n for n in names if n in own and getattr(module, n) is getattr(folder, n)]


def _named_like_modules(name: str) -> list[str]:
    """What a folder's ``__init__`` offers under the name of a module: it is listed in that."""
    folder = ROOT / Path(*name.split("."))
    names = getattr(importlib.import_module(name), "__all__", []) if folder.is_dir() else []
    return [one for one in names if (folder / f"{one}.py").exists()]


def _first_line(name: str) -> str:
    return (importlib.import_module(name).__doc__ or "").split("\n")[0]


def main() -> None:
    """Write the pages, and remove those of parts that are gone."""
    texts = pages()
    for path in BOOK.glob("api*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (BOOK / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
