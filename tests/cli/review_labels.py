#!/usr/bin/env python3
"""review_labels.py PROGRAM_FOLDERS: the server of `evenkeel review --labels`, asked as its page asks: what it tells of a
doubted label, what it takes and refuses, and that a server that is killed has lost nothing that it confirmed.
"""
import json
import sys

from review_server import DoubtedLabels


def expect(condition, what):
    if not condition:
        sys.exit(f"review_labels: {what}")


def decide(review, wanted, sample, decision, **more):
    """The answer; `wanted`: its status."""
    code, body = review.ask("POST", "/decide", {"reviewer": "Anna", "sample": sample, "decision": decision, "note": "", **more})
    expect(code == wanted, f"{sample} {decision} {more}: {code}, {body}")
    return json.loads(body)


def told(review, suspects):
    state = json.loads(review.ask("GET", "/state")[1])
    names = [c["name"] for c in state["clusters"]]
    expect(state["of"] == "labels" and state["by"] == "label" and sorted(names) == ["bar", "check", "disc"], str(state)[:300])
    expect([[q[0], names[q[1]]] for q in state["queue"]] == [[int(s["id"]), s["label"]] for s in suspects], "the queue is not the table")
    expect(sum(c["size"] for c in state["clusters"]) == 240 and sum(c["samples"] for c in state["clusters"]) == len(suspects), str(state["clusters"]))
    code, body = review.ask("GET", "/sample/" + suspects[0]["id"])
    facts = json.loads(body)
    expect(code == 200 and names[facts["given"]] == suspects[0]["label"] and names[facts["suggested"]] == suspects[0]["suggested"], str(facts))
    expect(abs(facts["probability"] - float(suspects[0]["probability"])) < 1e-6, str(facts))
    surest = [n["label"] for n in facts["neighbours"]]
    expect(surest == 4 * [suspects[0]["label"]] + 4 * [suspects[0]["suggested"]], str(surest))
    expect(all(n["file_name"].startswith(n["label"] + "/") and "x-" not in n["file_name"] for n in facts["neighbours"]), "a wrong label is among the surest")
    code, body = review.ask("GET", f"/generated/{suspects[0]['id']}/{facts['sha256']}")
    expect(code == 200 and body[1:4] == b"PNG", f"the image: {code}")
    expect(review.ask("GET", f"/generated/{suspects[0]['id']}/{'0' * 64}")[0] == 409, "another image than was seen is given")
    other = next(i for i in range(240) if i not in [int(s["id"]) for s in suspects])
    for path in ("/sample/", "/generated/"):
        expect(review.ask("GET", path + str(other))[0] == 404, path + " of an image whose label is not doubted")
    return facts, other


def taken(review, suspects, facts, other):
    sample = facts["sample"]
    seen = {"sha256": facts["sha256"]}
    answer = decide(review, 200, sample, "reject", label="check", **seen)
    expect(answer["decision"] == "reject" and answer["label"] == "check", str(answer))
    expect(review.lines()[-1]["given"] == suspects[0]["label"] and review.lines()[-1]["label"] == "check", str(review.lines()[-1]))
    count = len(review.lines())
    decide(review, 200, sample, "reject", label="check", **seen)
    expect(len(review.lines()) == count, "the same decision is a new line")
    # Refused: no label, the given one, one that is none, an image that is not doubted, another image.
    for wanted, label in ((400, 3), (400, suspects[0]["label"]), (400, "zebra")):
        decide(review, wanted, sample, "reject", label=label, **seen)
    decide(review, 400, other, "reject", label="check")
    decide(review, 409, sample, "accept", sha256="0" * 64)
    expect(len(review.lines()) == count, "what was refused is in the file")
    # What is right, or unsure, is nothing else instead.
    expect(decide(review, 200, sample, "accept", label="check", **seen)["label"] == "", "a right label is another")
    code, body = review.ask("POST", "/undo", {"reviewer": "Anna"})
    expect(code == 200 and json.loads(body)["label"] == "check", f"undo: {code}, {body}")


def main(folders):
    review = DoubtedLabels(folders)
    try:
        review.start()
        suspects = review.suspects()
        expect(len(suspects) >= 4, f"{len(suspects)} labels are doubted")
        facts, other = told(review, suspects)
        taken(review, suspects, facts, other)
        review.kill()
        review.start()
        code, body = review.ask("POST", "/reviewer", {"reviewer": "Anna"})
        decisions = json.loads(body)["decisions"]
        expect(code == 200 and len(decisions) == 1 and decisions[0]["label"] == "check", f"after a kill: {code}, {body}")
        code, said = review.stop()
        expect(code == 0 and said == "", f"the server ends with {code}: {said}")
        print("told, taken and refused as it should be")
        return 0
    finally:
        review.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
