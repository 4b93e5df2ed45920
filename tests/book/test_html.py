"""The pages in _build/html, after ``jupyter-book build . -W -n --keep-going``.

Only with ``pytest --built-book``, because a book built before the last change would be judged. Then
a missing page is a failure: a wrong version of Jupyter Book builds nothing and calls it success.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from scripts.execute_notebooks import ROOT, notebooks

HTML = ROOT / "_build" / "html"


class Page(HTMLParser):
    """A page's anchors, links, loaded files, images and visible text."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.anchors, self.links, self.loaded, self.undescribed = set(), [], [], []
        self.text, self.hidden = [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") == "stylesheet":
            self.loaded.append(values["href"])
        if tag in {"img", "script", "iframe"} and values.get("src"):
            self.loaded.append(values["src"])
        if tag == "img" and not (values.get("alt") or "").strip():
            self.undescribed.append(values.get("src"))
        self.hidden += tag in {"script", "style"}

    def handle_endtag(self, tag):
        self.hidden -= tag in {"script", "style"}

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)


def broken(page: Page, reference: str) -> bool:
    """Whether a link inside the book leads nowhere."""
    target = urlsplit(reference)
    if target.scheme or target.netloc:
        return False
    path = page.path if not target.path else (page.path.parent / unquote(target.path)).resolve()
    if not path.is_file():
        return True
    if not target.fragment or path.suffix != ".html":
        return False
    other = page if path == page.path else Page(path)
    return unquote(target.fragment) not in other.anchors


def toc_files() -> list[str]:
    return re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def built(request):
    if not request.config.getoption("--built-book"):
        pytest.skip("only with --built-book, after jupyter-book build . -W -n --keep-going")


@pytest.fixture(params=toc_files())
def page(request, built):
    path = HTML / f"{request.param}.html"
    assert path.is_file(), f"{path.relative_to(ROOT)} was not built"
    return Page(path)


def test_the_front_door_leads_to_the_landing_page(built):
    assert "book/index.html" in (HTML / "index.html").read_text(encoding="utf-8")


def test_links_and_pictures_lead_somewhere(page):
    assert [link for link in page.links + page.loaded if broken(page, link)] == []


def test_pictures_have_alt_text(page):
    assert page.undescribed == []


def test_nothing_is_loaded_from_elsewhere(page):
    """The book can be read without a network."""
    assert [url for url in page.loaded if urlsplit(url).netloc] == []


def test_no_error_and_no_raw_markup_is_shown(page):
    text = "".join(page.text)
    assert "Traceback" not in text
    assert not re.search(r"\{(cite|doc|numref|ref|eq|bdg)[\w:-]*\}`|^:::", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_chapter_opens_on_colab(path, built):
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    owner_and_name = urlsplit(repository["url"]).path.strip("/")
    where = path.relative_to(ROOT)
    colab = "https://colab.research.google.com/github"
    page = Page(HTML / where.with_suffix(".html"))
    assert f"{colab}/{owner_and_name}/blob/{repository['branch']}/{where.as_posix()}" in page.links


def test_a_broken_page_would_be_noticed(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        '<h1 id="top">T</h1><a href="#top"></a><a href="#gone"></a><a href="lost.html"></a>'
        '<a href="https://example.org"></a><img src="lost.png"><img src="page.html" alt="A page">'
        "<script>Traceback</script><p>Shown</p>",
        encoding="utf-8",
    )
    page = Page(path)
    assert [link for link in page.links + page.loaded if broken(page, link)] == [
        "#gone", "lost.html", "lost.png",
    ]  # fmt: skip
    assert page.undescribed == ["lost.png"]
    assert "".join(page.text) == "TShown"
