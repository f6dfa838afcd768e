#!/usr/bin/env python3
"""label_page.py PROGRAM_FOLDER RUN GROUP,...: somebody who knows the label of each image of RUN (images.jsonl) labels on
the page of `evenkeel label`, in headless Chromium, with the pointer and nothing else: ten times as many images as there
are groups in the page's order, mending proposals that are wrong and confirming the others, then a search for the group
with the fewest labels until each has ten, or six such budgets were looked at. Says how many sheets and clicks that took,
and how long the program was waited for.
"""
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "cli"), os.path.join(HERE, "..", "..", "reports")]
from browser import Browser

SHEET = """(() => [...document.querySelectorAll('.tile')].map((t) => [Number(t.dataset.image),
	t.classList.contains('said') ? '' : t.querySelector('.chip').textContent.replace('?', '').trim()]))()"""
READY = """document.querySelectorAll('.tile').length > 0 && document.getElementById('palette').getAttribute('aria-busy') !== 'true'
	&& [...document.querySelectorAll('.tile img')].every((i) => i.complete && i.naturalWidth > 0)"""


class Clicker:
    def __init__(self, browser):
        self.browser = browser
        self.clicks = 0
        self.waited = 0.0

    def wait(self, script):
        before = time.monotonic()
        while not self.browser.evaluate(script):
            if time.monotonic() > before + 60:
                raise SystemExit("waited for " + script)
            time.sleep(0.01)
        self.waited += time.monotonic() - before

    def click(self, element):
        """Element: a script that gives it."""
        box = self.browser.evaluate(f"""(() => {{ const e = {element}; e.scrollIntoView({{ block: 'center' }});
			const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
        self.clicks += 1

    def sheet(self):
        self.wait(READY)
        return self.browser.evaluate(SHEET)

    def brush(self, group):
        pressed = self.browser.evaluate("(document.querySelector('.groups [aria-pressed=true] .word') || {}).textContent")
        if pressed != group:
            self.click(f"[...document.querySelectorAll('.groups button')].find((b) => (b.querySelector('.word') || {{}}).textContent === {json.dumps(group)})")

    def give(self, images, group):
        for image in images:
            self.brush(group)
            self.click(f"document.querySelector('[data-image=\"{image}\"]')")
            self.wait(f"document.querySelector('[data-image=\"{image}\"]').classList.contains('said')")

    def next(self, button):
        """By a button below the sheet, to another one."""
        images = "[...document.querySelectorAll('.tile')].map((t) => t.dataset.image).join()"
        before = self.browser.evaluate(images)
        self.click(f"document.getElementById('{button}')")
        self.wait(f"{images} !== {json.dumps(before)}")
        self.sheet()


def teach(clicker, truth, groups):
    """Returns how many images were looked at, of which proposals were right."""
    labelled = right = sheets = 0
    while labelled < 10 * len(groups):
        sheet = clicker.sheet()
        for group in groups:
            clicker.give([i for i, taken in sheet if truth[i] == group and taken != group], group)
        right += sum(truth[i] == taken for i, taken in sheet)
        labelled += len(sheet)
        sheets += 1
        clicker.next("confirm" if any(truth[i] == taken for i, taken in sheet) else "next")
    return labelled, right, sheets


def search(clicker, truth, budget):
    looked = sheets = 0
    while looked < budget and clicker.browser.evaluate("!document.getElementById('short').hidden"):
        if sheets == 0:
            clicker.click("document.querySelector('[data-mode=search]')")
            clicker.wait("!document.getElementById('search-tools').hidden")
        wanted = clicker.browser.evaluate("document.getElementById('wanted').value")
        clicker.wait(f"document.getElementById('live').textContent.startsWith({json.dumps('Looking for ' + wanted + ': ')})")
        sheet = clicker.sheet()
        clicker.give([i for i, _ in sheet if truth[i] == wanted], wanted)
        looked += len(sheet)
        sheets += 1
        clicker.next("pass" if clicker.browser.evaluate("!document.getElementById('pass').hidden") else "next")
    return looked, sheets


def main():
    folder, run, groups = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
    with open(run + "/images.jsonl", encoding="utf-8") as lines:
        truth = {row["id"]: row["label"] for row in map(json.loads, lines)}
    server = subprocess.Popen([folder + "/evenkeel", "label", run, "--person", "clicker", "--groups", ",".join(groups), "--quiet"],
                              stdout=subprocess.PIPE, text=True)
    browser = Browser(shutil.which("chromium") or shutil.which("google-chrome"))
    try:
        browser.open(server.stdout.readline().strip(), 1280, "light", 800)
        clicker = Clicker(browser)
        began = time.monotonic()
        labelled, right, sheets = teach(clicker, truth, groups)
        print(f"in the page's order: {labelled} images on {sheets} sheets, {right} proposals right, {clicker.clicks} clicks, "
              f"{clicker.waited:.0f} s waited of {time.monotonic() - began:.0f} s", flush=True)
        clicks, waited, began = clicker.clicks, clicker.waited, time.monotonic()
        looked, sheets = search(clicker, truth, 50 * len(groups))
        print(f"in search: {looked} images on {sheets} sheets, {clicker.clicks - clicks} clicks, "
              f"{clicker.waited - waited:.0f} s waited of {time.monotonic() - began:.0f} s; "
              + browser.evaluate("document.getElementById('counts').textContent"))
        print(browser.evaluate("[...document.querySelectorAll('.groups button')].map((b) => b.textContent).join('; ')"))
    finally:
        browser.close()
        server.terminate()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
