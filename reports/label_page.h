/*
 * The page on which people say which group images belong to: its routes, for a server (server.h). The page itself is
 * label.html, .css and .js.
 *
 *	GET  /  /icon.svg  /common.js  /page.css  /review.css  /label.css  /label.js
 *	GET  /state      {"labels", "file", "person", "people", "images", "target", "offered", and what /label answers}:
 *	                 offered: names of groups to begin with, where the run has such that words describe
 *	GET  /teach      a sheet of images that teach most, each with the group that it is taken for by now:
 *	                 {"images": [{"image", "group", "said", "sure"}]}; said: what people said of it, "" nothing yet,
 *	                 null none of the groups; group, sure: what it is taken for and how surely, or null
 *	GET  /search/#   a sheet of images that are likeliest of this group, by its number, without those that were
 *passed over in search of it GET  /random     the next sheet of a simple random sample, with no group that it is taken
 *for GET  /group/#    a sheet of images that people say are of this group, by its number the number of groups: of none
 *of them; one more: disputed GET  /image/#    an image POST /person     {"by"}: joins POST /label      {"by", "images":
 *[numbers], "group": "name", null (none of the groups) or "" (take back)}, or, of images that were passed over in
 *search of a group, {"by", "images", "not": "name"} POST /rename     {"by", "group", "to"}: a group that is there
 *already takes it in POST /undo       {"by"}: the person's newest act; with "images" as a sheet has them, those that it
 *was of
 *
 * POST is answered when it is on disk, with {"groups": [{"name", "images", "passed"}], "none", "disputed", "labelled",
 *"random", "edits"}: passed: images passed over in search of it, and without a label; random: so many of the random
 *sample, from its start, are labelled.
 */
#ifndef EK_REPORTS_LABEL_PAGE_H
#define EK_REPORTS_LABEL_PAGE_H

#include "reports/label_file.h"
#include "reports/real_images.h"
#include "reports/server/server.h"

enum {
	EK_LABEL_SHEET = 24, /* images of a sheet */
	EK_LABEL_TARGET = 10 /* labels a group to aim at */
};

struct ek_label_proposal {
	uint64_t image;
	int32_t group; /* index into the log's groups, or -1 */
	double sure;   /* probability of that, [0, 1] */
};

/* Who knows what to ask. */
struct ek_label_teacher {
	void *context;
	/* At most `most` images of which nothing is said yet, those first that teach most. */
	int (*propose)(void *context, const struct ek_label_log *log, struct ek_label_proposal *out, size_t most,
	               size_t *count);
	/* The same of those that are likeliest of this group. */
	int (*search)(void *context, const struct ek_label_log *log, int32_t group, struct ek_label_proposal *out,
	              size_t most, size_t *count);
	/* The image at a place of a random order of all. */
	uint64_t (*random)(void *context, uint64_t place);
};

struct ek_label_page {
	struct ek_label_file *file;
	struct ek_real_images *images;
	const struct ek_label_teacher *teacher;
	const char *name, *person;  /* person: whom the page takes for its reader at first; NULL: it asks */
	const char *const *offered; /* names of groups to begin with, ended by NULL; or NULL */
};

/* To serve with a struct ek_label_page as the context. */
extern const struct ek_server_route ek_label_routes[];

/* So many images of the random order, from its start, have a label. */
uint64_t ek_label_random_done(const struct ek_label_log *log, const struct ek_label_teacher *teacher, uint64_t images);

#endif
