"""Leave out of every page the scripts of a live-code service, Thebe.

The book does not use it. Jupyter Book adds them all the same, and twice,
which is an error in the browser.
"""

from sphinx.application import Sphinx


def _without_thebe(
    app: Sphinx, page: str, template: str, context: dict, doctree: object
) -> None:
    def is_thebe(script: object) -> bool:
        body = getattr(script, "attributes", {}).get("body") or ""
        return "THEBE_JS_URL" in body or "thebe" in str(
            getattr(script, "filename", "") or ""
        )

    context["script_files"] = [
        s for s in context.get("script_files", []) if not is_thebe(s)
    ]


def setup(app: Sphinx) -> dict:
    """For Sphinx."""
    app.connect("html-page-context", _without_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
