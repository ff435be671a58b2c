"""What the compressed container of variant calls says of its own wholeness."""

from pathlib import Path

from ....model.dataset import RuleCount
from ....vocabulary import Dimension, RuleKind
from ..gzip import lacks_bgzf_end


def container_rules(path: Path, layer: str) -> tuple[RuleCount, ...]:
    """Return what the container itself says: its checksums (verified while it is read) and BGZF's end."""
    if not layer:
        return ()
    lacking = lacks_bgzf_end(path)
    return (
        RuleCount(
            name="bgzf-end",
            dimension=Dimension.INTEGRITY,
            kind=RuleKind.STRUCTURAL,
            scope=1,
            examined=1,
            violations=int(lacking),
            message="the BGZF file does not end with its empty block: it was cut between two blocks",
            where=("end of file",) if lacking else (),
        ),
    )
