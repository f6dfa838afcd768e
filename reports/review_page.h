/*
 * The page that reviews generated images, or labels that are doubted: its routes, for a server (server.h). The page
 * itself is review.html, .css and .js.
 *
 *	GET  /  /icon.svg  /common.js  /page.css  /review.css  /review.js
 *	GET  /state         what there is to review: samples, clusters, the queue, names of reviewers
 *	GET  /sample/#      one of them: the SHA-256 of its image, cluster, seed, what it was made for, its nearest real
 *	                    images; of a label: what it is, what is suggested, and images that are surest of both
 *	GET  /generated/#/@ its image, if that still has this SHA-256 (else 409);  /generated/# whatever it is by now
 *	GET  /real/#        a real image
 *	GET  /agreement     what all reviewers decided, and how far they agree
 *	POST /reviewer {"reviewer"}: the decisions of this reviewer so far
 *	POST /decide {"reviewer", "sample", "sha256", "decision", "note", "label"}: answered when it is on disk;
 *"label": of one that is rejected, what it is instead, or "", not known; 409 if the image is not the one with this
 *SHA-256, which the reviewer has seen; without "sha256" it is the one that was given last POST /undo {"reviewer"}:
 *takes the newest decision back; answered when that is on disk The answers to POST have "edits": how often the file of
 *decisions was found changed by another program so far. Where that is more than before, what was told of decisions no
 *longer holds.
 */
#ifndef EK_REPORTS_REVIEW_PAGE_H
#define EK_REPORTS_REVIEW_PAGE_H

#include "reports/review.h"
#include "reports/review_file.h"
#include "reports/server/server.h"

struct ek_review_page {
	struct ek_review *review;
	struct ek_review_file *file;
	const char *reviewer; /* whom the page takes for its reader at first; NULL: it asks */
	uint64_t edits;       /* of the file, of which stale decisions have been taken out */
};

/* To serve with a struct ek_review_page as the context. */
extern const struct ek_server_route ek_review_routes[];

/* Append the JSON of /agreement: {"samples", "open", "accepted", "rejected", "disputed", "unsure",
 * "reviewers": [{"reviewer", "accept", "reject", "unsure"}],
 * "agreement": [{"reviewers": [a, b], "both", "observed", "kappa", "table"}], (of pairs that share a sample)
 * "clusters": [{"cluster", "size", "share", "tail", "samples", "open", "accepted", …}]}; of labels, for "clusters":
 * "labels": [{"label", "size", "samples", "open", "accepted", …}]. */
int ek_review_summary(struct ek_buffer *out, const struct ek_review *review, const struct ek_review_log *log);

#endif
