#!/usr/bin/env python3
"""review_kill.py PROGRAM_FOLDERS TIMES: kill -9 the server of `evenkeel review` at random moments while several people
decide: every decision that was confirmed is in the log, as it was, and the next server goes on with it. Each server
after the first finds what the one before left, half a line too. Seeded: EVENKEEL_KILL_SEED.
"""
import os
import random
import sys
import threading
import time

from review_server import Review, status

PEOPLE = 3


def decide(review, name, seed, confirmed, pending):
    """Decide, and take back, until the server is gone. `confirmed`: what each sample came to; `pending`: what was asked
    last and not answered."""
    rng = random.Random(seed)
    history = confirmed.setdefault(name, [])
    while True:
        if history and rng.random() < 0.2:
            request = review.request("POST", "/undo", {"reviewer": name})
            step = None
        else:
            step = (rng.randrange(review.samples), rng.choice(("accept", "reject", "unsure")), f"note {rng.random()} é")
            request = review.request("POST", "/decide", {"reviewer": name, "sample": step[0], "sha256": review.sha256(step[0]),
                                                          "decision": step[1], "note": step[2]})
        pending[name] = step
        try:
            code = status(review.talk(request))
        except OSError:
            return
        if code == 0:
            return
        assert code == 200, code
        if step is None:
            history.pop()
        else:
            history.append(step)
        del pending[name]


def replay(lines, name):
    """The decisions of a reviewer that were not taken back."""
    history = []
    for line in lines:
        if line["reviewer"] != name:
            continue
        if line.get("undo"):
            at = max(i for i, step in enumerate(history) if step[0] == line["sample"])
            del history[at]
        else:
            history.append((line["sample"], line["decision"], line["note"]))
    return history


def standing(history):
    return {sample: (decision, note) for sample, decision, note in history}


def check(review, confirmed, pending):
    lines = review.lines()
    for name, history in confirmed.items():
        got = replay(lines, name)
        wanted = [history]
        # What was not answered may have been written, or not.
        if name in pending:
            step = pending[name]
            wanted.append(history[:-1] if step is None else history + [step])
        if got not in wanted:
            lost = [step for step in history if step not in got]
            raise SystemExit(f"{name}: {len(lost)} decisions are lost, first {lost[:1]}; {len(got)} in the log, {len(history)} confirmed")
        confirmed[name] = got
    # The program replays the log to the same.
    said = {r["reviewer"]: sum(r[v] for v in ("accept", "reject", "unsure")) for r in review.summary()["reviewers"]}
    for name, history in confirmed.items():
        if said.get(name, 0) != len(standing(history)):
            raise SystemExit(f"{name}: the program counts {said.get(name, 0)} decisions, {len(standing(history))} stand")


def main(folders, times):
    seed = int(os.environ.get("EVENKEEL_KILL_SEED", "1"))
    rng = random.Random(seed)
    review = Review(folders)
    confirmed = {}
    try:
        for turn in range(times):
            pending = {}
            if turn > 0 and turn % 3 == 0:
                # As a kill within a write leaves it.
                with open(review.log, "ab") as f:
                    f.write(b'{"sample": 1, "decision": "acc'[:rng.randrange(1, 30)])
            review.start()
            people = [threading.Thread(target=decide, args=(review, f"person {i}", seed * 1000 + turn * 10 + i, confirmed, pending))
                      for i in range(PEOPLE)]
            for person in people:
                person.start()
            time.sleep(rng.random() * 0.5)
            review.kill()
            for person in people:
                person.join()
            check(review, confirmed, pending)
        total = len(review.lines())
        if total < times:
            raise SystemExit(f"only {total} lines in {times} turns: the test tests nothing")
        print(f"seed {seed}: {times} kills, {total} lines in the log, {sum(map(len, confirmed.values()))} decisions not taken back, none lost")
    finally:
        review.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
