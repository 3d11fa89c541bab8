"""Sphinx's extension of this site: drawings, questions with their answers, and docstrings as autodoc reads them.

Rule for the next editor: what a reader sees as words is in the pages, where gettext finds it, or in WORDS below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from synfin_site.docstrings import as_rst

WORDS = {
    "en": {
        "answer": "What happens",
        "guess": "Your guess",
        "drawing": "Diagram; scrolls sideways where it is wide",
        "standard": "the standard: {}",
        "place": "the whole file: {}",
        "line": "{}, line {}",
        "test": "the test that holds it: {}",
        "more": "and {} lines more",
        "play": "Change it in the playground",
        "http": "To run it on this page, the site needs a web server: <code>synfin site</code>, or any static host.",
    },
    "zh_CN": {
        "answer": "看看发生了什么",
        "guess": "你的猜测",
        "drawing": "示意图，较宽时可左右滚动",
        "standard": "标准：{}",
        "place": "完整文件：{}",
        "line": "{}，第 {} 行",
        "test": "守住它的测试：{}",
        "more": "另有 {} 行",
        "play": "到演练场里改一改",
        "http": "要在本页运行它，网站需要 Web 服务器：<code>synfin site</code>，或任意静态主机。",
    },
}


class answer(nodes.General, nodes.Element):
    """What is told once the reader has guessed."""


class guess(nodes.General, nodes.Element):
    """A list of what may happen; `right` is the number of the one that does, from 1 on."""


class experiment(nodes.General, nodes.Element):
    """The table of an experiment's parameters, which a script makes a form of; `name` is the experiment's."""


class Drawing(SphinxDirective):
    """An SVG that was drawn from a run, inside the page: its looks are the page's."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / "drawings" / f"{self.arguments[0]}.svg"
        self.env.note_dependency(str(path))
        label = WORDS[self.config.language]["drawing"]
        text = path.read_text(encoding="utf-8")
        frame = f'<div class="drawing" tabindex="0" role="region" aria-label="{label}">\n{text}</div>\n'
        return [nodes.raw("", frame, format="html")]


class Source(SphinxDirective):
    """Below a piece of code: its file, the standard's section, and its test. Nothing here is for translators."""

    required_arguments = 2
    option_spec: ClassVar[dict[str, Any]] = dict.fromkeys(("more", "rfc", "test", "place"), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        module, symbol = self.arguments
        words = WORDS[self.config.language]
        path, line = self.options["place"].split()
        test, test_path, test_line = self.options["test"].split()
        up = "../" if self.config.language == "en" else "../../"
        page = f"{up}_modules/{module.replace('.', '/')}.html#{anchor(module, symbol)}"
        shown = words["line"].format(f"<code>{path}</code>", line)
        more = f" ({words['more'].format(self.options['more'])})" if self.options["more"] != "0" else ""
        where = words["line"].format(f"<code>{test_path}</code>", test_line)
        items = [
            words["standard"].format(", ".join(_section_link(rfc) for rfc in self.options["rfc"].split(", "))),
            words["place"].format(f'<a href="{page}">{shown}</a>') + more,
            words["test"].format(f"<code>{test}</code> ({where})"),
        ]
        html = '<ul class="stop">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
        return [nodes.raw("", html, format="html")]


def anchor(module: str, symbol: str) -> str:
    """Where the page of a module's source has it: what the API reference does not tell of is in its class."""
    parts = symbol.split(".")
    if parts[-1].startswith("_") or parts[-1].isupper():
        parts.pop()
    return ".".join(parts)


def _section_link(text: str) -> str:
    """
    >>> _section_link("RFC 9293 3.4")
    '<a href="https://www.rfc-editor.org/rfc/rfc9293#section-3.4">RFC 9293 3.4</a>'
    """
    _, number, *section = text.split()
    fragment = f"#section-{section[0]}" if section else ""
    return f'<a href="https://www.rfc-editor.org/rfc/rfc{number}{fragment}">{text}</a>'


class Play(SphinxDirective):
    """The way to the playground with one of its examples, where the site has a playground."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if not self.config.html_context["play"]:
            return []
        up = "../" * self.env.docname.count("/")
        page = f"{up}play/index.html" if self.config.language == "en" else f"{up}../play/zh-Hans.html"
        link = f'<a href="{page}#example={self.arguments[0]}">{WORDS[self.config.language]["play"]}</a>'
        return [nodes.raw("", f'<p class="play">{link}</p>', format="html")]


class Answer(SphinxDirective):
    """Folded until it is opened."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        node = answer()
        node += self.parse_content_to_nodes()
        return [node]


class Lab(SphinxDirective):
    """A table of parameters: with the playground's interpreter the experiment runs on its page."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        node = experiment(name=self.arguments[0])
        node += self.parse_content_to_nodes()
        return [node]


class Guess(SphinxDirective):
    """A list of possible answers; a script makes them buttons, and without it they are a list."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"right": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        node = guess(right=self.options["right"])
        node += self.parse_content_to_nodes()
        return [node]


def _open_answer(self: Any, node: nodes.Element) -> None:
    word = WORDS[self.config.language]["answer"]
    self.body.append(f'<details class="answer"><summary>{word}</summary>\n')


def _close_answer(self: Any, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def _open_guess(self: Any, node: nodes.Element) -> None:
    word = WORDS[self.config.language]["guess"]
    self.body.append(f'<div class="guess" data-right="{node["right"]}" role="group" aria-label="{word}">\n')


def _close_guess(self: Any, node: nodes.Element) -> None:
    self.body.append("</div>\n")


def _open_experiment(self: Any, node: nodes.Element) -> None:
    if self.config.html_context["play"]:
        up = "../" if self.config.language == "en" else "../../"
        self.body.append(f'<form class="experiment" data-name="{node["name"]}" data-module="{up}play/lab.js">\n')


def _close_experiment(self: Any, node: nodes.Element) -> None:
    if self.config.html_context["play"]:
        word = WORDS[self.config.language]["http"]
        self.body.append(f'<p class="needs-http" hidden>{word}</p></form>\n')


def _pass(self: Any, node: nodes.Element) -> None:
    pass


def _docstring(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    nothing = (_pass, _pass)
    app.add_node(answer, html=(_open_answer, _close_answer), gettext=nothing)
    app.add_node(guess, html=(_open_guess, _close_guess), gettext=nothing)
    app.add_node(experiment, html=(_open_experiment, _close_experiment), gettext=nothing)
    app.add_directive("drawing", Drawing)
    app.add_directive("experiment", Lab)
    app.add_directive("answer", Answer)
    app.add_directive("guess", Guess)
    app.add_directive("source", Source)
    app.add_directive("play", Play)
    app.connect("autodoc-process-docstring", _docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
