"""How Sphinx makes a site of these pages: `make docs`, then open docs/site/index.html."""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"index": "README.md", "changes": "CHANGELOG.md"}  # which lie beside this folder

project = "seqsweep"
release = metadata.version("seqsweep")
html_title = f"seqsweep {release}"
extensions = ["myst_parser"]
exclude_patterns = ["site"]
myst_heading_anchors = 3
html_theme = "furo"
html_show_copyright = False


def setup(app):
    """Lets the repository's own pages be pages of the site."""
    app.connect("source-read", read_page)


def read_page(_app, name, source):
    """Puts README and CHANGELOG in their pages, and in place of a link to an example its text."""
    if name in PAGES:
        text = (ROOT / PAGES[name]).read_text(encoding="utf-8")
        text = text.replace("](docs/", "](").replace("](CHANGELOG.md)", "](changes.md)")
        source[0] = f"{text}\n\n{source[0]}"
    source[0] = re.sub(r"\[([^\]]+)\]\((?:\.\./)?examples[^)]*\)", r"\1", source[0])
