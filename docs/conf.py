"""The site made of these pages: `sphinx-build -W docs target/site`."""

import pathlib
import re

HERE = pathlib.Path(__file__).parent
CHARMCRAFT = (HERE.parent / "charmcraft.yaml").read_text()

project = "Velero Operator"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
html_logo = "../icon.svg"
exclude_patterns = ["requirements.txt"]
myst_heading_anchors = 4


def setup(app):
    app.connect("source-read", lead_out_of_the_site)


def lead_out_of_the_site(_app, page, source):
    """A link to a file of the repository that is no page leads to the repository."""
    repository = re.search(r"^  source: (\S+)$", CHARMCRAFT, re.MULTILINE)[1]
    folder = (HERE / page).parent

    def link(found):
        path, anchor = found[1], found[2] or ""
        target = (folder / path).resolve()
        if "://" in path or target.is_relative_to(HERE):
            return found[0]
        return f"]({repository}/blob/main/{target.relative_to(HERE.parent)}{anchor})"

    source[0] = re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", link, source[0])
