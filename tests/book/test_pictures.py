"""The drawn pictures are what their script draws, and say what they must."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from scripts.execute_notebooks import BOOK, ROOT


@pytest.mark.parametrize("name", ["method.svg", "logo.svg"])
def test_the_stored_picture_is_what_the_script_draws(name, tmp_path):
    script = ROOT / "scripts" / "draw_method.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, cwd=tmp_path)
    assert (tmp_path / name).read_bytes() == (BOOK / "img" / name).read_bytes(), "run: make picture"


def test_the_method_names_every_network_and_every_equation():
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.parse(BOOK / "img" / "method.svg").getroot()
    lines = ["".join(text.itertext()).replace("\u200b", "") for text in root.iter(f"{svg}text")]
    assert {"Ec", "Ed", "E'd", "Dr", "Dd", "Eid", "Att", "Fdeg"} <= set(lines)
    assert any(line.startswith("G") and "decoder" in line for line in lines)
    equations = {int(number) for line in lines for number in re.findall(r"\((\d+)\)", line)}
    assert equations == set(range(1, 15))


def test_every_use_has_its_definition():
    svg, root = (
        "{http://www.w3.org/2000/svg}",
        ElementTree.parse(BOOK / "img" / "method.svg").getroot(),
    )
    defined = {element.get("id") for element in root.iter() if element.get("id")}
    used = {element.get("href").removeprefix("#") for element in root.iter(f"{svg}use")}
    assert used and used <= defined
