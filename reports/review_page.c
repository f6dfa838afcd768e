#include "reports/review_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/page_files.h"
#include "reports/review_files.h"

static const char icon[] = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">"
			   "<rect width=\"16\" height=\"16\" rx=\"3\" fill=\"#0b6470\"/>"
			   "<path d=\"M3 9l3 3 7-8\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2\"/></svg>";

static const size_t icon_size = sizeof icon - 1;

static const struct ek_server_file files[] = {
	{ "text/html; charset=utf-8", ek_review_html, &ek_review_html_size },
	{ "image/svg+xml", icon, &icon_size },
	{ "text/javascript; charset=utf-8", ek_common_js, &ek_common_js_size },
	{ "text/css; charset=utf-8", ek_page_css, &ek_page_css_size }, /* the style of the report */
	{ "text/css; charset=utf-8", ek_review_css, &ek_review_css_size },
	{ "text/javascript; charset=utf-8", ek_review_js, &ek_review_js_size },
};

/* What stands is what the file says, and is on the images that are there. */
static int catch_up(struct ek_review_page *page)
{
	int rc;

	EK_TRY(ek_review_file_refresh(page->file));
	if (page->edits != page->file->journal.edits)
		EK_TRY(ek_review_void_stale(&page->file->log, page->review));
	page->edits = page->file->journal.edits;
out:
	return rc;
}

static int write_string(struct ek_buffer *out, const char *name, const char *text)
{
	int rc;

	EK_TRY(ek_buffer_printf(out, "\"%s\": ", name));
	EK_TRY(text != NULL ? ek_json_append_string(out, text, strlen(text)) : ek_buffer_text(out, "null"));
out:
	return rc;
}

/* Labels are told as clusters are, with a name. */
static int write_labels(struct ek_buffer *out, const struct ek_review_labels *l)
{
	uint64_t all = 0;
	int rc;

	for (size_t i = 0; i < l->name_count; i++)
		all += l->names[i].images;
	EK_TRY(ek_buffer_text(out, ", \"by\": "));
	EK_TRY(ek_json_append_string(out, l->by, strlen(l->by)));
	EK_TRY(ek_buffer_text(out, ", \"clusters\": ["));
	for (size_t i = 0; i < l->name_count; i++) {
		EK_TRY(ek_buffer_text(out, i > 0 ? ", {" : "{"));
		EK_TRY(write_string(out, "name", l->names[i].name));
		EK_TRY(ek_buffer_printf(out, ", \"size\": %" PRIu64 ", \"share\": ", l->names[i].images));
		EK_TRY(ek_json_append_double(out, (double)l->names[i].images / (double)all));
		EK_TRY(ek_buffer_printf(out, ", \"tail\": false, \"samples\": %" PRIu64 "}", l->names[i].doubted));
	}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	return rc;
}

static int write_clusters(struct ek_buffer *out, const struct ek_review *r)
{
	int rc;

	if (r->labels != NULL)
		return write_labels(out, r->labels);

	EK_TRY(ek_buffer_text(out, ", \"clusters\": ["));
	for (size_t c = 0; c < r->cluster_count; c++) {
		EK_TRY(ek_buffer_printf(out, "%s{", c > 0 ? ", " : ""));
		EK_TRY(write_string(out, "mostly", r->clusters[c].mostly));
		EK_TRY(ek_buffer_printf(out, ", \"size\": %" PRIu64 ", \"share\": ", r->clusters[c].size));
		EK_TRY(ek_json_append_double(out, r->clusters[c].share));
		EK_TRY(ek_buffer_printf(out, ", \"tail\": %s, \"samples\": %" PRIu64 "}",
		                        r->clusters[c].is_tail ? "true" : "false", r->clusters[c].images));
	}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	return rc;
}

static int answer_state(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_review_page *page = context;
	const struct ek_review *r = page->review;
	const struct ek_review_log *log = &page->file->log;
	struct ek_buffer *out = &reply->body;
	int rc;

	(void)request;
	EK_TRY(catch_up(page));
	EK_TRY(ek_buffer_text(out, "{"));
	EK_TRY(write_string(out, "samples", r->name));
	EK_TRY(ek_buffer_text(out, r->labels != NULL ? ", \"of\": \"labels\", " : ", \"of\": \"samples\", "));
	EK_TRY(write_string(out, "reviewer", page->reviewer));
	EK_TRY(ek_buffer_text(out, ", "));
	EK_TRY(write_string(out, "file", page->file->journal.path));
	EK_TRY(ek_buffer_text(out, ", \"reviewers\": ["));
	for (size_t i = 0; i < log->reviewer_count; i++) {
		EK_TRY(ek_buffer_text(out, i > 0 ? ", " : ""));
		EK_TRY(ek_json_append_string(out, log->reviewers[i], strlen(log->reviewers[i])));
	}
	EK_TRY(ek_buffer_text(out, "]"));
	EK_TRY(write_clusters(out, r));
	/* [sample, cluster, copied] */
	EK_TRY(ek_buffer_text(out, ", \"queue\": ["));
	for (uint64_t i = 0; i < r->count; i++)
		EK_TRY(ek_buffer_printf(out, "%s[%" PRIu32 ",%" PRId32 ",%d]", i > 0 ? "," : "", r->queue[i],
		                        ek_review_unit(r, i), r->labels == NULL && r->copied[r->queue[i]] != 0));
	EK_TRY(ek_buffer_text(out, "]}"));
out:
	return rc;
}

static int write_neighbour(struct ek_buffer *out, struct ek_review *r, int64_t id, double distance)
{
	struct ek_image_record row = { 0 };
	int rc;

	EK_TRY(ek_real_images_row(&row, &r->real, (uint64_t)id));
	EK_TRY(ek_buffer_printf(out, "{\"id\": %" PRId64 ", \"distance\": ", id));
	EK_TRY(ek_json_append_double(out, distance));
	EK_TRY(ek_buffer_text(out, ", "));
	EK_TRY(write_string(out, "file_name", row.file_name));
	EK_TRY(ek_buffer_text(out, ", "));
	EK_TRY(write_string(out, "label", row.label));
	EK_TRY(ek_buffer_text(out, "}"));
out:
	ek_image_record_release(&row);
	return rc;
}

/* Images that are surest of a label, but for the one that is judged. */
static int write_surest(struct ek_buffer *out, struct ek_review *r, uint32_t label, uint64_t sample,
                        const char **between)
{
	const struct ek_review_label *l = &r->labels->names[label];
	struct ek_image_record row = { 0 };
	int rc = 0;

	for (size_t i = 0; i < l->surest_count; i++) {
		if (l->surest[i] == sample)
			continue;
		EK_TRY(ek_real_images_row(&row, &r->real, l->surest[i]));
		EK_TRY(ek_buffer_printf(out, "%s{\"id\": %" PRIu64 ", ", *between, l->surest[i]));
		EK_TRY(write_string(out, "file_name", row.file_name));
		EK_TRY(ek_buffer_text(out, ", "));
		EK_TRY(write_string(out, "label", l->name));
		EK_TRY(ek_buffer_text(out, "}"));
		*between = ", ";
		ek_image_record_release(&row);
	}
out:
	ek_image_record_release(&row);
	return rc;
}

static int write_doubt(struct ek_buffer *out, struct ek_review *r, uint64_t sample, int64_t place)
{
	const struct ek_review_doubt *doubt = &r->labels->doubts[place];
	struct ek_image_record row = { 0 };
	const char *between = "";
	int rc;

	EK_TRY(ek_real_images_row(&row, &r->real, sample));
	EK_TRY(ek_buffer_printf(out, "{\"sample\": %" PRIu64 ", \"sha256\": \"%s\", ", sample, row.sha256));
	EK_TRY(write_string(out, "file_name", row.file_name));
	EK_TRY(ek_buffer_printf(out, ", \"given\": %" PRIu32 ", \"suggested\": %" PRIu32 ", \"probability\": ",
	                        doubt->given, doubt->suggested));
	EK_TRY(ek_json_append_double(out, doubt->probability));
	EK_TRY(ek_buffer_text(out, ", \"of_given\": "));
	EK_TRY(ek_json_append_double(out, doubt->of_given));
	EK_TRY(ek_buffer_text(out, ", \"neighbours\": ["));
	EK_TRY(write_surest(out, r, doubt->given, sample, &between));
	EK_TRY(write_surest(out, r, doubt->suggested, sample, &between));
	EK_TRY(ek_buffer_text(out, "]}"));
out:
	ek_image_record_release(&row);
	return rc;
}

/* The named group that the sample is likeliest of; null: of none, or there are none. */
static int write_group(struct ek_buffer *out, const struct ek_review *r, uint64_t sample)
{
	const float *q = r->of_group != NULL ? r->of_group + sample * r->groups.count : NULL;
	const int32_t likeliest = q != NULL ? ek_groups_likeliest_of(q, r->groups.count) : EK_GROUPS_NONE;
	int rc;

	EK_TRY(write_string(out, "group", likeliest >= 0 ? r->groups.names[likeliest] : NULL));
	EK_TRY(ek_buffer_text(out, ", \"group_probability\": "));
	EK_TRY(ek_json_append_double(out, likeliest >= 0 ? (double)q[likeliest] : (double)NAN));
	EK_TRY(ek_buffer_text(out, ", "));
out:
	return rc;
}

static int answer_sample(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	const struct ek_review_page *page = context;
	struct ek_review *r = page->review;
	const uint64_t i = request->number;
	struct ek_buffer *out = &reply->body, image = { 0 };
	const char *between = "";
	char sha256[65];
	int rc;

	if (ek_review_index(r, i) < 0) {
		reply->status = 404;
		return ek_fail(EK_EUSAGE, "there is no sample %" PRIu64, i);
	}
	if (r->labels != NULL)
		return write_doubt(out, r, i, ek_review_index(r, i));
	if (ek_review_image(&image, sha256, r, i) < 0)
		sha256[0] = 0; /* the page finds out by itself */
	EK_TRY(ek_buffer_printf(out,
	                        "{\"sample\": %" PRIu64 ", \"sha256\": \"%s\", \"seed\": %" PRIu64
	                        ", \"cluster\": %" PRId32 ", \"copied\": %s, ",
	                        i, sha256, r->seeds[i], r->cluster[i], r->copied[i] != 0 ? "true" : "false"));
	EK_TRY(write_group(out, r, i));
	EK_TRY(write_string(out, "made_for", r->made_for[i]));
	EK_TRY(ek_buffer_text(out, ", \"neighbours\": ["));
	for (size_t j = 0; j < r->neighbours; j++) {
		const size_t at = (size_t)i * r->neighbours + j;

		if (r->nearest[at] < 0)
			continue;
		EK_TRY(ek_buffer_text(out, between));
		EK_TRY(write_neighbour(out, r, r->nearest[at], r->distance[at]));
		between = ", ";
	}
	EK_TRY(ek_buffer_text(out, "]}"));
out:
	ek_buffer_release(&image);
	return rc;
}

/* The image of a sample, unless it is another than the one with the hash; "": any. */
static int give(struct ek_buffer *image, int *status, struct ek_review *r, uint64_t sample, const char *sha256)
{
	int is_other, rc = ek_review_give(image, &is_other, r, sample, sha256);

	if (is_other)
		*status = 409;
	return rc;
}

static int answer_generated(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	const struct ek_review_page *page = context;
	int rc;

	reply->status = ek_review_index(page->review, request->number) >= 0 ? 200 : 404;
	EK_TRY(give(&reply->body, &reply->status, page->review, request->number, request->hash));
	reply->type = ek_image_sniff(reply->body.data, reply->body.size) == EK_IMAGE_PNG ? "image/png" : "image/jpeg";
out:
	return rc;
}

static int answer_real(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	const struct ek_review_page *page = context;

	reply->status = request->number < page->review->real.count ? 200 : 404;
	return ek_real_images_picture(&reply->body, &reply->type, &page->review->real, request->number);
}

static int answer_agreement(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_review_page *page = context;
	int rc;

	(void)request;
	EK_TRY(catch_up(page));
	EK_TRY(ek_review_summary(&reply->body, page->review, &page->file->log));
out:
	return rc;
}

static int read_reviewer(uint32_t *reviewer, struct ek_review_page *page, const cJSON *body)
{
	const cJSON *name = ek_json_member(body, "reviewer");

	if (!cJSON_IsString(name))
		return ek_fail(EK_EUSAGE, "the request has no reviewer");
	return ek_review_log_reviewer(reviewer, &page->file->log, name->valuestring);
}

/* The members of one decision. */
static int write_decision(struct ek_buffer *out, const struct ek_review_log *log, uint32_t sample, uint32_t reviewer)
{
	const struct ek_review_entry *entry = ek_review_log_standing(log, sample, reviewer);
	int rc;

	EK_TRY(ek_buffer_printf(out, "{\"sample\": %" PRIu32 ", ", sample));
	EK_TRY(write_string(out, "decision", entry != NULL ? ek_verdict_name(entry->verdict) : NULL));
	EK_TRY(ek_buffer_text(out, ", "));
	EK_TRY(write_string(out, "note", entry != NULL ? entry->note : ""));
	if (entry != NULL && entry->given[0] != 0) {
		EK_TRY(ek_buffer_text(out, ", "));
		EK_TRY(write_string(out, "label", entry->label));
	}
out:
	return rc;
}

static int write_saved(struct ek_buffer *out, const struct ek_review_file *file, uint32_t sample, uint32_t reviewer)
{
	int rc;

	EK_TRY(write_decision(out, &file->log, sample, reviewer));
	EK_TRY(ek_buffer_printf(out, ", \"edits\": %" PRIu64 "}", file->journal.edits));
out:
	return rc;
}

static int answer_reviewer(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_review_page *page = context;
	const struct ek_review_log *log = &page->file->log;
	const char *between = "";
	cJSON *body = NULL;
	uint32_t reviewer;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	EK_TRY(catch_up(page));
	EK_TRY(read_reviewer(&reviewer, page, body));
	EK_TRY(ek_buffer_printf(&reply->body, "{\"edits\": %" PRIu64 ", ", page->edits));
	EK_TRY(write_string(&reply->body, "reviewer", log->reviewers[reviewer]));
	EK_TRY(ek_buffer_text(&reply->body, ", \"decisions\": ["));
	for (uint64_t i = 0; i < page->review->count; i++)
		if (ek_review_log_standing(log, page->review->queue[i], reviewer) != NULL) {
			EK_TRY(ek_buffer_text(&reply->body, between));
			EK_TRY(write_decision(&reply->body, log, page->review->queue[i], reviewer));
			EK_TRY(ek_buffer_text(&reply->body, "}"));
			between = ", ";
		}
	EK_TRY(ek_buffer_text(&reply->body, "]}"));
out:
	cJSON_Delete(body);
	return rc;
}

static int read_decision(struct ek_review_entry *entry, const struct ek_review *review, const cJSON *body)
{
	static char none[] = "";
	const cJSON *sample = ek_json_member(body, "sample");
	const cJSON *decision = ek_json_member(body, "decision");
	const cJSON *note = ek_json_member(body, "note");
	const cJSON *sha256 = ek_json_member(body, "sha256");

	if (!cJSON_IsNumber(sample) || !(sample->valuedouble >= 0 && sample->valuedouble < EK_REVIEW_SAMPLES_MAX) ||
	    sample->valuedouble != (double)(uint32_t)sample->valuedouble ||
	    ek_review_index(review, (uint64_t)sample->valuedouble) < 0)
		return ek_fail(EK_EUSAGE, "the request names no sample");
	if (!cJSON_IsString(decision) || (entry->verdict = ek_verdict_of(decision->valuestring)) == EK_VERDICTS)
		return ek_fail(EK_EUSAGE, "the decision is not accept, reject or unsure");
	if (sha256 != NULL && (!cJSON_IsString(sha256) || strlen(sha256->valuestring) != sizeof entry->sha256 - 1))
		return ek_fail(EK_EUSAGE, "the SHA-256 of the image that was seen is not 64 hex digits");
	if (note != NULL && !cJSON_IsString(note))
		return ek_fail(EK_EUSAGE, "the note is no text");
	entry->sample = (uint32_t)sample->valuedouble;
	entry->note = note != NULL ? note->valuestring : none;
	if (sha256 != NULL)
		memcpy(entry->sha256, sha256->valuestring, sizeof entry->sha256);
	if (strlen(entry->note) > EK_REVIEW_NOTE_MAX)
		return ek_fail(EK_EUSAGE, "the note has %zu bytes, more than %d", strlen(entry->note),
		               EK_REVIEW_NOTE_MAX);
	return 0;
}

/* What was judged of a label, and what it is instead. */
static int read_label(struct ek_review_entry *entry, const struct ek_review *review, const cJSON *body)
{
	const struct ek_review_labels *l = review->labels;
	const cJSON *label = ek_json_member(body, "label");
	size_t i = 0;

	if (l == NULL)
		return 0;
	entry->given = l->names[l->doubts[ek_review_index(review, entry->sample)].given].name;
	if (entry->verdict != EK_VERDICT_REJECT || label == NULL)
		return 0;
	if (!cJSON_IsString(label))
		return ek_fail(EK_EUSAGE, "the label is no text");
	while (i < l->name_count && strcmp(l->names[i].name, label->valuestring) != 0)
		i++;
	if (label->valuestring[0] != 0 && (i == l->name_count || strcmp(label->valuestring, entry->given) == 0))
		return ek_fail(EK_EUSAGE, "what it is instead is none of the other labels");
	entry->label = label->valuestring;
	return 0;
}

static int answer_decide(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_review_page *page = context;
	struct ek_review_entry entry = { 0 };
	struct ek_buffer image = { 0 };
	cJSON *body = NULL;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	EK_TRY(read_decision(&entry, page->review, body));
	EK_TRY(read_label(&entry, page->review, body));
	EK_TRY(catch_up(page));
	EK_TRY(read_reviewer(&entry.reviewer, page, body));
	/* Who does not say what was seen has seen what was given. */
	EK_TRY(give(&image, &reply->status, page->review, entry.sample,
	            entry.sha256[0] != 0 ? entry.sha256
	                                 : page->review->given[ek_review_index(page->review, entry.sample)]));
	memcpy(entry.sha256, page->review->given[ek_review_index(page->review, entry.sample)], sizeof entry.sha256);
	EK_TRY(ek_review_file_decide(page->file, &entry));
	EK_TRY(write_saved(&reply->body, page->file, entry.sample, entry.reviewer));
out:
	ek_buffer_release(&image);
	cJSON_Delete(body);
	return rc;
}

static int answer_undo(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_review_page *page = context;
	cJSON *body = NULL;
	uint32_t reviewer, sample;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	EK_TRY(catch_up(page));
	EK_TRY(read_reviewer(&reviewer, page, body));
	EK_TRY(ek_review_file_undo(page->file, reviewer, &sample));
	EK_TRY(write_saved(&reply->body, page->file, sample, reviewer));
out:
	cJSON_Delete(body);
	return rc;
}

const struct ek_server_route ek_review_routes[] = {
	{ "GET", "/", NULL, &files[0] },
	{ "GET", "/icon.svg", NULL, &files[1] },
	{ "GET", "/common.js", NULL, &files[2] },
	{ "GET", "/page.css", NULL, &files[3] },
	{ "GET", "/review.css", NULL, &files[4] },
	{ "GET", "/review.js", NULL, &files[5] },
	{ "GET", "/state", answer_state, NULL },
	{ "GET", "/sample/#", answer_sample, NULL },
	{ "GET", "/generated/#", answer_generated, NULL },
	{ "GET", "/generated/#/@", answer_generated, NULL },
	{ "GET", "/real/#", answer_real, NULL },
	{ "GET", "/agreement", answer_agreement, NULL },
	{ "POST", "/reviewer", answer_reviewer, NULL },
	{ "POST", "/decide", answer_decide, NULL },
	{ "POST", "/undo", answer_undo, NULL },
	{ NULL, NULL, NULL, NULL },
};
