"""What the stages of one treatment share: where things go, and under which names."""

from dataclasses import dataclass, field
from typing import Any

from ..model.dataset import ArrayField, TableField
from ..model.naming import dimension_names, node_paths, table_names
from ..model.verdict import Finding
from ..package.arrays import ArrayTree
from ..package.evidence import EvidenceWriter
from ..package.files import Ledger
from ..package.layout import ARRAYS
from ..plugin import Observer
from ..ports import Decoder, Progress
from ..vocabulary import Severity
from .options import TreatOptions
from .run import Run
from .watch import Watch


@dataclass
class Planning:
    """One dataset being planned: what is read, as what, by whom."""

    decoder: Decoder
    options: TreatOptions
    run: Run
    progress: Progress


@dataclass
class Treatment(Planning):
    """One dataset being treated."""

    ledger: Ledger
    tree: ArrayTree
    evidence: EvidenceWriter
    observers: tuple[Observer, ...]
    nodes: dict[str, str] = field(default_factory=dict)
    dimensions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _watches: dict[str, Watch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Name the nodes, dimensions and tables of the package."""
        dataset = self.decoder.dataset
        arrays = [item for item in dataset.fields if isinstance(item, ArrayField)]
        self.nodes = node_paths([item.name for item in arrays], dataset.groups, dataset.native_groups)
        self.dimensions = dimension_names(arrays, self.nodes)
        self.tables = table_names([item.name for item in dataset.fields if isinstance(item, TableField)])

    def watch(self, name: str) -> Watch:
        """Return a fresh watch over one field; a field that is stored anew is watched anew."""
        self._watches[name] = Watch([observer for observer in self.observers if observer.field == name])
        return self._watches[name]

    def partials(self) -> dict[int, Any]:
        """Return what each observer saw, by its number; those that saw nothing are absent."""
        found: dict[int, Any] = {}
        for name, watch in self._watches.items():
            numbers = [i for i, observer in enumerate(self.observers) if observer.field == name]
            found |= {i: p for i, p in zip(numbers, watch.partials, strict=True) if p is not None}
        return found

    def discard(self, name: str) -> None:
        """Take back the shards and evidence of an array that is stored anew."""
        self.ledger.discard(f"{ARRAYS}/{self.nodes[name]}/c/")
        self.ledger.discard(f"{ARRAYS}/{self.nodes[name]}/c")
        self.evidence.discard(name)

    def note_misread(self, array: str, attribute: str) -> None:
        """Note an attribute that stands under another name, since xarray would misread it."""
        self.findings.append(
            Finding(
                "attribute-renamed",
                Severity.NOTE,
                f"attribute {attribute} would make xarray fail or misread the values; "
                f"it stands as cdt_source_{attribute} and is carried as it was",
                array,
            )
        )
