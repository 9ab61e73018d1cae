"""Anchors of public names where their sources say that they are: the links back from a source lead to its module."""

from importlib import import_module
from operator import attrgetter

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

BEFORE_VIEWCODE = 400
"""Priority of an event's listener that comes before those of extensions, which have 500."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Anchor the names of each page as it is read."""
    app.connect("doctree-read", anchor, priority=BEFORE_VIEWCODE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def anchor(app: Sphinx, page: nodes.document) -> None:
    """Give names that another module exports the anchors of the module that defines them."""
    for signature in page.findall(addnodes.desc_signature):
        signature["module"] = defining(signature["module"], signature["fullname"])
        name = f"{signature['module']}.{signature['fullname']}"
        if name not in signature["ids"]:
            signature["ids"].append(name)


def defining(module: str, name: str) -> str:
    """Return the module that defines what a name of a module stands for; that module if the value has none."""
    try:
        return attrgetter(name)(import_module(module)).__module__ or module
    except AttributeError:
        return module
