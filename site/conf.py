"""Sphinx's settings, for both languages; `site/build.py` gathers the pages and says which language is built."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(os.environ["SYNFIN_SITE_FOLDER"])
sys.path.insert(0, str(HERE))

from synfin import __version__  # noqa: E402

language = os.environ["SYNFIN_SITE_LANGUAGE"]  # "en" or "zh_CN", as Sphinx names its own words in Chinese

project = "synfin"
author = "the synfin authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "synfin_site.extension"]
root_doc = "index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["drawings"]
nitpicky = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "attrs_block", "deflist"]

locale_dirs = [str(HERE / "locale")]
gettext_compact = False
gettext_location = False
gettext_uuid = False
gettext_allow_fuzzy_translations = False

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
add_module_names = False
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True
# A package that resolves its names on first use has none of their code.
viewcode_follow_imported_members = False

html_theme = "furo"
html_title = "synfin"
html_favicon = str(HERE / "static" / "favicon.svg")
html_static_path = [str(HERE / "static")]
templates_path = [str(HERE / "templates")]
html_css_files = ["synfin.css", "site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_domain_indices = False
html_show_copyright = False
html_show_sphinx = False
html_permalinks_icon = "#"
html_search_language = "en"
html_theme_options: dict[str, Any] = {"top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_context = {"chinese": language == "zh_CN", "play": os.environ["SYNFIN_SITE_PLAY"] == "1"}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/play.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
# A short name in a type hint may be that of several classes: it stays without a link.
suppress_warnings = ["config.cache", "ref.python"]
