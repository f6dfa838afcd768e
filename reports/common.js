// What the pages of this machine share: they ask the server, and say so when it refuses or is gone.
window.evenkeel = (function () {
	"use strict";

	const $ = (id) => document.getElementById(id);
	const number = (n) => n.toLocaleString("en");
	const count = (n, noun) => number(n) + " " + noun + (n === 1 ? "" : "s");

	function make(tag, text, attributes) {
		const e = document.createElement(tag);
		if (text !== undefined && text !== null)
			e.textContent = text;
		for (const [name, value] of Object.entries(attributes || {}))
			e.setAttribute(name, value);
		return e;
	}

	class Refused extends Error {
		constructor(why, status) {
			super(why);
			this.status = status;
		}
	}

	async function ask(path, body) {
		const options = body === undefined ? {} : {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(body),
		};
		const answer = await fetch(path, options);
		const text = await answer.text();
		if (answer.ok)
			return JSON.parse(text);
		let why = text.trim();
		try {
			why = JSON.parse(text).error || why;
		} catch (e) { /* it is plain text */ }
		throw new Refused(why, answer.status);
	}

	function tell(text) {
		$("live").textContent = text;
	}

	function complain(error, what, again) {
		const box = $("problem");
		const why = error instanceof Refused
			? error.message
			: "The server does not answer: it was stopped, or the connection is gone. What was shown as decided is saved.";
		box.replaceChildren(make("b", what + " "), document.createTextNode(why));
		if (again) {
			const button = make("button", "Try again", { type: "button" });
			button.addEventListener("click", () => {
				box.hidden = true;
				again();
			});
			box.append(button);
		}
		box.hidden = false;
	}

	// The dialog that asks who works with the page: `join` tells the server the name and takes what it answers,
	// `current` is the name by now, or null. Gives what opens it.
	function whoDialog(join, current) {
		function open() {
			$("name").value = current() || "";
			$("who-dialog").showModal();
		}

		$("who").addEventListener("click", open);
		$("who-dialog").addEventListener("cancel", (event) => {
			if (!current())
				event.preventDefault();
		});
		$("who-form").addEventListener("submit", async (event) => {
			const name = $("name").value.trim();
			event.preventDefault();
			if (name === "") {
				$("name-problem").textContent = "A name, please.";
				return;
			}
			try {
				const show = await join(name);
				$("name-problem").textContent = "";
				$("who-dialog").close();
				show();
			} catch (error) {
				$("name-problem").textContent = error instanceof Refused ? error.message : "The server does not answer.";
			}
		});
		return open;
	}

	function remember(name, value) {
		try {
			localStorage.setItem("evenkeel-" + name, value);
		} catch (e) { /* it works without */ }
	}

	function recall(name) {
		try {
			return localStorage.getItem("evenkeel-" + name);
		} catch (e) {
			return null;
		}
	}

	return { $, number, count, make, Refused, ask, tell, complain, whoDialog, recall, remember };
})();
