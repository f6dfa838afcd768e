#!/usr/bin/env python3
"""label_browser.py PROGRAM_FOLDERS: the page of `evenkeel label` in headless Chromium, driven as a person drives it: by
keys and by pointer, at 360 and 1440 pixels, light and dark; what the log holds and what a screen reader is told is looked
at after each step. Exit 77 (skipped) where there is no Chromium.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reports"))
from browser import Browser
from review_browser import Fault, Page, expect, last, press_code, press_enter
from review_server import Labels, status


class LabelPage(Page):
    def shown(self):
        """All pictures of the sheet are there."""
        self.wait("""document.querySelectorAll('.tile').length > 0 &&
			[...document.querySelectorAll('.tile img')].every((i) => i.complete && i.naturalWidth > 0)""",
                  "the pictures are shown")

    def chip(self, at):
        return self.js(f"document.querySelectorAll('.tile')[{at}].querySelector('.chip').textContent")

    def image(self, at):
        return int(self.js(f"document.querySelectorAll('.tile')[{at}].dataset.image"))

    def images(self):
        return self.js("[...document.querySelectorAll('.tile')].map((t) => Number(t.dataset.image))")

    def click(self, at):
        """With the pointer, and wait until it is saved."""
        count = len(self.review.lines())
        self.wait("document.getElementById('palette').getAttribute('aria-busy') !== 'true'", "saving ends")
        self.js(f"document.querySelectorAll('.tile')[{at}].scrollIntoView({{block: 'center'}})")
        box = self.js(f"(() => {{ const r = document.querySelectorAll('.tile')[{at}].getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()")
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
        self.saved(count + 1)

    def saved(self, lines):
        until = time.monotonic() + 15
        while len(self.review.lines()) < lines:
            expect(time.monotonic() < until, f"nothing is saved: {len(self.review.lines())} lines, {lines} wanted")
            time.sleep(0.02)
        self.wait("document.getElementById('palette').getAttribute('aria-busy') === 'false'", "saving ends")

    def other(self, script):
        """Another sheet comes."""
        before = self.images()
        self.js(script)
        until = time.monotonic() + 15
        while self.images() == before:
            expect(time.monotonic() < until, f"{script}: the same sheet again")
            time.sleep(0.02)
        self.shown()


def groups_are_named(page):
    page.open(1440)
    page.wait("document.getElementById('who-dialog').open", "the page asks who labels")
    page.browser.call("Input.insertText", text="Anna")
    press_enter(page.browser)
    page.wait("document.getElementById('new-dialog').open", "the page asks for groups")
    page.look("groups")
    page.js("document.getElementById('new-groups').value = 'bar\\n ring \\n\\nblob'")
    page.js("document.querySelector('#new-form button[type=submit]').click()")
    page.wait("!document.querySelector('dialog[open]')", "the groups are taken")
    page.shown()
    expect([line["group"] for line in page.review.lines()] == ["bar", "ring", "blob"], str(page.review.lines()))
    expect(page.js("document.cookie") == "", "a script can read the cookie")
    expect(len(page.images()) == 24 and len(set(page.images())) == 24, f"the sheet: {page.images()}")
    expect(page.chip(0).strip() == "", "a proposal without labels: " + page.chip(0))
    page.look("first sheet")
    page.clean("first sheet")


def by_click_and_by_key(page):
    page.click(0)
    expect(last(page.review) | {"time": ""} == {"images": [page.image(0)], "group": "bar", "by": "Anna", "time": ""}, str(last(page.review)))
    expect(page.chip(0) == "bar", page.chip(0))
    page.live(f"Image {page.image(0)}: bar", "a label")
    page.browser.press("2")
    page.click(1)
    expect(page.chip(1) == "ring", page.chip(1))
    page.click(1)
    expect(last(page.review)["group"] == "" and page.chip(1).strip() == "", "a second click does not take back")
    page.click(1)
    # A digit after a click chooses a group, and leaves the image that was clicked.
    count = len(page.review.lines())
    page.browser.press("1")
    page.live("bar chosen", "a chosen group")
    expect(len(page.review.lines()) == count, f"a digit after a click labels: {last(page.review)}")
    # An undo brings back what was said before.
    page.click(1)
    expect(page.chip(1) == "bar", page.chip(1))
    page.browser.press("z")
    page.saved(count + 2)
    expect(page.chip(1) == "ring", "an undo: " + page.chip(1))
    # With the focus on an image a digit labels it and goes on.
    press_code(page.browser, "ArrowRight", 39)
    expect(page.js("document.activeElement.dataset.image") == str(page.image(2)), "an arrow does not lead to the next image")
    count = len(page.review.lines())
    page.browser.press("3")
    page.saved(count + 1)
    page.browser.press("0")
    page.saved(count + 2)
    expect([page.chip(i) for i in (2, 3)] == ["blob", "none of these"], f"{page.chip(2)}, {page.chip(3)}")
    expect(last(page.review)["group"] is None, str(last(page.review)))
    press_code(page.browser, "ArrowRight", 39)
    press_code(page.browser, "ArrowLeft", 37)
    expect(page.js("document.activeElement.dataset.image") == str(page.image(4)), "arrows do not go from image to image")
    page.browser.press("z")
    page.saved(count + 3)
    page.wait("document.querySelectorAll('.tile')[3].querySelector('.chip').textContent.trim() === ''", "an undo")
    expect(last(page.review)["undo"] is True, str(last(page.review)))
    page.clean("labels")


def a_sheet_at_once(page):
    said = {page.image(i) for i in range(3)}
    page.other("document.getElementById('next').click()")
    expect(not said & set(page.images()), "an image that is labelled comes again")
    expect(page.chip(0).endswith("?"), "no proposal: " + page.chip(0))
    page.look("proposals")
    page.browser.press("1")
    page.click(5)
    expect(page.chip(5) == "bar", page.chip(5))
    before, images = len(page.review.lines()), page.images()
    page.other("document.activeElement.blur(); document.getElementById('confirm').click()")
    acts = page.review.lines()[before:]
    expect(sorted(i for act in acts for i in act["images"]) == sorted(set(images) - {images[5]}), f"{acts}")
    expect(len({act["group"] for act in acts}) == len(acts), "more than one act a group")
    expect(not set(images) & set(page.images()), "the sheet after shows the same images")
    page.browser.press("3")
    images = page.images()
    page.js("document.activeElement.blur()")
    before = len(page.review.lines())
    page.browser.press("a")
    page.saved(before + 1)
    expect(last(page.review)["group"] == "blob" and last(page.review)["images"] == images, str(last(page.review)))
    page.clean("sheets")


def a_search(page):
    """For the group with the fewest labels: what is clicked is of it, what is passed over does not come again."""
    short = page.js("[...document.querySelectorAll('#short button')].map((b) => b.getAttribute('aria-label'))")
    expect([words.rpartition(", ")[0] for words in short] == ["Search for bar", "Search for ring"], f"short of labels: {short}")
    page.other("document.querySelector('[data-mode=search]').click()")
    expect(page.js("document.getElementById('wanted').value") == "ring", "another group is searched for")
    expect(page.js("document.querySelector('.groups [aria-pressed=true] .word').textContent") == "ring", "another group is chosen")
    expect(page.js("document.getElementById('next').hidden"), "a search goes on without a word")
    page.live("Looking for ring: 24 images", "a search")
    page.look("search")
    page.clean("search")
    page.click(0)
    expect(page.chip(0) == "ring", page.chip(0))
    expect(page.js("document.getElementById('pass').getAttribute('aria-label')") == "I see no more ring", "what is left")
    first, count = page.images(), len(page.review.lines())
    page.other("document.activeElement.blur(); document.getElementById('pass').click()")
    expect(len(page.review.lines()) == count + 1, str(page.review.lines()[count:]))
    expect(last(page.review) | {"time": ""} == {"images": first[1:], "not": "ring", "by": "Anna", "time": ""}, str(last(page.review)))
    expect(not set(first) & set(page.images()), "what was passed over comes again")
    expect(page.text("passed") == "23 images passed over so far.", page.text("passed"))
    # A sheet with none of it: on to another group that has few labels.
    second = page.images()
    page.other("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'n', bubbles: true }))")
    expect(last(page.review)["not"] == "ring" and last(page.review)["images"] == second, str(last(page.review)))
    expect(page.js("document.getElementById('wanted').value") == "bar", "a search in vain goes on for the same group")
    page.other("[...document.querySelectorAll('#short button')].find((b) => b.dataset.group === 'ring').click()")
    page.other("document.getElementById('undo').click()")
    expect(page.images() == second, "an undo does not bring back what was passed over")
    # Once the group has enough labels, the next that is short of them comes; then none is.
    page.other("document.activeElement.blur(); document.getElementById('rest').click()")
    expect(page.js("document.getElementById('wanted').value") == "bar", "the next group that has few labels does not come")
    page.other("document.getElementById('rest').click()")
    expect(page.js("document.getElementById('short').hidden"), "a group is short of labels: " + page.text("short"))
    expect(page.text("passed").startswith("It has "), page.text("passed"))
    page.other("document.querySelector('[data-mode=teach]').click()")
    page.clean("after a search")


def a_random_sample(page):
    page.other("document.querySelector('[data-mode=random]').click()")
    first = page.images()
    expect(page.js("document.getElementById('confirm').hidden"), "a random sample has proposals")
    expect(page.js("fetch('/random').then((r) => r.json()).then((s) => { window.again = s.images.map((i) => i.image); })") or
           page.wait("window.again", "the sample") or page.js("again") == first, "another random sample")
    page.js("document.activeElement.blur()")
    open_ = page.js("[...document.querySelectorAll('.tile:not(.said)')].map((t) => Number(t.dataset.image))")
    page.browser.press("2")
    page.other("document.getElementById('rest').click()")
    expect(last(page.review)["images"] == open_, "what had a label is labelled anew: " + str(last(page.review)))
    expect("of them the random sample" in page.text("counts"), page.text("counts"))


def groups_are_renamed_merged_and_split(page):
    page.js("document.querySelector('[data-mode=groups]').click()")
    page.wait("!document.getElementById('group-tools').hidden && document.getElementById('new-name').value === 'bar'", "the groups")
    page.shown()
    page.look("groups")

    def rename(name):
        count = len(page.review.lines())
        page.js(f"document.getElementById('new-name').value = {name!r}; document.getElementById('rename').click()")
        page.saved(count + 1)
        page.wait(f"document.querySelector('.tile .chip').textContent === {name!r}", "the new name")
        page.shown()

    rename("<b>stick</b>")
    sizes = [int(n) for n in page.js("[...document.querySelectorAll('.groups .many')].map((m) => m.textContent)")]
    rename("ring")
    merged = [int(n) for n in page.js("[...document.querySelectorAll('.groups .many')].map((m) => m.textContent)")]
    expect(merged[0] == sizes[0] + sizes[1], f"{sizes} became {merged}")
    page.browser.press("2")
    expect(page.js("document.querySelector('.groups [aria-pressed=true] .word').textContent") == "blob", "the second group is chosen")
    page.click(0)
    expect(last(page.review)["group"] == "blob" and page.chip(0) == "blob", str(last(page.review)))
    page.clean("groups")


def a_screen_reader_finds_names(page):
    nodes = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    names = {}
    for node in nodes:
        if not node.get("ignored"):
            names.setdefault(node.get("role", {}).get("value"), []).append(node.get("name", {}).get("value", ""))
    for role in ("button", "combobox", "textbox", "progressbar", "heading"):
        expect(names.get(role), f"there is no {role}: {sorted(map(str, names))}")
        expect(all(n.strip() for n in names[role]), f"a {role} has no name: {names[role]}")
    expect(any(n.startswith("Image ") and n.endswith(", ring") for n in names["button"]), str(names["button"]))


def at_phone_width(page):
    page.open(360, "dark", 740)
    page.wait("document.getElementById('who-dialog').open", "the page asks who labels")
    page.browser.call("Input.insertText", text="Ben")
    press_enter(page.browser)
    page.wait("!document.querySelector('dialog[open]')", "the name is taken")
    page.shown()
    page.look("phone")
    # Without a group chosen a tap confirms what the image is taken for.
    taken = page.chip(0)
    page.click(0)
    expect(page.chip(0) + "?" == taken and last(page.review)["by"] == "Ben", f"{taken}, then {page.chip(0)}")
    page.clean("phone")


def without_the_token(review):
    answer = review.talk(f"GET /state HTTP/1.1\r\nHost: {review.host}\r\nConnection: close\r\n\r\n".encode())
    expect(status(answer) == 403, f"the state without the token: {answer[:80]}")
    answer = review.talk(f"GET /search/0 HTTP/1.1\r\nHost: {review.host}\r\nConnection: close\r\n\r\n".encode())
    expect(status(answer) == 403, f"a search without the token: {answer[:80]}")
    for path, body, wanted in (("/label", {"by": "A", "images": [10**6], "group": "x"}, 400), ("/label", {"by": "A", "images": [1]}, 400),
                               ("/label", {"by": "A", "images": [1], "group": " x"}, 400), ("/label", {"images": [1], "group": "x"}, 400),
                               ("/label", {"by": "A", "images": [1], "not": "not there"}, 400),
                               ("/label", {"by": "A", "images": [10**6], "not": "ring"}, 400), ("/search/99", None, 404),
                               ("/rename", {"by": "A", "group": "not there", "to": "x"}, 400), ("/undo", {"by": "nobody"}, 400),
                               ("/group/99", None, 404), ("/image/100000", None, 404)):
        code, text = review.ask("POST" if body else "GET", path, body)
        expect(code == wanted and b"error" in text, f"{path} {body}: {code} {text[:200]}")


def words_offer_groups(page, review):
    """Groups that words describe are offered by name, and proposed before anybody has labelled anything."""
    with open(review.run + "/images.jsonl", encoding="utf-8") as rows:
        count = sum(1 for _ in rows)
    os.remove(review.log)
    with open(review.run + "/clusters/groups.json", "w", encoding="utf-8") as f:
        json.dump({"images": count, "labelled": 0, "named_by": "words", "words": {},
                   "groups": [{"name": n, "labelled": 0, "images": 0} for n in ("fir", "oak")]}, f)
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 2), }" % count
    with open(review.run + "/clusters/membership.npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + head.ljust(117).encode() + b"\n")
        f.write(b"".join(struct.pack("<2f", *((0.75, 0.25) if i % 2 else (0.25, 0.75))) for i in range(count)))
    review.start()
    page.open(1440)
    page.wait("document.getElementById('who-dialog').open", "the page asks who labels")
    page.browser.call("Input.insertText", text="Anna")
    press_enter(page.browser)
    page.wait("document.getElementById('new-dialog').open", "the page asks for groups")
    expect(page.js("document.getElementById('new-groups').value") == "fir\noak", "the words' groups are not offered")
    page.js("document.querySelector('#new-form button[type=submit]').click()")
    page.wait("!document.querySelector('dialog[open]')", "the groups are taken")
    page.wait("document.querySelector('.tile .chip').textContent.endsWith('?')", "proposals come")
    page.shown()
    expect(all(page.chip(i) == ("fir?" if page.image(i) % 2 else "oak?") for i in range(4)),
           f"proposals: {[(page.image(i), page.chip(i)) for i in range(4)]}")
    page.look("words")


def two_groups_that_nobody_has_met(review):
    """What is passed over in search of one does not come in search of the other."""
    def sheet(group):
        return [i["image"] for i in json.loads(review.ask("GET", f"/search/{group}")[1])["images"]]
    first = sheet(0)
    expect(len(first) == 24 and sheet(1) == first, "two groups without labels are looked for in different places")
    review.ask("POST", "/label", {"by": "Anna", "images": first, "not": "fir"})
    second = sheet(1)
    expect(len(second) == 24 and not set(second) & set(first), "the same images come in search of another group")


def with_components(review):
    """What tells images apart are the run's noise-whitened components, once it has them."""
    before = review.ask("GET", "/teach")
    code, _ = review.stop()
    expect(code == 0 and before == again(review), "the sheet is another one after a new start")
    subprocess.run(["evenkeel", "embed", review.run, "--encoder", "pixels", "--views", "3", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    expect(before != again(review), "components change nothing")


def again(review):
    review.start()
    answer = review.ask("GET", "/teach")
    review.stop()
    return answer


def main():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("there is no Chromium: skipped")
        return 77
    review = Labels(sys.argv[1])
    browser = Browser(chromium)
    try:
        review.start()
        page = LabelPage(review, browser)
        groups_are_named(page)
        by_click_and_by_key(page)
        a_sheet_at_once(page)
        a_search(page)
        a_random_sample(page)
        groups_are_renamed_merged_and_split(page)
        a_screen_reader_finds_names(page)
        at_phone_width(page)
        without_the_token(review)
        with_components(review)
        review.start()
        code, said = review.stop()
        expect(code == 0 and "labelled" not in said, f"the end: {code} {said}")
        words_offer_groups(page, review)
        two_groups_that_nobody_has_met(review)
        review.stop()
    finally:
        browser.close()
        review.close()
    print("the page of label: all is well")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fault as fault:
        print("fault:", fault)
        sys.exit(1)
