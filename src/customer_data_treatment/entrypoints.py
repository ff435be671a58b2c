"""What foreign processes start: `python -m customer_data_treatment.entrypoints ROLE`."""

import sys


def main(arguments: list[str]) -> int:
    """Run one role; the only one yet is "decoder", the child of adapters.contained."""
    if arguments == ["decoder"]:
        from .adapters.contained_child import serve

        serve()
        return 0
    print("cdt: wrong-usage: this module is started by cdt itself, as: decoder", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
