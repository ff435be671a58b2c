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


def no_rarer(N, n, v, D):  # 160-bit fixed point, walking from the likeliest count outwards
    mode = min(max((n + 1) * (D + 1) // (N + 2), n + D - N, 0), n, D)
    below, above = (1 << 160, 0) if mode <= v else (0, 1 << 160)
    for step in (-1, 1):
        x, term = mode, 1 << 160
        while term:  # it becomes 0 at either end
            falling = (x * (N - D - n + x), (D - x + 1) * (n - x + 1))
            rising = ((D - x) * (n - x), (x + 1) * (N - D - n + x + 1))
            up, down = falling if step < 0 else rising
            x, term = x + step, term * up // down if up else 0
            below, above = (below + term, above) if x <= v else (below, above + term)
    return 19 * below + (1 << 64) >= above


def most_violations(N, n, v):
    low, high = v, N - n + v
    while low < high:
        D = (low + high + 1) // 2
        low, high = (D, high) if no_rarer(N, n, v, D) else (low, D - 1)
    return low


def recompute(body):
    worst, gates = {}, dict(body["gates"], integrity=None, structural=None)
    for check in body["checks"]:
        N, n, v = check["scope"], check["examined"], check["violations"]
        if check["kind"] == "structural" and v and N:
            gates["integrity" if check["dimension"] == "integrity" else "structural"] = False
        if check["kind"] == "scored" and N and check["dimension"] in LEVELS["PUBLICATION_READY"][1]:
            worst[check["dimension"]] = min(
                1 - most_violations(N, n, v) / N, worst.get(check["dimension"], 1.0)
            )
    score = min(worst.values(), default=None)
    for level, (lowest, needed) in LEVELS.items():
        if score is not None and False not in gates.values() and score >= lowest and needed <= worst.keys():
            return score, level
    return score, "NOT_CERTIFIED"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        body = json.load(file)["body"]
    print(*recompute(body), "| stored:", body["score"], body["level"])
