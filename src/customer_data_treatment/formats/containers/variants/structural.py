"""What VCF 4.4 asks of structural variants and of phase sets beyond types and counts (1.4.2, 3 and 5)."""

from .header import Header
from .records import Parsed
from .tally import Tally


def check_structural(parsed: Parsed, header: Header, tally: Tally) -> None:
    """Count the rules of symbolic alleles and phase sets; earlier versions have none."""
    if header.version < "4.4":
        return
