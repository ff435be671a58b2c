"""Recompute score and level of a treated package from its certificate's counts alone.

    python recompute_score.py PACKAGE/certificate.json

N units in scope, n examined, v violating; D is the largest number of violations in the whole for which
seeing <= v in a uniform sample of n is no rarer than 5 % (hypergeometric); a check scores 1 - D/N.
"""

import json
import sys

LEVELS = {
    "PUBLICATION_READY": (0.99, {"completeness", "consistency", "accuracy", "validity", "reproducibility"}),
    "RESEARCH_GRADE": (0.95, {"completeness", "consistency", "validity", "reproducibility"}),
    "EXPLORATORY": (0.85, {"validity"}),
}


def no_rarer(scope, examined, seen, total):  # 160-bit fixed point, walking from the likeliest count outwards
    rest = scope - total - examined
    mode = min(max((examined + 1) * (total + 1) // (scope + 2), -rest, 0), examined, total)
    below, above = (1 << 160, 0) if mode <= seen else (0, 1 << 160)
    for step in (-1, 1):
        x, term = mode, 1 << 160
        while term:  # it becomes 0 at either end
            falling = (x * (rest + x), (total - x + 1) * (examined - x + 1))
            rising = ((total - x) * (examined - x), (x + 1) * (rest + x + 1))
            up, down = falling if step < 0 else rising
            x, term = x + step, term * up // down if up else 0
            below, above = (below + term, above) if x <= seen else (below, above + term)
    return 19 * below + (1 << 64) >= above


def most_violations(scope, examined, seen):
    low, high = seen, scope - examined + seen
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if no_rarer(scope, examined, seen, middle) else (low, middle - 1)
    return low


def recompute(body):
    worst, gates = {}, dict(body["gates"], integrity=None, structural=None)
    for check in body["checks"]:
        scope, examined, seen = check["scope"], check["examined"], check["violations"]
        if check["kind"] == "structural" and seen:
            gates["integrity" if check["dimension"] == "integrity" else "structural"] = False
        if check["kind"] == "scored" and scope and check["dimension"] in LEVELS["PUBLICATION_READY"][1]:
            value = 1 - most_violations(scope, examined, seen) / scope
            worst[check["dimension"]] = min(value, worst.get(check["dimension"], 1.0))
    score = min(worst.values(), default=None)
    for level, (lowest, needed) in LEVELS.items():
        if score is not None and False not in gates.values() and score >= lowest and needed <= worst.keys():
            return score, level
    return score, "NOT_CERTIFIED"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        body = json.load(file)["body"]
    print(*recompute(body), "| stored:", body["score"], body["level"])
