// The label page. Nothing is shown as labelled before the server has said that it is on disk.
(function () {
	"use strict";

	const { $, number, count, make, Refused, ask, tell, complain, whoDialog, recall, remember } = window.evenkeel;
	const colours = ["#0b6470", "#b5480a", "#5b4bb3", "#2f7a2f", "#a8326e", "#7a5a00", "#2a63b0", "#8a3b2a", "#4d6170", "#6b7a12"];
	const none = { key: "0", word: "none of these", group: null };
	const words = {
		teach: "The images that teach most. Choose a group, click what belongs to it.",
		search: "Likely images of a group with few labels. Click those that belong to it, then say that you see no more.",
		random: "A simple random sample, for honest shares. Leave none out.",
		groups: "What is labelled. Give some images another group to split this one.",
	};

	let state; // of the server, with what it answered last
	let person = null;
	let mode = "teach";
	let chosen = false; // by hand, this sheet
	let wanted; // the name of the group that is searched for
	let sheet = []; // { image, said, group, sure }; said: "" nothing, null none of the groups
	let brush; // the name of the group that a click gives; null: none of these; undefined: not chosen yet
	let queue = Promise.resolve(); // of what is told to the server
	let waiting = 0;
	let askWho; // opens the dialog
	let pointed = false; // the focus is where somebody clicked
	let turn = 0; // of the sheets that were asked for

	const nameOf = (group) => group === null ? none.word : group;
	const colourOf = (group) => {
		const i = state.groups.findIndex((g) => g.name === group);
		return i < 0 ? "var(--soft)" : colours[i % colours.length];
	};
	const open = () => sheet.filter((entry) => entry.said === "");
	const proposed = () => open().filter((entry) => entry.group !== null);

	const isShort = (g) => g.images < state.target;
	const shortest = () => state.groups.filter(isShort).sort((a, b) => a.passed - b.passed || a.images - b.images)[0];

	// --- what is shown ---

	function renderCounts() {
		const enough = state.groups.filter((g) => g.images >= state.target).length;
		const all = state.groups.length;
		const sizes = state.groups.map((g) => Math.min(g.images, state.target));
		const part = all === 0 ? 0 : sizes.reduce((a, b) => a + b, 0) / (all * state.target);
		$("meter").querySelector(".accept").style.width = 100 * part + "%";
		$("meter").setAttribute("aria-valuemax", all);
		$("meter").setAttribute("aria-valuenow", enough);
		$("meter").setAttribute("aria-valuetext", enough + " of " + count(all, "group") + " with " + state.target + " labels or more");
		const parts = [count(state.labelled, "image") + " labelled"];
		if (all > 0)
			parts.push(enough === all ? "every group has " + state.target + " labels or more"
				: number(enough) + " of " + count(all, "group") + " with " + state.target + " labels or more");
		if (state.random > 0)
			parts.push(number(state.random) + " of them the random sample");
		if (state.disputed > 0)
			parts.push(number(state.disputed) + " on which people differ");
		$("counts").textContent = parts.join("; ");
		renderShort();
	}

	// Which groups still want labels, and the way to them.
	function renderShort() {
		const few = state.groups.filter(isShort);
		const focus = $("short").contains(document.activeElement) ? document.activeElement.dataset.group : undefined;
		$("short").hidden = few.length === 0 || state.labelled === 0;
		$("short").replaceChildren("Show likely ones of ", ...few.map((g) => {
			const button = make("button", null, { type: "button", "aria-label": "Search for " + g.name + ", " + count(g.images, "label"),
				"aria-pressed": String(mode === "search" && wanted === g.name), "data-group": g.name });
			button.append(make("span", g.name, { class: "word" }), make("span", number(g.images), { class: "many" }));
			button.addEventListener("click", () => search(g.name));
			return button;
		}));
		if (focus !== undefined)
			([...$("short").children].find((b) => b.dataset.group === focus) || $("sheet")).focus();
	}

	function brushButton(group, key, images) {
		const button = make("button", null, { type: "button", "aria-pressed": String(brush === group) });
		button.style.setProperty("--group", colourOf(group));
		button.append(make("span", null, { class: "dot", "aria-hidden": "true" }), make("span", nameOf(group), { class: "word" }),
			make("span", number(images), { class: "many", "aria-label": count(images, "label") }));
		if (key) {
			button.append(make("kbd", key));
			button.setAttribute("aria-keyshortcuts", key);
		}
		button.addEventListener("click", () => choose(group));
		return button;
	}

	function renderPalette() {
		const buttons = state.groups.map((g, i) => brushButton(g.name, i < 9 ? String(i + 1) : "", g.images));
		const more = make("button", "+ Group", { type: "button", "aria-haspopup": "dialog" });
		more.addEventListener("click", askGroups);
		$("groups").replaceChildren(...buttons, brushButton(null, none.key, state.none), more);
		const left = open().length;
		$("rest").hidden = mode === "groups" || brush === undefined || left === 0;
		$("rest-group").textContent = brush === undefined ? "" : nameOf(brush);
		$("rest").setAttribute("aria-label", "All others are " + $("rest-group").textContent);
		$("confirm").hidden = proposed().length === 0;
		$("confirm").replaceChildren("Confirm " + number(proposed().length), make("span", proposed().length === 1 ? " proposal" : " proposals", { class: "wide" }),
			" ", make("kbd", "Enter"));
		$("pass").hidden = mode !== "search" || left === 0;
		$("pass-words").textContent = left === sheet.length ? "no" : "no more";
		$("pass-group").textContent = " " + wanted;
		$("pass").setAttribute("aria-label", "I see " + $("pass-words").textContent + " " + wanted);
		$("next").hidden = mode === "groups" || !$("pass").hidden;
	}

	function tileWords(entry) {
		const said = entry.said === "" ? (entry.group !== null ? "taken for " + entry.group : "no label yet") : nameOf(entry.said);
		return "Image " + entry.image + ", " + said;
	}

	function renderTile(tile, entry) {
		const said = entry.said !== "";
		tile.classList.toggle("said", said);
		tile.classList.toggle("proposed", !said && entry.group !== null);
		tile.style.setProperty("--group", colourOf(said ? entry.said : entry.group));
		tile.setAttribute("aria-label", tileWords(entry));
		tile.querySelector(".chip").textContent = said ? nameOf(entry.said)
			: entry.group !== null ? entry.group + "?" : "\u00a0";
	}

	function makeTile(entry) {
		const item = make("li");
		const tile = make("button", null, { type: "button", class: "tile", "data-image": entry.image });
		const image = new Image();
		image.alt = "image " + entry.image;
		image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth <= 160 && image.naturalHeight <= 160));
		image.addEventListener("error", () => image.replaceWith(make("span", "image " + entry.image + " cannot be read any more", { class: "gone" })));
		image.src = "/image/" + entry.image;
		tile.append(image, make("span", "", { class: "chip" }));
		tile.addEventListener("click", () => click(entry));
		item.append(tile);
		renderTile(tile, entry);
		return item;
	}

	const tileOf = (entry) => $("sheet").querySelector('[data-image="' + entry.image + '"]');

	function render() {
		$("sheet").replaceChildren(...sheet.map(makeTile));
		$("none").hidden = sheet.length > 0;
		$("none").textContent = mode === "groups" ? "Nothing is labelled so."
			: mode === "search" ? "No image is left that was not looked at." : "Every image is labelled.";
		refresh();
	}

	function refresh() {
		for (const entry of sheet) {
			const tile = tileOf(entry);
			if (tile)
				renderTile(tile, entry);
		}
		renderCounts();
		renderPalette();
	}

	function renderModes() {
		for (const button of document.querySelectorAll("[data-mode]"))
			button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
		$("mode").textContent = words[mode];
		$("group-tools").hidden = mode !== "groups";
		$("search-tools").hidden = mode !== "search";
	}

	// The group that was chosen; once it has enough labels, or a sheet has none of it, the next that has few.
	function renderWanted(none) {
		const now = state.groups.find((g) => g.name === wanted);
		const next = shortest();
		if (!now || ((none || !isShort(now)) && next && !chosen))
			wanted = (next || state.groups[0] || {}).name;
		chosen = false;
		brush = wanted;
		$("wanted").replaceChildren(...state.groups.map((g) => make("option", g.name, { value: g.name })));
		$("wanted").value = wanted;
		const group = state.groups.find((g) => g.name === wanted);
		$("passed").textContent = (group.images >= state.target ? "It has " + number(group.images) + " labels. " : "") +
			(group.passed > 0 ? count(group.passed, "image") + " passed over so far." : "");
	}

	function search(name) {
		mode = "search";
		wanted = name;
		chosen = true;
		load();
	}

	function renderWhich(chosen) {
		const options = state.groups.map((g, i) => make("option", g.name + " (" + number(g.images) + ")", { value: i }));
		options.push(make("option", none.word + " (" + number(state.none) + ")", { value: state.groups.length }),
			make("option", "people differ (" + number(state.disputed) + ")", { value: state.groups.length + 1 }));
		$("which").replaceChildren(...options);
		$("which").value = String(Math.min(chosen, options.length - 1));
		const group = state.groups[Number($("which").value)];
		$("new-name").value = group ? group.name : "";
		$("new-name").disabled = $("rename").disabled = !group;
	}

	async function load(none) {
		const mine = ++turn;
		const which = Number($("which").value || 0);
		renderModes();
		if (mode === "groups")
			renderWhich(which);
		if (mode === "search" && state.groups.length === 0)
			return askGroups();
		if (mode === "search")
			renderWanted(none === true);
		try {
			const answer = await ask(mode === "groups" ? "/group/" + $("which").value
				: mode === "search" ? "/search/" + state.groups.findIndex((g) => g.name === wanted) : "/" + mode);
			if (mine !== turn)
				return;
			sheet = answer.images;
			render();
			tell((mode === "search" ? "Looking for " + wanted + ": " : "") + count(sheet.length, "image") + (proposed().length > 0 ? ", " + count(proposed().length, "proposal") : "") + ".");
		} catch (error) {
			complain(error, "The images cannot be shown.", load);
		}
	}

	// --- labels ---

	function take(answer) {
		const edited = state.edits !== undefined && answer.edits !== state.edits;
		Object.assign(state, { groups: answer.groups, none: answer.none, disputed: answer.disputed, labelled: answer.labelled,
			random: answer.random, edits: answer.edits });
		if (brush !== undefined && brush !== null && !state.groups.some((g) => g.name === brush))
			brush = undefined;
		if (edited)
			complain(new Refused("It was read again, and what it says now counts."), "Another program has changed the file of labels.");
	}

	// Tell the server, one act after the other; `done` shows what it answered, `again` is offered if that fails.
	function send(path, body, what, again, done) {
		waiting++;
		$("palette").setAttribute("aria-busy", "true");
		const turn = queue.then(async () => {
			try {
				const answer = await ask(path, Object.assign({ by: person }, body));
				$("problem").hidden = true;
				take(answer);
				done(answer);
				return true;
			} catch (error) {
				complain(error, what, again);
				return false;
			} finally {
				waiting--;
				$("palette").setAttribute("aria-busy", String(waiting > 0));
			}
		});
		queue = turn;
		return turn;
	}

	function give(entries, group) {
		if (entries.length === 0)
			return Promise.resolve(false);
		return send("/label", { images: entries.map((e) => e.image), group }, "Not saved.", () => give(entries, group), () => {
			for (const entry of entries)
				entry.said = group;
			refresh();
			tell((entries.length === 1 ? "Image " + entries[0].image : count(entries.length, "image")) + ": " +
				(group === "" ? "taken back" : nameOf(group)) + ". " + count(open().length, "image") + " left on this sheet.");
		});
	}

	function click(entry) {
		if (brush === undefined) {
			if (entry.said === "" && entry.group !== null)
				give([entry], entry.group);
			else
				tell("Choose a group first.");
			return;
		}
		give([entry], entry.said === brush ? "" : brush);
	}

	function choose(group) {
		brush = group;
		renderPalette();
		tell(nameOf(group) + " chosen.");
	}

	async function confirm() {
		const groups = new Map();
		for (const entry of proposed())
			groups.set(entry.group, (groups.get(entry.group) || []).concat([entry]));
		for (const [group, entries] of groups)
			if (!await give(entries, group))
				return;
		if (open().length === 0)
			load();
	}

	async function rest() {
		if (brush !== undefined && await give(open(), brush) && mode !== "groups")
			load();
	}

	// Nothing else of the sheet is of the group that is searched for.
	async function pass() {
		const images = open().map((e) => e.image);
		const none = !sheet.some((e) => e.said === wanted);
		if (mode === "search" && images.length > 0 &&
			await send("/label", { images, not: wanted }, "Not saved.", pass, () => undefined))
			load(none);
	}

	function undo() {
		send("/undo", {}, "Not taken back.", undo, (answer) => {
			if (mode === "groups" || !answer.images.every((i) => sheet.some((e) => e.image === i.image)))
				load();
			for (const entry of sheet)
				for (const now of answer.images)
					if (now.image === entry.image)
						entry.said = now.said;
			refresh();
			tell("Taken back.");
		});
	}

	function rename(event) {
		event.preventDefault();
		const group = state.groups[Number($("which").value)];
		const to = $("new-name").value.trim();
		if (!group || to === "" || to === group.name)
			return;
		send("/rename", { group: group.name, to }, "Not renamed.", undefined, () => {
			tell(group.name + " is " + to + " now.");
			renderWhich(state.groups.findIndex((g) => g.name === to));
			renderPalette();
			load();
		});
	}

	// --- dialogs ---

	function askGroups() {
		$("new-groups").value = state.groups.length === 0 ? state.offered.join("\n") : "";
		$("new-problem").textContent = "";
		$("new-heading").textContent = state.groups.length === 0 ? "Which groups?" : "More groups";
		$("new-dialog").showModal();
	}

	async function addGroups(event) {
		event.preventDefault();
		const names = $("new-groups").value.split("\n").map((n) => n.trim()).filter((n) => n !== "");
		if (names.length === 0) {
			$("new-problem").textContent = "A name, please.";
			return;
		}
		for (const name of names)
			try {
				take(await ask("/label", { by: person, images: [], group: name }));
			} catch (error) {
				$("new-problem").textContent = error instanceof Refused ? error.message : "The server does not answer.";
				return;
			}
		$("new-dialog").close();
		brush = names[0];
		refresh();
		// Words propose as soon as there are their groups.
		if (mode === "groups" || state.offered.length > 0)
			load();
	}

	function setPerson(name, answer) {
		person = name;
		take(answer);
		$("who").textContent = name;
		$("who").setAttribute("aria-label", "Labels by " + name + ". Change");
		$("main").hidden = $("palette").hidden = false;
		load();
		if (state.groups.length === 0)
			askGroups();
	}

	// --- keys ---

	// From image to image as they lie on the sheet.
	function move(key) {
		const tiles = [...document.querySelectorAll(".tile")];
		const at = tiles.indexOf(document.activeElement);
		if (tiles.length === 0)
			return;
		const columns = tiles.filter((t) => t.offsetTop === tiles[0].offsetTop).length;
		const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
		const to = at < 0 ? 0 : at + step;
		if (to >= 0 && to < tiles.length)
			tiles[to].focus();
	}

	function digit(key) {
		const group = key === none.key ? null : (state.groups[Number(key) - 1] || {}).name;
		// Not to one that was only clicked: the next group is chosen then.
		const entry = sheet.find((e) => !pointed && document.activeElement === tileOf(e));
		if (group === undefined)
			return;
		choose(group);
		if (entry)
			give([entry], group).then((done) => done && move("ArrowRight"));
	}

	function onKey(event) {
		const target = event.target;
		const key = event.key;
		if (key === "Tab" || key.startsWith("Arrow"))
			pointed = false;
		if (document.querySelector("dialog[open]") || !person || event.ctrlKey || event.metaKey || event.altKey ||
			target.tagName === "INPUT" || target.tagName === "SELECT")
			return;
		if (!$("keys").checked && key !== "?")
			return;
		const action = key.startsWith("Arrow") ? () => move(key)
			: key >= "0" && key <= "9" && key.length === 1 ? () => digit(key)
			: key === "Enter" && (target.tagName !== "BUTTON" || target.classList.contains("tile")) ? confirm
			: { a: rest, n: pass, j: () => $("next").hidden || load(), z: undo, "?": () => $("help-dialog").showModal() }[key.toLowerCase()];
		if (action === undefined || (event.repeat && !key.startsWith("Arrow")))
			return;
		event.preventDefault();
		action();
	}

	function connect() {
		document.addEventListener("keydown", onKey);
		document.addEventListener("pointerdown", () => { pointed = true; }, true);
		for (const button of document.querySelectorAll("[data-mode]"))
			button.addEventListener("click", () => {
				mode = button.dataset.mode;
				load();
			});
		$("which").addEventListener("change", load);
		$("wanted").addEventListener("change", () => search($("wanted").value));
		$("pass").addEventListener("click", pass);
		$("group-tools").addEventListener("submit", rename);
		$("rest").addEventListener("click", rest);
		$("confirm").addEventListener("click", confirm);
		$("next").addEventListener("click", load);
		$("undo").addEventListener("click", undo);
		askWho = whoDialog(async (name) => {
			const answer = await ask("/person", { by: name });
			return () => setPerson(name, answer);
		}, () => person);
		$("new-form").addEventListener("submit", addGroups);
		$("new-cancel").addEventListener("click", () => $("new-dialog").close());
		$("help").addEventListener("click", () => $("help-dialog").showModal());
		$("keys").checked = recall("keys") !== "off";
		$("keys").addEventListener("change", () => remember("keys", $("keys").checked ? "on" : "off"));
	}

	async function start() {
		// The cookie has the token now; the address, which is seen and copied, need not.
		history.replaceState(null, "", "/");
		try {
			state = await ask("/state");
			$("title").replaceChildren(make("span", "Labels "), document.createTextNode(state.labels));
			document.title = "Labels " + state.labels;
			$("file").textContent = "Labels are in " + state.file + ".";
			for (const name of state.people)
				$("names").append(make("option", null, { value: name }));
			renderCounts();
			if (state.person !== "")
				setPerson(state.person, await ask("/person", { by: state.person }));
			else
				askWho();
		} catch (error) {
			complain(error, "The labels cannot be shown.", start);
		}
	}

	connect();
	start();
})();
