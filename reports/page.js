// Sorting of tables, pictures on the map, the chapter that is being read. The page says all it has to say without this.
(function () {
	"use strict";

	document.documentElement.classList.add("scripted");

	// A table sorts by a button in each heading.
	function key(row, column) {
		const cell = row.cells[column];
		const text = cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim();
		const number = Number(text.replace(/,/g, ""));
		return text !== "" && !Number.isNaN(number) ? number : text;
	}

	function compare(a, b) {
		if (typeof a === "number" && typeof b === "number")
			return a - b;
		return String(a).localeCompare(String(b), "en");
	}

	function sort(table, heading) {
		const column = heading.cellIndex;
		const body = table.tBodies[0];
		const rows = Array.from(body.rows, (row, at) => ({ row, at, key: key(row, column) }));
		const numbers = rows.every((r) => typeof r.key === "number");
		const was = heading.getAttribute("aria-sort");
		const down = was === null ? numbers : was === "ascending";

		rows.sort((a, b) => (down ? compare(b.key, a.key) : compare(a.key, b.key)) || a.at - b.at);
		for (const other of table.tHead.rows[0].cells)
			other.removeAttribute("aria-sort");
		heading.setAttribute("aria-sort", down ? "descending" : "ascending");
		body.append(...rows.map((r) => r.row));
	}

	for (const table of document.querySelectorAll("table.sort")) {
		if (table.tBodies[0].rows.length < 2)
			continue;
		for (const heading of table.tHead.rows[0].cells) {
			const button = document.createElement("button");
			button.type = "button";
			button.append(...heading.childNodes);
			heading.append(button);
			button.addEventListener("click", () => sort(table, heading));
		}
	}

	// What scrolls sideways can be reached by keyboard.
	for (const box of document.querySelectorAll(".scroll")) {
		const caption = box.querySelector("caption");
		if (box.scrollWidth > box.clientWidth) {
			box.tabIndex = 0;
			box.setAttribute("role", "region");
			box.setAttribute("aria-label", caption ? caption.textContent : "table");
		}
	}

	// The map: point, tap, or move with the arrow keys.
	const map = document.querySelector(".map");
	if (map) {
		const field = map.querySelector(".field");
		const peek = map.querySelector(".peek");
		const tile = peek.querySelector("svg");
		const live = map.querySelector("[aria-live]");
		const points = Array.from(map.querySelectorAll(".scatter use"), (use, at) => {
			const title = use.querySelector("title");
			const text = title.textContent;
			title.remove(); // or the browser would show it beside ours
			return { use, at, text, x: parseFloat(use.getAttribute("x")), y: parseFloat(use.getAttribute("y")) };
		});
		const byUse = new Map(points.map((p) => [p.use, p]));
		let current = null;

		function hide() {
			if (current)
				current.use.classList.remove("on");
			current = null;
			peek.hidden = true;
		}

		function show(point, aloud) {
			if (point === current)
				return;
			hide();
			current = point;
			point.use.classList.add("on");
			if (tile) {
				const side = Number(tile.dataset.side), columns = Number(tile.dataset.columns);
				tile.setAttribute("viewBox", [(point.at % columns) * side, Math.floor(point.at / columns) * side, side, side].join(" "));
			}
			peek.querySelector("p").textContent = point.text;
			peek.hidden = false;
			const width = field.clientWidth, height = field.clientHeight;
			const x = (point.x / 100) * width, y = (point.y / 100) * height;
			const left = x + 14 + peek.offsetWidth <= width ? x + 14 : x - 14 - peek.offsetWidth;
			peek.style.left = Math.max(0, Math.min(left, width - peek.offsetWidth)) + "px";
			peek.style.top = Math.max(0, Math.min(y - peek.offsetHeight / 2, height - peek.offsetHeight)) + "px";
			if (aloud)
				live.textContent = point.text;
		}

		// The nearest point that lies more in this direction than across it.
		function next(dx, dy) {
			const scale = field.clientHeight / field.clientWidth;
			let best = null, least = Infinity;
			for (const p of points) {
				const x = p.x - current.x, y = (p.y - current.y) * scale;
				const along = x * dx + y * dy, across = Math.abs(x * dy) + Math.abs(y * dx);
				if (p === current || along <= 0 || across > along)
					continue;
				if (along + 2 * across < least) {
					least = along + 2 * across;
					best = p;
				}
			}
			return best;
		}

		const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
		field.tabIndex = 0;
		field.setAttribute("role", "application");
		field.setAttribute("aria-label", "Map of the images: arrow keys go from image to image, Escape closes the picture");
		field.addEventListener("pointermove", (event) => {
			const point = byUse.get(event.target.closest("use"));
			if (point)
				show(point, false);
			else if (event.pointerType === "mouse")
				hide();
		});
		field.addEventListener("click", (event) => {
			const point = byUse.get(event.target.closest("use"));
			if (point)
				show(point, true);
			else
				hide();
		});
		field.addEventListener("pointerleave", () => {
			if (document.activeElement !== field)
				hide();
		});
		field.addEventListener("blur", hide);
		field.addEventListener("keydown", (event) => {
			const arrow = arrows[event.key];
			if (event.key === "Escape")
				hide();
			if (!arrow || points.length === 0)
				return;
			event.preventDefault();
			if (!current)
				show(points[0], true);
			else
				show(next(arrow[0], arrow[1]) || current, true);
		});

		// The legend shows one cluster alone.
		const buttons = Array.from(map.querySelectorAll(".legend button"));
		for (const button of buttons) {
			button.addEventListener("click", () => {
				const only = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.c;
				for (const other of buttons)
					other.setAttribute("aria-pressed", String(other.dataset.c === only));
				for (const p of points)
					p.use.classList.toggle("off", only !== null && p.use.dataset.c !== only);
			});
		}
	}

	// Say which chapter is being read.
	const links = new Map(Array.from(document.querySelectorAll("nav a"), (a) => [a.hash.slice(1), a]));
	if ("IntersectionObserver" in window) {
		const watcher = new IntersectionObserver((entries) => {
			for (const entry of entries) {
				if (!entry.isIntersecting)
					continue;
				for (const link of links.values()) {
					link.classList.remove("here");
					link.removeAttribute("aria-current");
				}
				links.get(entry.target.id).classList.add("here");
				links.get(entry.target.id).setAttribute("aria-current", "true");
			}
		}, { rootMargin: "-10% 0px -85% 0px" });
		for (const id of links.keys())
			if (document.getElementById(id))
				watcher.observe(document.getElementById(id));
	}

	// Paper has no folds, except for long lists.
	addEventListener("beforeprint", () => {
		for (const details of document.querySelectorAll("details:not(.more)"))
			details.open = true;
	});
})();
