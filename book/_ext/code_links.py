"""Let a name of the package, in code style, lead to the API reference.

`losses.reid` and `direid.losses.reid` both lead to that function, on every
page; no author has to write a link. A field that the reference does not
list leads to its class. Names that it does not have stay as they are.

In the reference itself, settings are a list of fields, each with its
default and the comment beside it in the source. The fields of a named tuple
are left out, of which Python says only "Alias for field number 0".
"""

import inspect
import re

import direid.experiments  # noqa: F401  # its settings too
from direid.config.settings import Settings
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

# Parts of the networks, which are no names of a module.
ENCODER = "models.degradation_encoder.DegradationEncoder"
NECK = "models.identity_encoder.Neck"
PARTS = {
    "generator.content_encoder": "models.content_encoder.ContentEncoder",
    "generator.degradation_encoder": ENCODER,
    "generator.self_degradation_encoder": ENCODER,
    "generator.decoder": "models.decoder.Decoder",
    "generator.neck": NECK,
    "discriminators.reality": "models.discriminator.PatchDiscriminator",
    "discriminators.degradation": (
        "models.discriminator.DegradationDiscriminator"
    ),
    "identity_encoder": "models.identity_encoder.IdentityEncoder",
    "attention": "models.Attention",
    "invariant_neck": NECK,
    "sensitive_neck": NECK,
    "both_neck": NECK,
}


def _link(app: Sphinx, tree: nodes.document, page: str) -> None:
    objects = app.env.get_domain("py").objects
    if "/api_" in page:
        return
    for literal in list(tree.findall(nodes.literal)):
        if isinstance(literal.parent, nodes.reference):
            continue
        name = literal.astext().removesuffix("()").removeprefix("direid.")
        full = f"direid.{PARTS.get(name, name)}"
        entry = objects.get(full)
        if entry is None:
            entry = objects.get(full.rpartition(".")[0])
            if entry is None or entry.objtype != "class":
                continue
        text = literal.deepcopy()
        where = app.builder, page, entry.docname, entry.node_id
        literal.replace_self(make_refnode(*where, text, full))


def _skip(
    app: Sphinx, what: str, name: str, obj: object, *others: object
) -> bool | None:
    noise = name == "model_config" or type(obj).__name__ == "_tuplegetter"
    return True if noise else None


def _complete(app: Sphinx) -> None:
    """Pydantic finishes a class at its first use; autodoc comes earlier."""
    for group in Settings.__subclasses__():
        group.model_rebuild()


def _fields(
    app: Sphinx, what: str, name: str, obj: type, _: object, lines: list
) -> None:
    for field, info in getattr(obj, "model_fields", {}).items():
        line = rf"^    {field}: .*?(?:  # (.*))?$"
        written = re.search(line, inspect.getsource(obj), re.MULTILINE)
        comment = written[1] if written else None
        default = info.get_default()
        if hasattr(default, "model_fields"):
            default = f"{type(default).__name__}()"
        elif not info.is_required():
            default = repr(default)
        value = "" if info.is_required() else f" = ``{default}``"
        said = f": {comment}" if comment else ""
        lines += ["", f"- ``{field}``{value}{said}"]


def _signature(
    app: Sphinx, what: str, name: str, obj: object, *others: object
) -> tuple[str, None] | None:
    return ("", None) if hasattr(obj, "model_fields") else None


def setup(app: Sphinx) -> dict:
    """For Sphinx."""
    app.connect("builder-inited", _complete)
    app.connect("doctree-resolved", _link)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _fields)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
