#!/usr/bin/env python3
"""review_browser.py PROGRAM_FOLDERS: the page of `evenkeel review` in headless Chromium, driven as a reviewer drives it:
by keys and by pointer, at 360 and 1440 pixels, light and dark, two reviewers; what the log holds and what a screen
reader is told is looked at after each step. Exit 77 (skipped) where there is no Chromium.
"""
import http.server
import json
import os
import shutil
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reports"))
from browser import CONTRAST, Browser
from review_server import Review

STRUCTURE = r"""
(() => {
	const wrong = [], ids = new Set();
	if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
	if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
	for (const e of document.images) {
		if (!e.alt) wrong.push("no text: " + e.src);
		if (e.complete && e.naturalWidth === 0) wrong.push("broken picture: " + e.src);
	}
	for (const e of document.querySelectorAll("[id]")) {
		if (ids.has(e.id)) wrong.push("twice: #" + e.id);
		ids.add(e.id);
	}
	for (const r of performance.getEntriesByType("resource"))
		if (!r.name.startsWith(location.origin + "/")) wrong.push("request: " + r.name);
	const wide = document.documentElement.scrollWidth;
	if (wide > innerWidth) wrong.push("scrolls sideways: " + wide);
	for (const e of document.querySelectorAll("button, select, textarea, input")) {
		const box = e.getBoundingClientRect();
		if (e.checkVisibility() && box.width > 0 && e.type !== "checkbox" && (box.height < 35 || box.width < 35))
			wrong.push("small to hit: " + e.outerHTML.slice(0, 50));
	}
	return wrong;
})()
"""


class Fault(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Fault(what)


class Page:
    def __init__(self, review, browser):
        self.review, self.browser = review, browser

    def js(self, script):
        return self.browser.evaluate(script)

    def text(self, name):
        return self.js(f"document.getElementById('{name}').textContent")

    def wait(self, script, what, seconds=15):
        until = time.monotonic() + seconds
        while not self.js(script):
            if time.monotonic() > until:
                raise Fault(f"{what}: waited for {script}; the page says {self.text('live')!r}, {self.text('problem')!r}")
            time.sleep(0.02)

    def open(self, width, scheme="light", height=800):
        self.browser.open(self.review.url, width, scheme, height)

    def begin(self, name):
        self.wait("document.getElementById('who-dialog').open", "the page asks who reviews")
        self.js("document.getElementById('name').value = ''")
        self.browser.call("Input.insertText", text=name)
        press_enter(self.browser)
        self.wait("!document.querySelector('dialog[open]')", "the name is taken")
        self.shown()

    def shown(self):
        """All pictures of the sample are there."""
        self.wait("""document.querySelectorAll('#near img').length === 5 &&
			[...document.querySelectorAll('#generated img, #near img')].every((i) => i.complete && i.naturalWidth > 0)""",
                  "the pictures are shown")

    def sample(self):
        return int(self.text("heading").split()[1])

    def key(self, key, moves=True):
        """Press; wait until another sample is there."""
        before = self.text("heading")
        self.browser.press(key)
        if moves:
            self.wait(f"document.getElementById('heading').textContent !== {before!r}", f"{key} goes on")
            self.shown()

    def live(self, words, what):
        self.wait(f"document.getElementById('live').textContent.includes({words!r})", f"{what} is announced")

    def judged(self):
        return self.js("Number(document.getElementById('meter').getAttribute('aria-valuenow'))")

    def clean(self, where):
        complaints = self.browser.complaints()
        expect(not complaints, f"{where}: {complaints}")

    def look(self, where):
        wrong = self.js(STRUCTURE) + [f"contrast {ratio}: {what}" for what, ratio in self.js(CONTRAST)]
        expect(not wrong, f"{where}: {wrong}")


def press_code(browser, key, code, text=None):
    """A key that does something of its own, which Chromium tells by its number."""
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                     **({"text": text} if text and kind == "keyDown" else {}))


def press_enter(browser):
    press_code(browser, "Enter", 13, "\r")


def last(review):
    return review.lines()[-1]


def first_visit(page):
    review = page.review
    page.open(1440)
    page.begin("Anna")
    page.clean("first visit")
    page.look("first visit")
    expect(page.js("location.href") == f"http://{review.host}/", "the token stays in the address: " + page.js("location.href"))
    expect(page.js("document.cookie") == "", "a script can read the cookie")
    queue = page.js("fetch('/state').then((r) => r.json()).then((s) => { window.q = s; })") or page.wait("window.q", "the state") or page.js("q")
    tail = [c for c, facts in enumerate(queue["clusters"]) if facts["tail"]]
    expect(tail and queue["queue"][0][1] in tail, f"the minority does not come first: {queue['queue'][:3]}, tail {tail}")
    sizes = [(not queue["clusters"][c]["tail"], queue["clusters"][c]["size"], c, s) for s, c, _ in queue["queue"]]
    expect(sizes == sorted(sizes), "the queue is out of order")
    expect(page.sample() == queue["queue"][0][0], "the first of the queue is not shown first")
    expect("minority" in page.text("facts"), "the cluster is not said to be a minority: " + page.text("facts"))
    distances = page.js("[...document.querySelectorAll('#near b')].map((b) => Number(b.textContent.replace('distance ', '')))")
    expect(len(distances) == 5 and distances == sorted(distances), f"distances: {distances}")
    expect(page.js("getComputedStyle(document.querySelector('#generated img')).imageRendering") == "pixelated", "a tiny image is blurred")
    return queue["queue"]


def copies_are_flagged(page, queue):
    page.js("(() => { const s = document.getElementById('show'); s.value = 'copy'; s.dispatchEvent(new Event('change')); })()")
    wanted = [s for s, _, copied in queue if copied]
    expect(wanted and page.sample() == wanted[0], "the filter shows the copies")
    page.wait("!document.getElementById('copy').hidden", "a copy is flagged in words")
    expect("Possible copy. It is less than half as far from real image" in page.text("copy"), page.text("copy"))
    page.live("possible copy", "a copy")
    page.js("(() => { const s = document.getElementById('show'); s.value = 'all'; s.dispatchEvent(new Event('change')); })()")
    page.js("document.getElementById('decide').focus()")
    for _ in range(len(queue)):
        if page.sample() == queue[0][0]:
            break
        page.key("k")


def decisions_by_key(page, queue):
    review = page.review
    for i, (key, decision, said) in enumerate((("a", "accept", "accepted"), ("r", "reject", "rejected"), ("u", "unsure", "unsure"))):
        sample = page.sample()
        page.key(key)
        expect(last(review)["sample"] == sample and last(review)["decision"] == decision, f"{key}: {last(review)}")
        expect(last(review)["reviewer"] == "Anna" and len(last(review)["sha256"]) == 64, str(last(review)))
        page.live(f"Sample {sample} {said}. Sample {queue[i + 1][0]}", said)
        expect(page.judged() == i + 1, f"{page.judged()} judged, {i + 1} are")
    # Back over what was decided, and on again.
    page.key("k")
    expect(page.text("state") == "unsure", "the decision is not shown: " + page.text("state"))
    expect(page.js("document.querySelector('[data-decision=unsure]').getAttribute('aria-pressed')") == "true", "it is not pressed")
    page.key("r")
    page.key("k")
    expect(page.text("state") == "rejected" and page.judged() == 3, "a decision cannot be changed")
    count = len(review.lines())
    page.browser.press("z")
    page.wait("document.getElementById('state').textContent === 'unsure'", "undo brings the decision before back")
    expect(len(review.lines()) == count + 1 and last(review)["undo"] is True, str(last(review)))
    page.live("Taken back", "an undo")
    page.browser.press("z")
    page.wait("document.getElementById('state').textContent === 'not judged yet'", "undo takes the decision back")
    expect(page.judged() == 2, "an undone decision counts")
    # Held down, a key decides once.
    for _ in range(5):
        page.browser.call("Input.dispatchKeyEvent", type="keyDown", key="a", code="a", autoRepeat=True)
    time.sleep(0.3)
    expect(page.judged() == 2, "a key that is held down decides")
    page.clean("decisions by key")


def nothing_is_shown_before_it_is_on_disk(page):
    review = page.review
    before, count = page.text("heading"), len(review.lines())
    review.server.send_signal(signal.SIGSTOP)
    page.browser.press("a")
    time.sleep(0.7)
    expect(page.text("heading") == before and page.text("state") == "not judged yet", "a decision is shown before it was saved")
    expect(page.js("document.querySelector('.choices').getAttribute('aria-busy')") == "true", "saving is not shown")
    page.browser.press("r")
    review.server.send_signal(signal.SIGCONT)
    page.wait(f"document.getElementById('heading').textContent !== {before!r}", "it goes on once it is saved")
    time.sleep(0.2)
    expect(len(review.lines()) == count + 1 and last(review)["decision"] == "accept", f"a second key decided too: {review.lines()[count:]}")
    page.shown()


def notes(page):
    review = page.review
    page.browser.press("n")
    expect(page.js("document.activeElement.id") == "note", "N does not lead to the note")
    page.browser.call("Input.insertText", text="ar: <b>blurred</b> & \"left\"")
    expect(page.js("document.activeElement.id") == "note" and page.judged() == 3, "letters of a note decide")
    press_enter(page.browser)
    expect(page.js("document.activeElement.id") == "decide", "Enter does not leave the note")
    sample = page.sample()
    page.key("r")
    expect(last(review)["note"] == 'ar: <b>blurred</b> & "left"' and last(review)["sample"] == sample, str(last(review)))
    page.key("k")
    expect(page.js("document.getElementById('note').value") == last(review)["note"], "the note is not shown again")
    page.browser.press("n")
    page.js("document.getElementById('note').value = ''")
    page.browser.call("Input.insertText", text="sharp after all")
    press_enter(page.browser)
    page.live("note saved", "a changed note")
    expect(last(review)["note"] == "sharp after all" and last(review)["decision"] == "reject", str(last(review)))
    # A note that is not saved stays with its image.
    page.key("j")
    page.browser.press("n")
    page.browser.call("Input.insertText", text="draft")
    press_enter(page.browser)
    page.key("j")
    expect(page.js("document.getElementById('note').value") == "", "a draft goes with another image")
    page.key("k")
    expect(page.js("document.getElementById('note').value") == "draft", "a draft is lost")
    page.js("(() => { const n = document.getElementById('note'); n.value = ''; n.dispatchEvent(new Event('input')); })()")
    page.clean("notes")


def filters(page):
    page.browser.press("f")
    expect(page.js("document.activeElement.id") == "show", "F does not lead to the filter")
    for value, wanted in (("reject", 2), ("accept", 2), ("open", page.review.samples - 4), ("note", 1), ("all", page.review.samples)):
        page.js(f"(() => {{ const s = document.getElementById('show'); s.value = '{value}'; s.dispatchEvent(new Event('change')); }})()")
        place = page.text("place")
        expect(place.endswith(f"of {wanted} shown"), f"{value}: {place}, {wanted} are")
    clusters = page.js("[...document.querySelectorAll('#cluster option')].slice(1).map((o) => [o.value, o.textContent])")
    for value, text in clusters:
        page.js(f"(() => {{ const s = document.getElementById('cluster'); s.value = '{value}'; s.dispatchEvent(new Event('change')); }})()")
        expect(text.rsplit(", ", 1)[1].split()[0] == page.text("place").split()[2], f"cluster {text}: {page.text('place')}")
    page.js("""(() => { const s = document.getElementById('show'); s.value = 'copy'; s.dispatchEvent(new Event('change'));
		const c = document.getElementById('cluster'); c.value = ''; c.dispatchEvent(new Event('change')); })()""")
    page.js("document.getElementById('show').value = 'unsure'; document.getElementById('show').dispatchEvent(new Event('change'))")
    expect(page.js("!document.getElementById('empty').hidden && document.getElementById('main').hidden"), "nothing to show is not said")
    page.js("document.getElementById('all').click()")
    page.shown()
    page.clean("filters")


def dialogs(page):
    page.browser.press("?")
    page.wait("document.getElementById('help-dialog').open", "? opens the help")
    page.look("help")
    count = len(page.review.lines())
    page.browser.press("a")
    time.sleep(0.2)
    expect(len(page.review.lines()) == count, "a key decides behind the help")
    press_code(page.browser, "Escape", 27)
    page.wait("!document.getElementById('help-dialog').open", "Escape closes the help")
    page.js("document.getElementById('keys').click()")
    before = page.text("heading")
    page.browser.press("j")
    time.sleep(0.1)
    expect(page.text("heading") == before, "keys cannot be switched off")
    page.js("document.getElementById('keys').click()")


def a_screen_reader_finds_names(page):
    nodes = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {}
    for node in nodes:
        role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value", "")
        if not node.get("ignored"):
            roles.setdefault(role, []).append(name)
    for role in ("button", "combobox", "textbox", "image", "progressbar", "heading"):
        expect(roles.get(role), f"there is no {role}: {sorted(map(str, roles))}")
        expect(all(n.strip() for n in roles[role]), f"a {role} has no name: {roles[role]}")
    expect(sum(n.startswith("Real image") and "distance" in n for n in roles["image"]) == 5, str(roles["image"]))
    expect(any(n.startswith("Generated image, sample") for n in roles["image"]), str(roles["image"]))
    expect(page.js("document.getElementById('live').getAttribute('aria-live')") == "polite", "nothing is announced")


def by_tab_alone(page):
    """From the top, Tab reaches every control, and the reached one is outlined."""
    page.key("j")  # or there is no way back
    page.js("document.activeElement.blur()")
    seen = []
    for _ in range(25):
        press_code(page.browser, "Tab", 9)
        if page.js("document.activeElement === document.body"):
            continue
        seen.append(page.js("document.activeElement.id || document.activeElement.dataset.decision || document.activeElement.className"))
        outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
        expect(outline != "none", f"{seen[-1]} has the focus and does not show it")
    wanted = {"skip", "who", "agreement", "help", "show", "cluster", "accept", "unsure", "reject", "note", "back", "undo", "next"}
    expect(wanted <= set(seen), f"Tab does not reach {wanted - set(seen)}")


def by_pointer_at_phone_width(page):
    review = page.review
    page.open(360, "dark", 740)
    page.begin("Anna")
    page.look("phone")
    expect(page.judged() == 4, f"a new visit forgets: {page.judged()}")
    expect(page.text("state") == "not judged yet", "it does not go on where the reviewer was")
    seen = page.js("""[...document.querySelectorAll('[data-decision]')].every((b) => {
		const r = b.getBoundingClientRect(); return r.bottom <= innerHeight && r.width >= 90; })""")
    expect(seen, "the decision is not at hand")
    sample, before = page.sample(), page.text("heading")
    box = page.js("(() => { const r = document.querySelector('[data-decision=accept]').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
    for kind in ("mousePressed", "mouseReleased"):
        page.browser.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
    page.wait(f"document.getElementById('heading').textContent !== {before!r}", "a tap decides")
    expect(last(review)["sample"] == sample and last(review)["decision"] == "accept", str(last(review)))
    page.clean("phone")


def a_second_reviewer(page, queue):
    page.open(1440, "dark")
    page.begin("Ben <b>")
    expect(page.judged() == 0, "others' decisions are shown")
    page.look("second reviewer")
    for key in "aauaaa":
        page.key(key)
    votes = page.review.summary()
    pair = votes["agreement"][0]
    expect(len(votes["agreement"]) == 1 and pair["both"] == 5 and pair["reviewers"] == ["Anna", "Ben <b>"], str(votes))
    page.js("document.getElementById('agreement').click()")
    page.wait("document.querySelectorAll('#agreement-text table').length === 3", "the results are shown")
    page.look("results")
    row = page.js("[...document.querySelectorAll('#agreement-text table')[1].tBodies[0].rows[0].cells].map((c) => c.textContent)")
    expect(row[0] == "Anna and Ben <b>" and row[1] == "5" and row[3] == f"{pair['kappa']:.2f}", f"{row}, {pair}")
    press_code(page.browser, "Escape", 27)
    page.clean("second reviewer")


def all_are_judged(page):
    """To the end of the queue."""
    left = page.review.samples - page.judged()
    for _ in range(left):
        before = page.judged()
        page.shown()
        page.browser.press("a")
        page.wait(f"document.getElementById('meter').getAttribute('aria-valuenow') === '{before + 1}'", "each is saved")
    page.live("This was the last image", "the end")
    expect("none of" in page.text("counts"), page.text("counts"))


def another_page_can_do_nothing(page):
    """A page of another port of this machine, to which the browser sends the cookie all the same."""
    review = page.review
    html = f"""<!DOCTYPE html><title>evil</title><img src="http://{review.host}/generated/0" id="i"><script>
		window.got = [];
		const ask = (path, options) => fetch("http://{review.host}" + path, options).then((r) => got.push([path, r.status, r.type]), () => got.push([path, "refused"]));
		const body = JSON.stringify({{ reviewer: "evil", sample: 1, decision: "accept", note: "" }});
		Promise.all([ask("/state", {{ credentials: "include" }}), ask("/state", {{ mode: "no-cors", credentials: "include" }}),
			ask("/decide", {{ method: "POST", mode: "no-cors", credentials: "include", body }}),
			ask("/decide", {{ method: "POST", credentials: "include", headers: {{ "Content-Type": "application/json" }}, body }})]).then(() => {{ window.done = true; }});
		</script><iframe src="http://{review.host}/"></iframe>"""

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_):
            pass

    evil = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    count = len(review.lines())
    page.browser.open(f"http://127.0.0.1:{evil.server_address[1]}/", 1440)
    until = time.monotonic() + 15
    while not page.js("window.done === true") and time.monotonic() < until:
        time.sleep(0.05)
    expect(page.js("window.done === true"), "the other page did not get through its script")
    got = page.js("window.got")
    expect(all(g[1] == "refused" or (g[1] == 0 and g[2] == "opaque") for g in got), f"another page reads: {got}")
    expect(page.js("document.getElementById('i').naturalWidth") == 0, "another page shows an image")
    expect(page.js("document.querySelector('iframe').contentDocument === null || !document.querySelector('iframe').contentDocument.getElementById('decide')"),
           "the page can be framed")
    expect(len(review.lines()) == count, f"another page decided: {review.lines()[count:]}")
    evil.shutdown()


def the_end_of_the_server_is_told(page):
    page.open(1440)
    page.begin("Cleo")
    count, before = len(page.review.lines()), page.text("heading")
    code, said = page.review.stop()
    expect(code == 0 and said == "", f"the server ends with {code}: {said}")
    page.browser.press("a")
    page.wait("!document.getElementById('problem').hidden", "that nothing was saved is said")
    expect("Not saved." in page.text("problem"), page.text("problem"))
    expect(page.text("heading") == before and page.text("state") == "not judged yet", "a decision that was not saved is shown")
    expect(len(page.review.lines()) == count, "who wrote this?")


def an_image_made_anew_is_seen_before_it_is_decided(page):
    review = page.review
    review.start()
    page.open(1440)
    page.begin("Dora")
    sample, count = page.sample(), len(review.lines())
    shown = page.js("document.querySelector('#generated img').src")
    shutil.copy(review.image((sample + 1) % review.samples), review.image(sample))
    page.browser.press("a")
    page.wait("!document.getElementById('problem').hidden", "that the image is another one is said")
    expect("Not saved. Sample" in page.text("problem") and "made anew" in page.text("problem"), page.text("problem"))
    page.look("an image made anew")
    page.wait(f"document.querySelector('#generated img') && document.querySelector('#generated img').src !== {shown!r}", "the new image is shown")
    page.shown()
    expect(page.sample() == sample and page.text("state") == "not judged yet" and len(review.lines()) == count, "it was decided all the same")
    page.key("a")
    expect(last(review)["sample"] == sample and last(review)["sha256"] == review.sha256(sample), str(last(review)))
    # Not even fetched ahead is an image that nobody has.
    ahead = page.js("fetch('/state').then((r) => r.json()).then((s) => { window.q = s.queue; })") or page.wait("window.q", "the state") or page.js("q")
    following = ahead[[s for s, _, _ in ahead].index(page.sample()) + 1][0]
    time.sleep(0.5)
    shutil.copy(review.image((following + 1) % review.samples), review.image(following))
    page.key("r")
    page.browser.press("r")
    page.wait("!document.getElementById('problem').hidden", "that the image fetched ahead is another one is said")
    expect(page.sample() == following and last(review)["sample"] != following, str(last(review)))


def a_changed_log_is_told(page):
    review = page.review
    page.open(1440)
    page.begin("Dora")
    judged, sample = page.judged(), page.sample()
    with open(review.log, "r+b") as f:
        f.truncate(os.path.getsize(review.log) - 20)
    page.key("u")
    page.wait("!document.getElementById('problem').hidden", "that somebody changed the file is said")
    expect("Another program has changed the file of decisions." in page.text("problem"), page.text("problem"))
    expect(page.judged() == judged, f"{page.judged()} are shown as judged, {judged} were and one was cut")
    with open(review.log, "rb") as f:
        ends = f.read().split(b"\n")
    expect(json.loads(ends[-2])["sample"] == sample and json.loads(ends[-2])["decision"] == "unsure", str(ends[-3:]))
    page.look("a changed log")
    code, said = review.stop()
    expect(code == 0 and "somebody has cut the last line short" in said, f"the server ends with {code}: {said}")


def without_scripts(page):
    page.browser.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(1440)
    shown = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    page.browser.call("Emulation.setScriptExecutionDisabled", value=False)
    expect(any("needs JavaScript" in n.get("name", {}).get("value", "") for n in shown), "without scripts nothing is said")


def walk(page):
    queue = first_visit(page)
    copies_are_flagged(page, queue)
    decisions_by_key(page, queue)
    nothing_is_shown_before_it_is_on_disk(page)
    notes(page)
    filters(page)
    dialogs(page)
    a_screen_reader_finds_names(page)
    by_tab_alone(page)
    by_pointer_at_phone_width(page)
    a_second_reviewer(page, queue)
    all_are_judged(page)
    another_page_can_do_nothing(page)
    without_scripts(page)
    the_end_of_the_server_is_told(page)
    an_image_made_anew_is_seen_before_it_is_decided(page)
    a_changed_log_is_told(page)


def walk_in(folders, reviewed, steps):
    """A server of `reviewed` and a browser, through which `steps` walks: the exit code."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        print("skipped: no Chromium")
        return 77
    review = reviewed(folders)
    browser = None
    try:
        review.start()
        browser = Browser(program)
        steps(review, browser)
        print("every step as it should be")
        return 0
    except Fault as fault:
        print(f"fault: {fault}")
        return 1
    finally:
        if browser is not None:
            browser.close()
        review.close()


if __name__ == "__main__":
    sys.exit(walk_in(sys.argv[1], Review, lambda review, browser: walk(Page(review, browser))))
