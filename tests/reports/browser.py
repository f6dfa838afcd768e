#!/usr/bin/env python3
"""Open reports in headless Chromium, as a reader does, and look for what must not be.

browser.py PAGE_PROGRAM            make pages with the program (tests/reports/page.c) and check them
browser.py --check FILE.html...    check these pages
browser.py --picture FILE.html OUT.png WIDTH [light|dark] [HEIGHT]   a picture of a page

Checked at 360 and 1440 pixels, light and dark: no script error or message, no dialog, nothing refused by the
page's policy, no request but the file, no sideways scrolling, contrast of all text at least 4.5, every picture with
a text, tables that sort, a map that answers to the keyboard. Exit 77 (skipped) where there is no Chromium.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

CONTRAST = r"""
(() => {
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
	const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const light = (c) => [0.2126, 0.7152, 0.0722].reduce((s, w, i) => {
		const v = c[i] / 255;
		return s + w * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	}, 0);
	const paper = (e) => {
		const layers = [];
		for (; e; e = e.parentElement)
			layers.push(parse(getComputedStyle(e).backgroundColor));
		return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]);
	};
	const kind = (e) => e === document.body ? "" : kind(e.parentElement) + ">" + e.tagName + "." + (e.getAttribute("class") || "");
	const bad = new Map(), seen = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || e.closest("title, desc, script, .hidden"))
			continue;
		// One of each kind is enough.
		if (seen.has(kind(e)) || !e.checkVisibility())
			continue;
		seen.add(kind(e));
		const style = getComputedStyle(e), below = paper(e);
		const ink = over(parse(e.closest("svg") ? style.fill : style.color), below);
		const [a, b] = [light(ink), light(below)];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (!(ratio >= 4.5))
			bad.set(e.tagName + "." + (e.getAttribute("class") || ""), ratio.toFixed(2));
	}
	return [...bad];
})()
"""

SORT = r"""
(() => {
	const wrong = [];
	for (const table of document.querySelectorAll("table.sort")) {
		if (table.tBodies[0].rows.length < 2)
			continue;
		for (const heading of table.tHead.rows[0].cells) {
			const button = heading.querySelector("button");
			for (let twice = 0; twice < 2; twice++) {
				button.click();
				const sign = heading.getAttribute("aria-sort") === "descending" ? -1 : 1;
				const keys = Array.from(table.tBodies[0].rows, (r) => r.cells[heading.cellIndex].dataset.v);
				if (keys.every((k) => k !== undefined && !Number.isNaN(Number(k))))
					for (let i = 1; i < keys.length; i++)
						if (sign * (keys[i] - keys[i - 1]) < 0)
							wrong.push(heading.textContent + ": " + keys[i - 1] + ", " + keys[i]);
			}
		}
	}
	return wrong.slice(0, 5);
})()
"""

STRUCTURE = r"""
(() => {
	const wrong = [], ids = new Set();
	if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
	if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
	let level = 0;
	for (const h of document.querySelectorAll("h1, h2, h3")) {
		if (Number(h.tagName[1]) > level + 1) wrong.push("heading jumps: " + h.textContent);
		level = Number(h.tagName[1]);
	}
	for (const e of document.querySelectorAll("img:not([alt]), svg[role=img]:not([aria-labelledby]):not(:has(title))"))
		wrong.push("no text: " + e.outerHTML.slice(0, 60));
	for (const e of document.querySelectorAll("[id]")) {
		if (ids.has(e.id)) wrong.push("twice: #" + e.id);
		ids.add(e.id);
	}
	for (const a of document.querySelectorAll("a"))
		if (!a.hash || !ids.has(decodeURIComponent(a.hash.slice(1)))) wrong.push("dead link: " + a.getAttribute("href"));
	for (const r of performance.getEntriesByType("resource"))
		wrong.push("request: " + r.name.slice(0, 80));
	for (const c of document.querySelectorAll("caption"))
		if (c.getBoundingClientRect().right > innerWidth) wrong.push("caption is cut: " + c.textContent);
	for (const n of document.querySelectorAll("h1 bdi"))
		if (n.getClientRects().length > 1 && n.textContent.length < 16) wrong.push("a name is split: " + n.textContent);
	for (const i of document.images)
		if (i.complete && i.naturalWidth === 0) wrong.push("broken picture: " + i.alt);
	return wrong.slice(0, 8);
})()
"""


class Browser:
    """Chromium over its debugging pipe."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp()
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()

        def wire():
            # Above 4 first, so that neither overwrites the other.
            a, b = os.dup2(to_read, 20), os.dup2(to_write, 21)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-pipe", "--user-data-dir=" + self.folder, "--hide-scrollbars", "about:blank"],
            preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def receive(self):
        while b"\0" not in self.buffer:
            chunk = os.read(self.read_end, 1 << 20)
            if not chunk:
                sys.exit("chromium is gone")
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"the check itself failed: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, path, width, scheme="light", height=900):
        self.events = []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path if "://" in path else "file://" + os.path.abspath(path))
        while self.events[-1:] == [] or self.events[-1].get("method") != "Page.loadEventFired":
            self.events.append(self.receive())
        self.evaluate("1")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, out, height=None):
        area = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": area["width"], "height": height or area["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        with open(out, "wb") as f:
            f.write(base64.b64decode(data))

    def complaints(self):
        found = []
        for event in self.events:
            method, p = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append("exception: " + p["exceptionDetails"].get("exception", {}).get("description", "?"))
            elif method == "Runtime.consoleAPICalled":
                found.append("console: " + str(p["args"]))
            elif method == "Log.entryAdded":
                found.append("log: " + p["entry"]["text"])
            elif method == "Page.javascriptDialogOpening":
                found.append("dialog: " + p["message"])
        return found

    def close(self):
        self.call("Browser.close")
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def check_map(browser):
    if not browser.evaluate("document.querySelector('.map') !== null"):
        return []
    browser.evaluate("document.querySelector('.field').focus()")
    browser.press("ArrowRight")
    first = browser.evaluate("document.querySelector('.peek').hidden ? '' : document.querySelector('.peek p').textContent")
    for key in ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
        browser.press(key)
    last = browser.evaluate("document.querySelector('.map [aria-live]').textContent")
    browser.press("Escape")
    found = [] if first and last else ["the map does not answer to the keyboard"]
    if not browser.evaluate("document.querySelector('.peek').hidden"):
        found.append("Escape does not close the picture")
    return found


def check(browser, path):
    found = []
    # The largest page is slow to open: each width and each scheme once.
    large = os.path.getsize(path) > 4 << 20
    for width in (360, 1440):
        for scheme in ("light", "dark"):
            if large and (width == 360) == (scheme == "dark"):
                continue
            browser.open(path, width, scheme)
            wide = browser.evaluate("document.documentElement.scrollWidth")
            here = [f"scrolls sideways: {wide} pixels"] if wide > width else []
            browser.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            wide = browser.evaluate("document.documentElement.scrollWidth")
            here += [f"scrolls sideways when unfolded: {wide} pixels"] if wide > width else []
            here += [f"contrast {ratio}: {what}" for what, ratio in browser.evaluate(CONTRAST)]
            here += browser.evaluate(STRUCTURE)
            here += check_map(browser)
            here += ["unsorted: " + w for w in browser.evaluate(SORT)]
            browser.evaluate("1")
            found += [f"{os.path.basename(path)}, {width} pixels, {scheme}: {x}" for x in here + browser.complaints()]
    return found


def main(arguments):
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        print("skipped: no Chromium")
        return 77
    if arguments[0] == "--picture":
        browser = Browser(program)
        browser.open(arguments[1], int(arguments[3]), *arguments[4:5])
        browser.picture(arguments[2], int(arguments[5]) if len(arguments) > 5 else None)
        browser.close()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        pages = arguments[1:]
        if arguments[0] != "--check":
            subprocess.run([arguments[0], folder], check=True)
            pages = sorted(os.path.join(folder, f) for f in os.listdir(folder))
        browser = Browser(program)
        found = [f for page in pages for f in check(browser, page)]
        browser.close()
    print("\n".join(found))
    print(f"{len(pages)} pages, {len(found)} faults")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
