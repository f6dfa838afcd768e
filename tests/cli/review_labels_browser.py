#!/usr/bin/env python3
"""review_labels_browser.py PROGRAM_FOLDERS: `evenkeel review --labels` in headless Chromium, driven as a person drives it at
1280 and 390 pixels: labels that were planted are told right, wrong and what they are instead, and what follows from that.
Exit 77 (skipped) where there is no Chromium.
"""
import csv
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reports"))
from review_browser import Page, expect, last, press_enter, walk_in
from review_server import DoubtedLabels

class LabelsPage(Page):
    def shown(self):
        self.wait("""document.querySelectorAll('#near img').length > 0 && document.querySelectorAll('#instead option').length > 1 &&
			[...document.querySelectorAll('#generated img, #near img')].every((i) => i.complete && i.naturalWidth > 0)""",
                  "the pictures are shown")


def first_visit(page):
    suspects = page.review.suspects()
    page.open(1280)
    page.begin("Anna")
    page.clean("first visit")
    page.look("first visit")
    worst = suspects[0]
    expect(page.sample() == int(worst["id"]), f"the worst is not shown first: {page.text('heading')}, {worst}")
    facts = page.text("facts")
    expect(worst["label"] in facts and worst["suggested"] in facts and worst["file_name"] in facts, facts)
    groups = page.js("[...document.querySelectorAll('#near .of')].map((e) => e.textContent)")
    expect(groups == [worst["label"] + "the label it has", worst["suggested"] + "suggested"], str(groups))
    expect(page.js("document.getElementById('instead').value") == worst["suggested"], "another label than the suggested one is chosen")
    expect(page.js("document.querySelectorAll('[data-of=samples]').length") == 0, "words on samples are left")
    return suspects


def decisions(page, suspects):
    # Wrong, as suggested; wrong, and what it is nobody knows; right; unsure.
    page.key("r")
    expect(last(page.review)["given"] == suspects[0]["label"] and last(page.review)["label"] == suspects[0]["suggested"], str(last(page.review)))
    page.live("wrong. Image " + suspects[1]["id"], "a wrong label")
    page.browser.press("i")
    expect(page.js("document.activeElement.id") == "instead", "I does not lead to what it is instead")
    page.js("(() => { const s = document.getElementById('instead'); s.value = ''; s.dispatchEvent(new Event('change')); document.getElementById('decide').focus(); })()")
    page.key("r")
    expect(last(page.review)["decision"] == "reject" and "label" not in last(page.review), str(last(page.review)))
    page.key("a")
    expect(last(page.review)["decision"] == "accept" and "label" not in last(page.review), str(last(page.review)))
    page.key("u")
    # What it is instead can be told afterwards.
    for _ in range(3):
        page.key("k")
    expect(page.text("state") == "wrong" and page.js("document.getElementById('instead').value") == "", "what was chosen is not shown again")
    other = suspects[1]["suggested"]
    page.js(f"(() => {{ const s = document.getElementById('instead'); s.value = {other!r}; s.dispatchEvent(new Event('change')); }})()")
    page.live("wrong, saved", "another label")
    expect(last(page.review)["label"] == other, str(last(page.review)))
    page.browser.press("z")
    page.wait("document.getElementById('instead').value === ''", "undo brings back what was chosen before")
    page.browser.press("n")
    page.browser.call("Input.insertText", text="looks like nothing")
    press_enter(page.browser)
    page.live("saved", "a note")
    expect(last(page.review)["note"] == "looks like nothing", str(last(page.review)))
    page.js("document.getElementById('agreement').click()")
    page.wait("document.querySelectorAll('#agreement-text table').length === 2", "the results are shown")
    page.look("results")
    expect("2 wrong" in page.text("agreement-text") and "1 right" in page.text("agreement-text"), page.text("agreement-text"))
    page.js("document.querySelector('#agreement-dialog button').click()")
    page.browser.press("?")
    page.wait("document.getElementById('help-dialog').open", "? opens the help")
    page.look("help")
    page.js("document.querySelector('#help-dialog button').click()")
    page.clean("decisions")


def at_phone_width(page):
    page.open(390, "dark", 844)
    page.begin("Anna")
    page.look("phone")
    expect(page.judged() == 4, f"a new visit forgets: {page.judged()}")
    seen = page.js("""[...document.querySelectorAll('[data-decision]')].every((b) => {
		const r = b.getBoundingClientRect(); return r.bottom <= innerHeight && r.right <= innerWidth && r.width >= 90; })""")
    expect(seen, "the decision is not at hand")
    for button, dialog in (("agreement", "agreement-dialog"), ("help", "help-dialog")):
        page.js(f"document.getElementById('{button}').click()")
        page.wait(f"document.getElementById('{dialog}').open && !document.getElementById('{dialog}').textContent.includes('…')", dialog)
        page.look(f"phone, {dialog}")
        page.js(f"document.querySelector('#{dialog} button').click()")
    page.clean("phone")


def what_follows(page, suspects):
    """The table of corrected labels, as an attribute, in a plan."""
    review = page.review
    code, said = review.stop()
    expect(code == 0 and said == "", f"the server ends with {code}: {said}")
    table = review.folder + "/corrected.csv"
    summary = review.evenkeel("review", review.run, "--labels", "wrong", "--export", table)
    expect(summary.startswith(f"4 of {len(suspects)} labels judged: 1 right, 2 wrong, 0 disputed, 1 unsure"), summary)
    with open(table, newline="") as f:
        rows = {row["file_name"]: row["corrected_label"] for row in csv.DictReader(f)}
    wanted = [suspects[0]["suggested"], "", suspects[2]["label"], suspects[3]["label"]]
    expect(len(rows) == 240 and [rows[s["file_name"]] for s in suspects[:4]] == wanted, f"{wanted}, {[rows[s['file_name']] for s in suspects[:4]]}")
    review.evenkeel("audit", review.run, "--attributes", table)
    review.evenkeel("prune", review.run, "--method", "random", "--keep", "1", "--by", "corrected_label", "--name", "clean")
    with open(review.run + "/subsets/clean/kept.txt") as f:
        kept = f.read().split("\n")[:-1]
    expect(len(kept) == 239 and suspects[1]["file_name"] not in kept, f"{len(kept)} are kept")


def walk(review, browser):
    page = LabelsPage(review, browser)
    suspects = first_visit(page)
    decisions(page, suspects)
    at_phone_width(page)
    what_follows(page, suspects)


if __name__ == "__main__":
    sys.exit(walk_in(sys.argv[1], DoubtedLabels, walk))
