"""One element of a run at a time, whatever the size of the file."""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from ....errors import CustomerError

Param = tuple[str, str, str, str]  # accession, name, value, unit name
RUN_ELEMENTS = frozenset(("spectrum", "chromatogram"))


def local(element: Any) -> str:
    """Return an element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def events(stream: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield (event, element) for starts and ends; entities and the network are never followed.

    A spectrum, chromatogram or index offset is emptied after its end was yielded, so that the tree
    stays small. Raise CustomerError (truncated, corrupt) naming the line.
    """
    try:
        parser = etree.iterparse(
            stream,
            events=("start", "end"),
            huge_tree=True,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        for event, element in parser:
            yield event, element
            if event == "end" and local(element) in ("spectrum", "chromatogram", "offset"):
                parent = element.getparent()
                element.clear()
                if parent is not None:
                    while element.getprevious() is not None:
                        del parent[0]
    except etree.XMLSyntaxError as error:
        code = "truncated" if "Premature end" in str(error.msg) or "not found" in str(error.msg) else "corrupt"
        line = error.position[0] if error.position else 0
        reason = " ".join(str(error.msg).split(", line ")[0].split())
        raise CustomerError(
            f"its XML is broken: {reason[:160]}", code=code, where=f"{where}, line {line}", remedy="fetch it again"
        ) from error


def params(element: Any, groups: dict[str, list[Param]]) -> list[Param]:
    """Return the cvParams of an element, those of the groups it refers to in place."""
    found: list[Param] = []
    for child in element:
        name = local(child)
        if name == "cvParam":
            get = child.get
            found.append((get("accession", ""), get("name", ""), get("value", ""), get("unitName", "")))
        elif name == "referenceableParamGroupRef":
            found += groups.get(child.get("ref", ""), [])
    return found


def children(element: Any, *path: str) -> Iterator[Any]:
    """Yield the descendants along a path of local names."""
    if not path:
        yield element
        return
    for child in element:
        if local(child) == path[0]:
            yield from children(child, *path[1:])
