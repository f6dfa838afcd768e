// The review page. Nothing is shown as decided before the server has said that it is on disk.
(function () {
	"use strict";

	const { $, number, count, make, Refused, ask, tell, complain, whoDialog, recall, remember } = window.evenkeel;
	const verdicts = ["accept", "unsure", "reject"];
	// What is said of samples stands in the page; of labels:
	const labelWords = {
		all: "all labels", accept: "right", reject: "wrong", beside: "Surest of both labels", acceptIt: "Right",
		rejectIt: "Wrong", keys: "the label is right, wrong; unsure",
	};
	let done = { accept: "accepted", reject: "rejected", unsure: "unsure" };
	let ofLabels = false;
	const places = ["nearest", "second nearest", "third nearest", "fourth nearest", "fifth nearest"];

	let state; // of the server: samples, clusters, queue
	let reviewer = null;
	const mine = new Map(); // sample: { decision, note }
	const drafts = new Map(); // sample: a note that is not saved yet
	let list = []; // what the filter shows, places in the queue
	let at = 0; // place in the list
	let busy = false;
	let askWho; // opens the dialog
	let seen = null; // { sample, sha256 } of the picture that is shown
	let edits = 0; // of the file of decisions by other programs, as far as they were told
	const details = new Map(); // sample: promise of what /sample/# says
	const pictures = new Map(); // address: element

	function percent(share) {
		const p = 100 * share;
		return (p >= 10 ? p.toFixed(0) : p >= 1 ? p.toFixed(1) : p.toPrecision(1)) + " %";
	}

	// --- pictures, fetched ahead ---

	function keep(map, key, value, most) {
		map.delete(key);
		map.set(key, value);
		while (map.size > most)
			map.delete(map.keys().next().value);
		return value;
	}

	function picture(address) {
		let image = pictures.get(address);
		if (!image) {
			image = new Image();
			image.decoding = "async";
			image.addEventListener("load", () => {
				image.classList.toggle("pixels", image.naturalWidth <= 160 && image.naturalHeight <= 160);
			});
			image.src = address;
		}
		return keep(pictures, address, image, 120);
	}

	function detail(sample) {
		let promise = details.get(sample);
		if (!promise) {
			promise = ask("/sample/" + sample);
			promise.catch(() => details.delete(sample));
		}
		return keep(details, sample, promise, 60);
	}

	// What is seen at this address has this hash, or is not given.
	const addressOf = (facts) => "/generated/" + facts.sample + (facts.sha256 ? "/" + facts.sha256 : "");

	async function prefetch(place) {
		if (place < 0 || place >= list.length)
			return;
		const sample = state.queue[list[place]][0];
		try {
			const facts = await detail(sample);
			picture(addressOf(facts));
			for (const near of facts.neighbours)
				picture("/real/" + near.id);
		} catch (e) { /* it is told when the image is shown */ }
	}

	function frame(box, address, alt, onGone) {
		const image = picture(address);
		image.alt = alt;
		box.replaceChildren(image);
		image.onerror = () => {
			pictures.delete(address);
			box.replaceChildren(make("p", alt + ": it cannot be read any more", { class: "gone-text" }));
			if (onGone)
				onGone();
		};
		return image;
	}

	// Show the generated image that the facts are of. One that has been made anew since they came has others.
	function show(facts) {
		const sample = facts.sample;
		seen = { sample, sha256: facts.sha256 };
		frame($("generated"), addressOf(facts), altOf(sample), async () => {
			details.delete(sample);
			try {
				const now = await detail(sample);
				if (now.sha256 && now.sha256 !== facts.sha256 && list.length > 0 && current()[0] === sample)
					show(now);
			} catch (e) { /* it stays gone */ }
		});
	}

	const altOf = (sample) => ofLabels ? "Image " + sample : "Generated image, sample " + sample;
	const name = (sample) => (ofLabels ? "Image " : "Sample ") + sample;

	// --- what is shown ---

	const current = () => state.queue[list[at]];

	function fits(entry) {
		const [sample, cluster, copied] = entry;
		const show = $("show").value;
		const own = mine.get(sample);
		if ($("cluster").value !== "" && Number($("cluster").value) !== cluster)
			return false;
		switch (show) {
		case "all": return true;
		case "open": return !own;
		case "copy": return copied === 1;
		case "note": return Boolean(own && own.note);
		default: return Boolean(own && own.decision === show);
		}
	}

	function filter(preferred) {
		list = [];
		state.queue.forEach((entry, place) => {
			if (fits(entry))
				list.push(place);
		});
		at = Math.max(0, list.findIndex((place) => state.queue[place][0] === preferred));
		render();
	}

	function mostly(c) {
		return state.clusters[c].mostly ? ", " + state.clusters[c].mostly : "";
	}

	function clusterWords(c) {
		const facts = state.clusters[c];
		if (ofLabels)
			return facts.name;
		return "cluster " + c + mostly(c) + (facts.tail ? " (minority)" : "");
	}

	function fact(name, value) {
		const row = make("div");
		row.append(make("dt", name), make("dd", value));
		return row;
	}

	function renderCounts() {
		const counts = { accept: 0, reject: 0, unsure: 0 };
		for (const own of mine.values())
			counts[own.decision]++;
		const all = state.queue.length;
		const judged = counts.accept + counts.reject + counts.unsure;
		$("counts").textContent = judged === 0
			? "Nothing judged yet, " + number(all) + " to go"
			: number(counts.accept) + " " + done.accept + ", " + number(counts.reject) + " " + done.reject + ", " + number(counts.unsure) +
				" unsure; " + (judged === all ? "none of " : number(all - judged) + " of ") + number(all) + " to go";
		for (const v of verdicts)
			$("meter").querySelector("." + v).style.width = 100 * counts[v] / all + "%";
		$("meter").setAttribute("aria-valuemax", all);
		$("meter").setAttribute("aria-valuenow", judged);
		$("meter").setAttribute("aria-valuetext", judged + " of " + all);
	}

	function renderDecision() {
		const [sample] = current();
		const own = mine.get(sample);
		for (const button of document.querySelectorAll("[data-decision]"))
			button.setAttribute("aria-pressed", String(Boolean(own && own.decision === button.dataset.decision)));
		$("state").textContent = own ? done[own.decision] : "not judged yet";
		$("state").className = "state" + (own ? " " + own.decision : "");
		$("save").hidden = !own || $("note").value.trim() === own.note;
		$("undo").disabled = mine.size === 0;
		renderCounts();
	}

	function nearWords(near, i) {
		if (ofLabels)
			return "Image " + near.id + ", surely " + near.label + ", file " + near.file_name;
		return "Real image " + near.id + ", " + (places[i] || "near") + ", distance " + near.distance.toFixed(3) +
			(near.label ? ", label " + near.label : "") + ", file " + near.file_name;
	}

	// The neighbours of each label behind its name.
	function renderNear(facts) {
		const items = [];
		facts.neighbours.forEach((near, i) => {
			const item = make("li");
			if (ofLabels && (i === 0 || facts.neighbours[i - 1].label !== near.label)) {
				const heading = make("li", null, { class: "of" });
				heading.append(make("b", near.label), make("span", near.label === state.clusters[facts.given].name ? "the label it has" : "suggested"));
				items.push(heading);
			}
			const figure = make("figure");
			const box = make("div", null, { class: "frame" });
			const caption = make("figcaption");
			frame(box, "/real/" + near.id, nearWords(near, i));
			if (!ofLabels) {
				const distance = make("b");
				distance.append(make("span", "distance "), document.createTextNode(near.distance.toFixed(3)));
				caption.append(distance);
				if (near.label)
					caption.append(make("span", near.label));
			}
			caption.append(make("span", near.file_name.split("/").pop(), { title: near.file_name + " (image " + near.id + ")" }));
			figure.append(box, caption);
			item.append(figure);
			items.push(item);
		});
		$("near").replaceChildren(...items);
		$("copy").hidden = !facts.copied;
		if (facts.copied) {
			const near = facts.neighbours[0];
			$("copy").replaceChildren(make("b", "Possible copy. "), document.createTextNode(near
				? "It is less than half as far from real image " + near.id + " as that image is from the real image most like it."
				: "It is nearer to a real image than real images are to each other."));
		}
		if (facts.neighbours.length === 0)
			$("near").append(make("li", "There are none."));
	}

	const likely = (p) => typeof p === "number" ? ", " + percent(p) + " likely" : "";

	function labelFacts(cluster, facts) {
		const c = state.clusters[cluster];
		const rows = [fact("Label", c.name + likely(facts && facts.of_given) + ": one of " + number(c.size) + " images")];
		if (facts)
			rows.push(fact("Suggested", state.clusters[facts.suggested].name + likely(facts.probability)),
				fact("File", facts.file_name));
		return rows;
	}

	// What it is instead: what was said before, or else what is suggested.
	function renderInstead(sample, facts) {
		const own = mine.get(sample);
		const suggested = state.clusters[facts.suggested].name;
		const chosen = own && own.decision === "reject" ? own.label : suggested;
		const others = state.clusters.map((c) => c.name).filter((n, i) => i !== facts.given && i !== facts.suggested);
		$("instead").replaceChildren(make("option", suggested + " (suggested)", { value: suggested }),
			...others.map((n) => make("option", n, { value: n })), make("option", "something else", { value: "" }));
		$("instead").value = chosen;
	}

	function renderFacts(sample, cluster, facts) {
		const c = state.clusters[cluster];
		if (ofLabels) {
			$("facts").replaceChildren(...labelFacts(cluster, facts));
			if (facts)
				renderInstead(sample, facts);
			return;
		}
		const rows = [fact("Lies in", clusterWords(cluster) + " with " + count(c.size, "real image") + ", " + percent(c.share) + " of all")];
		if (facts && facts.group)
			rows.push(fact("Named group", facts.group + likely(facts.group_probability)));
		if (facts && facts.made_for) {
			const elsewhere = facts.made_for.startsWith("cluster ") && facts.made_for !== "cluster " + cluster;
			rows.push(fact("Made for", facts.made_for + (elsewhere ? ", where it does not lie" : "")));
		}
		if (facts)
			rows.push(fact("Seed", String(facts.seed)));
		$("facts").replaceChildren(...rows);
	}

	async function render() {
		const none = list.length === 0;
		$("main").hidden = none;
		$("empty").hidden = !none;
		renderCounts();
		$("place").replaceChildren(none ? "" : number(at + 1) + " of " + number(list.length), make("span", none ? "" : " shown"));
		if (none) {
			$("empty-text").textContent = $("show").value === "open" && mine.size > 0
				? "You have judged every image here."
				: "No image is like that.";
			tell("Nothing to show.");
			return;
		}
		const [sample, cluster, copied] = current();
		const own = mine.get(sample);
		$("copied").hidden = copied !== 1;
		$("heading").textContent = name(sample);
		seen = null;
		$("generated").replaceChildren();
		$("note").value = drafts.has(sample) ? drafts.get(sample) : own ? own.note : "";
		$("back").disabled = at === 0;
		$("next").disabled = at === list.length - 1;
		renderFacts(sample, cluster, null);
		renderDecision();
		try {
			const facts = await detail(sample);
			if (current() === undefined || current()[0] !== sample)
				return;
			show(facts);
			renderFacts(sample, cluster, facts);
			renderNear(facts);
		} catch (error) {
			complain(error, name(sample) + " cannot be shown in full.", render);
			return;
		}
		for (const step of [1, 2, 3, -1])
			prefetch(at + step);
	}

	function where() {
		const [sample, cluster, copied] = current();
		const own = mine.get(sample);
		return name(sample) + ", " + (at + 1) + " of " + list.length + ", " + clusterWords(cluster) +
			(copied ? ", possible copy" : "") + (own ? ", " + done[own.decision] : "") + ".";
	}

	function go(step) {
		if (list.length === 0 || at + step < 0 || at + step >= list.length) {
			tell(step > 0 ? "This is the last image." : "This is the first image.");
			return;
		}
		at += step;
		render();
		tell(where());
	}

	// --- decisions ---

	function setBusy(is) {
		busy = is;
		document.querySelector(".choices").setAttribute("aria-busy", String(is));
	}

	function isShown() {
		const image = $("generated").querySelector("img");
		return seen !== null && seen.sample === current()[0] && image !== null && image.complete && image.naturalWidth > 0;
	}

	async function send(decision, moves) {
		const [sample] = current();
		const note = $("note").value.trim();
		const label = ofLabels ? { label: $("instead").value } : {};
		setBusy(true);
		try {
			const saved = await ask("/decide", { reviewer, sample, sha256: seen.sha256, decision, note, ...label });
			mine.set(sample, saved);
			drafts.delete(sample);
			$("problem").hidden = true;
			setBusy(false);
			await catchUp(saved.edits);
			renderDecision();
			if (moves && at < list.length - 1) {
				at++;
				render();
				tell(name(sample) + " " + done[decision] + ". " + where());
			} else {
				tell(name(sample) + " " + done[decision] + (moves ? ". This was the last image." : ofLabels ? ", saved." : ", note saved."));
			}
		} catch (error) {
			setBusy(false);
			if (error instanceof Refused && error.status === 409) {
				// Another image by now: it is to be seen first.
				details.delete(sample);
				complain(error, "Not saved.");
				if (current()[0] === sample)
					render();
				return;
			}
			complain(error, "Not saved.", () => isShown() && send(decision, moves));
		}
	}

	// Another program has written to the file of decisions: what it says counts.
	async function catchUp(now) {
		if (now === edits)
			return;
		take(await ask("/reviewer", { reviewer }));
		complain(new Refused("It was read again, and what it says now is shown; look whether your decisions are there."),
			"Another program has changed the file of decisions.");
	}

	function decide(decision) {
		// Not before the picture is there, nor while the last one is being saved.
		if (busy || list.length === 0 || !isShown())
			return;
		send(decision, true);
	}

	async function undo() {
		if (busy || mine.size === 0)
			return;
		setBusy(true);
		try {
			const back = await ask("/undo", { reviewer });
			if (back.decision)
				mine.set(back.sample, back);
			else
				mine.delete(back.sample);
			$("problem").hidden = true;
			setBusy(false);
			await catchUp(back.edits);
			const place = list.findIndex((p) => state.queue[p][0] === back.sample);
			if (place >= 0) {
				at = place;
				render();
			} else {
				$("show").value = "all";
				$("cluster").value = "";
				filter(back.sample);
			}
			tell("Taken back. " + where());
		} catch (error) {
			setBusy(false);
			complain(error, "Not taken back.", undo);
		}
	}

	function saveNote() {
		const own = list.length > 0 ? mine.get(current()[0]) : undefined;
		if (own && !busy && isShown() && $("note").value.trim() !== own.note)
			send(own.decision, false);
	}

	// Of one that was called wrong already.
	function saveInstead() {
		const own = list.length > 0 ? mine.get(current()[0]) : undefined;
		if (own && own.decision === "reject" && !busy && isShown() && $("instead").value !== own.label)
			send("reject", false);
	}

	// --- dialogs ---

	function take(answer) {
		reviewer = answer.reviewer;
		edits = answer.edits;
		mine.clear();
		for (const d of answer.decisions)
			mine.set(d.sample, d);
	}

	function setReviewer(answer) {
		take(answer);
		$("who").textContent = reviewer;
		$("who").setAttribute("aria-label", "Reviewer: " + reviewer + ". Change");
		// Go on where this reviewer was.
		filter();
		const open = list.findIndex((place) => !mine.has(state.queue[place][0]));
		if (open > 0) {
			at = open;
			render();
		}
		tell(list.length > 0 ? where() : "");
	}

	function table(caption, head, rows) {
		const t = make("table");
		const top = make("tr");
		const body = make("tbody");
		t.append(make("caption", caption));
		head.forEach((name, i) => top.append(make("th", name, { scope: "col", class: i > 0 ? "n" : "" })));
		t.append(make("thead"));
		t.tHead.append(top);
		for (const row of rows) {
			const line = make("tr");
			row.forEach((cell, i) => line.append(i === 0 ? make("th", cell, { scope: "row" }) : make("td", cell, { class: "n" })));
			body.append(line);
		}
		t.append(body);
		const box = make("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
		box.append(t);
		return box;
	}

	const outcome = (word) => word[0].toUpperCase() + word.slice(1);

	async function showAgreement() {
		const box = $("agreement-text");
		box.replaceChildren(make("p", "…"));
		$("agreement-dialog").showModal();
		try {
			const all = await ask("/agreement");
			const judged = all.samples - all.open;
			const parts = [make("p", "Of " + count(all.samples, ofLabels ? "label" : "image") + ", " + number(judged) + " judged by somebody: " +
				number(all.accepted) + " " + done.accept + ", " + number(all.rejected) + " " + done.reject + ", " + number(all.disputed) +
				" disputed, " + number(all.unsure) + " unsure. " + (ofLabels
				? "A label is wrong when somebody says so and nobody that it is right."
				: "An image is accepted when nobody rejects it and more accept it than are unsure."))];
			if (all.reviewers.length > 0)
				parts.push(table("Reviewers", ["Reviewer", outcome(done.accept), outcome(done.reject), "Unsure"],
					all.reviewers.map((r) => [r.reviewer, number(r.accept), number(r.reject), number(r.unsure)])));
			if (all.agreement.length > 0)
				parts.push(table("Agreement: Cohen’s kappa is 1 where two always agree, 0 where no more than by chance",
					["Pair", "Both judged", "Same", "Kappa"],
					all.agreement.map((p) => [p.reviewers.join(" and "), number(p.both), percent(p.observed),
						p.kappa === null ? "–" : p.kappa.toFixed(2)])));
			else
				parts.push(make("p", "Agreement needs two reviewers who judged the same images.", { class: "note" }));
			if (judged > 0)
				parts.push(table(ofLabels ? "Labels" : "Clusters",
					[ofLabels ? "Label" : "Cluster", "Images", outcome(done.accept), outcome(done.reject), "Disputed", "Unsure", "Not judged"],
					(all.labels || all.clusters).map((c) => [ofLabels ? c.label : c.cluster + mostly(c.cluster) + (c.tail ? " (minority)" : ""), number(c.samples), number(c.accepted),
						number(c.rejected), number(c.disputed), number(c.unsure), number(c.open)])));
			box.replaceChildren(...parts);
		} catch (error) {
			box.replaceChildren(make("p", error instanceof Refused ? error.message : "The server does not answer."));
		}
	}

	// --- keys ---

	const actions = {
		j: () => go(1),
		k: () => go(-1),
		a: () => decide("accept"),
		r: () => decide("reject"),
		u: () => decide("unsure"),
		z: undo,
		n: () => $("note").focus(),
		f: () => $("show").focus(),
		i: () => ofLabels && $("instead").focus(),
		"/": () => $("show").focus(),
		"?": () => $("help-dialog").showModal(),
	};

	function onKey(event) {
		const target = event.target;
		if (document.querySelector("dialog[open]") || !reviewer || event.ctrlKey || event.metaKey || event.altKey)
			return;
		if (target.id === "note") {
			if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey && !event.isComposing)) {
				event.preventDefault();
				saveNote();
				$("decide").focus();
			}
			return;
		}
		// A letter chooses in a list.
		if (target.tagName === "SELECT") {
			if (event.key === "Escape")
				$("decide").focus();
			return;
		}
		if (!$("keys").checked && event.key !== "?")
			return;
		// A key that is held down decides once.
		const action = actions[event.key.toLowerCase()];
		if (action === undefined || (event.repeat && !"jk".includes(event.key.toLowerCase())))
			return;
		event.preventDefault();
		action();
	}

	function connect() {
		document.addEventListener("keydown", onKey);
		for (const button of document.querySelectorAll("[data-decision]"))
			button.addEventListener("click", () => decide(button.dataset.decision));
		$("next").addEventListener("click", () => go(1));
		$("back").addEventListener("click", () => go(-1));
		$("undo").addEventListener("click", undo);
		$("save").addEventListener("click", saveNote);
		$("note").addEventListener("input", () => {
			drafts.set(current()[0], $("note").value);
			renderDecision();
		});
		$("instead").addEventListener("change", saveInstead);
		for (const id of ["show", "cluster"])
			$(id).addEventListener("change", () => {
				filter(list.length > 0 ? current()[0] : undefined);
				tell(list.length > 0 ? count(list.length, "image") + ". " + where() : "Nothing to show.");
			});
		$("filter").addEventListener("submit", (event) => event.preventDefault());
		$("all").addEventListener("click", () => {
			$("show").value = "all";
			$("cluster").value = "";
			filter();
			$("decide").focus();
		});
		askWho = whoDialog(async (name) => {
			const answer = await ask("/reviewer", { reviewer: name });
			return () => setReviewer(answer);
		}, () => reviewer);
		$("help").addEventListener("click", () => $("help-dialog").showModal());
		$("agreement").addEventListener("click", showAgreement);
		$("keys").checked = recall("keys") !== "off";
		$("keys").addEventListener("change", () => remember("keys", $("keys").checked ? "on" : "off"));
		window.addEventListener("beforeunload", (event) => {
			for (const [sample, text] of drafts)
				if (text.trim() !== (mine.has(sample) ? mine.get(sample).note : "")) {
					event.preventDefault();
					return;
				}
		});
	}

	// The page says of labels what it says of samples.
	function speakOfLabels() {
		ofLabels = true;
		done = { accept: labelWords.accept, reject: labelWords.reject, unsure: "unsure" };
		for (const e of document.querySelectorAll("[data-word]"))
			e.textContent = labelWords[e.dataset.word];
		$("near").classList.add("of-labels");
	}

	function fill() {
		const title = $("title");
		for (const e of document.querySelectorAll("[data-of]")) {
			e.hidden = false;
			if (e.dataset.of !== state.of)
				e.remove();
		}
		if (state.of === "labels")
			speakOfLabels();
		title.replaceChildren(make("span", ofLabels ? "Labels of " : "Review of "), document.createTextNode(state.samples));
		document.title = "Review of " + state.samples;
		$("file").textContent = "Decisions are in " + state.file + ".";
		for (const name of state.reviewers)
			$("names").append(make("option", null, { value: name }));
		const seen = new Set();
		for (const [, cluster] of state.queue) {
			if (!seen.has(cluster))
				$("cluster").append(make("option", clusterWords(cluster) + ", " + count(state.clusters[cluster].samples, "image"),
					{ value: cluster }));
			seen.add(cluster);
		}
	}

	async function start() {
		// The cookie has the token now; the address, which is seen and copied, need not.
		history.replaceState(null, "", "/");
		try {
			state = await ask("/state");
			fill();
			renderCounts();
			if (state.reviewer)
				setReviewer(await ask("/reviewer", { reviewer: state.reviewer }));
			else
				askWho();
		} catch (error) {
			complain(error, "The review cannot be shown.", start);
		}
	}

	connect();
	start();
})();
