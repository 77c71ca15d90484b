"""Figures as SVG in a page: text as text, greys that follow the page, ids of their own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from zlib import crc32

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from analysis.plots.saving import figure_of, rendered

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
KEPT = "kept"  # what stands for a value keeps its colour on a dark page
# characters that no XML has, and that HTML shows as unknown
NOT_XML = re.compile("[\ufffe\uffff]")
NEUTRAL = re.compile(r"#([0-9a-f]{2})\1\1\b")
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?![\de])")
NUMBERED = ("d", "x", "y", "width", "height", "transform", "points")


def vector_of(ax: Axes) -> ET.Element:
    """The figure of some axes, drawn, as an element `svg`.

    Its greys are variables, `var(--gEB)` for #ebebeb, so that a dark page can turn them round;
    colours, and the texts on the cells of a heat map, stay as they are.

    >>> from analysis import layer_curve
    >>> vector_of(layer_curve("results/demo.run")).tag.endswith("svg")
    True
    """
    for each in figure_of(ax).axes:
        meshes = [mesh for mesh in each.collections if isinstance(mesh, QuadMesh)]
        on_cells = (
            [text for text in each.texts if getattr(text, "xycoords", "data") == "data"]
            if meshes
            else []
        )
        for artist in (*meshes, *on_cells):
            artist.set_gid(KEPT)
    with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none"}):
        drawn = rendered(figure_of(ax), "svg", metadata={"Date": None, "Creator": None})
    text = NOT_XML.sub("\ufffd", drawn.decode())
    root = ET.fromstring(text)  # our own, so no entities of others
    _slim(root, kept=False)
    _name(root, f"f{crc32(text.encode()):08x}-")
    box = root.get("viewBox", "")
    root.attrib = {"viewBox": box, "preserveAspectRatio": "xMinYMin meet"}
    return root


def written(root: ET.Element) -> str:
    """An element as it stands in HTML, where svg needs no namespaces.

    >>> from analysis import layer_curve
    >>> written(vector_of(layer_curve("results/demo.run")))[:4]
    '<svg'
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    text = ET.tostring(root, encoding="unicode")
    return re.sub(r' xmlns(:xlink)?="[^"]*"', "", text, count=2)


def _slim(parent: ET.Element, kept: bool) -> None:
    """Leave out what a page has no use for; `kept` tells that colours stay as they are."""
    for child in list(parent):
        if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
            parent.remove(child)
            continue
        here = kept or child.get("id") == KEPT
        for name in NUMBERED:
            if name in child.attrib and child.tag != f"{{{SVG}}}image":
                child.set(name, LONG_NUMBER.sub(_shorter, " ".join(child.attrib[name].split())))
        if style := child.get("style"):
            style = re.sub(r"font-family: [^;]*;? ?", "", style)
            if not here:
                style = NEUTRAL.sub(r"var(--g\1)", style)
            elif "fill:" not in style:  # black goes without saying
                style += "; fill: #000000"
            child.set("style", style)
        if child.tag == f"{{{SVG}}}text" and child.get("transform", "").startswith("rotate(-0 "):
            del child.attrib["transform"]
        child.tail = None
        if not (child.text or "").strip():
            child.text = None
        _slim(child, here)


def _name(root: ET.Element, prefix: str) -> None:
    """Let what is referred to have a name of its own in the page, and nothing else a name."""
    link = f"{{{XLINK}}}href"
    used = set(re.findall(r"url\(#([^)]+)\)", ET.tostring(root, encoding="unicode")))
    links = [element.get(link, "") for element in root.iter()]
    used |= {text[1:] for text in links if text.startswith("#")}
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", f"{prefix}{name}")
        for key, value in element.attrib.items():
            if key == link and value.startswith("#"):
                element.set(key, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}"))


def _shorter(found: re.Match[str]) -> str:
    return f"{float(found.group()):.2f}".rstrip("0").rstrip(".")
