"""What foreign processes start: `python -m customer_data_treatment.entrypoints ROLE`.

`decoder` is the child of adapters.contained, `worker REQUEST` the child of adapters.jobs.
"""

import sys


def main(arguments: list[str]) -> int:
    """Run one role and return the exit status."""
    if arguments == ["decoder"]:
        from .adapters.contained_child import serve

        serve()
        return 0
    if len(arguments) == 2 and arguments[0] == "worker":
        from .wiring import work

        return work(arguments[1])
    print("cdt: wrong-usage: this module is started by cdt itself, as: decoder, worker REQUEST", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
