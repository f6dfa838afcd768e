#include "reports/label_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/label_files.h"
#include "reports/page_files.h"
#include "reports/review_files.h"

static const char icon[] = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">"
			   "<rect width=\"16\" height=\"16\" rx=\"3\" fill=\"#0b6470\"/>"
			   "<path d=\"M4 4h5l4 4-5 5-4-4z\" fill=\"none\" stroke=\"#fff\" stroke-width=\"1.6\"/></svg>";

static const size_t icon_size = sizeof icon - 1;

static const struct ek_server_file files[] = {
	{ "text/html; charset=utf-8", ek_label_html, &ek_label_html_size },
	{ "image/svg+xml", icon, &icon_size },
	{ "text/javascript; charset=utf-8", ek_common_js, &ek_common_js_size },
	{ "text/css; charset=utf-8", ek_page_css, &ek_page_css_size },     /* the style of the report */
	{ "text/css; charset=utf-8", ek_review_css, &ek_review_css_size }, /* that of its controls */
	{ "text/css; charset=utf-8", ek_label_css, &ek_label_css_size },
	{ "text/javascript; charset=utf-8", ek_label_js, &ek_label_js_size },
};

uint64_t ek_label_random_done(const struct ek_label_log *log, const struct ek_label_teacher *teacher, uint64_t images)
{
	uint64_t done = 0;

	while (done < images && ek_label_log_find(log, teacher->random(teacher->context, done)) != NULL)
		done++;
	return done;
}

static size_t count_passed(const struct ek_label_log *log, int32_t group)
{
	size_t passed = 0;

	for (size_t i = 0; i < log->not_count; i++)
		passed += log->nots[i].group == group;
	return passed;
}

/* The members that change, without braces. */
static int write_counts(struct ek_buffer *out, const struct ek_label_page *page)
{
	const struct ek_label_log *log = &page->file->log;
	int rc;

	EK_TRY(ek_buffer_text(out, "\"groups\": ["));
	for (size_t i = 0; i < log->group_count; i++) {
		EK_TRY(ek_buffer_text(out, i > 0 ? ", {\"name\": " : "{\"name\": "));
		EK_TRY(ek_json_append_string(out, log->groups[i], strlen(log->groups[i])));
		EK_TRY(ek_buffer_printf(out, ", \"images\": %zu, \"passed\": %zu}", log->sizes[i],
		                        count_passed(log, (int32_t)i)));
	}
	EK_TRY(ek_buffer_printf(
		out,
		"], \"none\": %zu, \"disputed\": %zu, \"labelled\": %zu, \"random\": %" PRIu64 ", \"edits\": %" PRIu64,
		log->none, log->disputed, log->label_count,
		ek_label_random_done(log, page->teacher, page->images->count), page->file->journal.edits));
out:
	return rc;
}

static int answer_counts(struct ek_buffer *out, const struct ek_label_page *page)
{
	int rc;

	EK_TRY(ek_buffer_text(out, "{"));
	EK_TRY(write_counts(out, page));
	EK_TRY(ek_buffer_text(out, "}"));
out:
	return rc;
}

static int answer_state(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	const struct ek_label_log *log = &page->file->log;
	struct ek_buffer *out = &reply->body;
	int rc;

	(void)request;
	EK_TRY(ek_label_file_refresh(page->file));
	EK_TRY(ek_buffer_printf(out, "{\"images\": %" PRIu64 ", \"target\": %d", page->images->count, EK_LABEL_TARGET));
	EK_TRY(ek_journal_member(out, "labels", page->name));
	EK_TRY(ek_journal_member(out, "file", page->file->journal.path));
	EK_TRY(ek_journal_member(out, "person", page->person != NULL ? page->person : ""));
	EK_TRY(ek_buffer_text(out, ", \"offered\": ["));
	for (size_t i = 0; page->offered != NULL && page->offered[i] != NULL; i++) {
		EK_TRY(ek_buffer_text(out, i > 0 ? ", " : ""));
		EK_TRY(ek_json_append_string(out, page->offered[i], strlen(page->offered[i])));
	}
	EK_TRY(ek_buffer_text(out, "], \"people\": ["));
	for (size_t i = 0; i < log->person_count; i++) {
		EK_TRY(ek_buffer_text(out, i > 0 ? ", " : ""));
		EK_TRY(ek_json_append_string(out, log->people[i], strlen(log->people[i])));
	}
	EK_TRY(ek_buffer_text(out, "], "));
	EK_TRY(write_counts(out, page));
	EK_TRY(ek_buffer_text(out, "}"));
out:
	return rc;
}

static int write_image(struct ek_buffer *out, const struct ek_label_log *log, const struct ek_label_proposal *one)
{
	const struct ek_label *label = ek_label_log_find(log, one->image);
	const char *said = label != NULL && label->group >= 0 ? log->groups[label->group] : "";
	int rc;

	EK_TRY(ek_buffer_printf(out, "{\"image\": %" PRIu64, one->image));
	if (label != NULL && label->group == EK_LABEL_NONE)
		EK_TRY(ek_buffer_text(out, ", \"said\": null"));
	else
		EK_TRY(ek_journal_member(out, "said", said));
	if (one->group >= 0) {
		EK_TRY(ek_journal_member(out, "group", log->groups[one->group]));
		EK_TRY(ek_buffer_printf(out, ", \"sure\": %.3f}", one->sure));
	} else {
		EK_TRY(ek_buffer_text(out, ", \"group\": null, \"sure\": null}"));
	}
out:
	return rc;
}

static int write_sheet(struct ek_buffer *out, const struct ek_label_log *log, const struct ek_label_proposal *sheet,
                       size_t count)
{
	int rc;

	EK_TRY(ek_buffer_text(out, "{\"images\": ["));
	for (size_t i = 0; i < count; i++) {
		EK_TRY(ek_buffer_text(out, i > 0 ? ", " : ""));
		EK_TRY(write_image(out, log, &sheet[i]));
	}
	EK_TRY(ek_buffer_text(out, "]}"));
out:
	return rc;
}

static int answer_teach(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	struct ek_label_proposal sheet[EK_LABEL_SHEET];
	size_t count;
	int rc;

	(void)request;
	EK_TRY(ek_label_file_refresh(page->file));
	EK_TRY(page->teacher->propose(page->teacher->context, &page->file->log, sheet, EK_LABEL_SHEET, &count));
	EK_TRY(write_sheet(&reply->body, &page->file->log, sheet, count));
out:
	return rc;
}

static int answer_search(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	struct ek_label_proposal sheet[EK_LABEL_SHEET];
	size_t count;
	int rc;

	EK_TRY(ek_label_file_refresh(page->file));
	if (request->number >= page->file->log.group_count) {
		reply->status = 404;
		return ek_fail(EK_EUSAGE, "there is no group %" PRIu64, request->number);
	}
	EK_TRY(page->teacher->search(page->teacher->context, &page->file->log, (int32_t)request->number, sheet,
	                             EK_LABEL_SHEET, &count));
	EK_TRY(write_sheet(&reply->body, &page->file->log, sheet, count));
out:
	return rc;
}

static int answer_random(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	const struct ek_label_teacher *teacher = page->teacher;
	struct ek_label_proposal sheet[EK_LABEL_SHEET];
	size_t count = 0;
	int rc;

	(void)request;
	EK_TRY(ek_label_file_refresh(page->file));
	for (uint64_t at = ek_label_random_done(&page->file->log, teacher, page->images->count);
	     at < page->images->count && count < EK_LABEL_SHEET; at++)
		sheet[count++] =
			(struct ek_label_proposal){ .image = teacher->random(teacher->context, at), .group = -1 };
	EK_TRY(write_sheet(&reply->body, &page->file->log, sheet, count));
out:
	return rc;
}

static int answer_group(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	static const size_t most = 240;
	struct ek_label_page *page = context;
	const struct ek_label_log *log = &page->file->log;
	struct ek_label_proposal *sheet = NULL;
	size_t count = 0;
	int32_t group;
	int rc;

	EK_TRY(ek_label_file_refresh(page->file));
	if (request->number > log->group_count + 1) {
		reply->status = 404;
		return ek_fail(EK_EUSAGE, "there is no group %" PRIu64, request->number);
	}
	group = request->number < log->group_count    ? (int32_t)request->number
	        : request->number == log->group_count ? EK_LABEL_NONE
	                                              : EK_LABEL_DISPUTED;
	EK_TRY(ek_alloc(&sheet, most, sizeof *sheet));
	for (size_t i = 0; i < log->label_count && count < most; i++)
		if (log->labels[i].group == group)
			sheet[count++] = (struct ek_label_proposal){ .image = log->labels[i].image, .group = -1 };
	EK_TRY(write_sheet(&reply->body, log, sheet, count));
out:
	free(sheet);
	return rc;
}

static int answer_image(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	const struct ek_label_page *page = context;

	reply->status = request->number < page->images->count ? 200 : 404;
	return ek_real_images_picture(&reply->body, &reply->type, page->images, request->number);
}

static int read_person(uint32_t *person, struct ek_label_page *page, const cJSON *body)
{
	const cJSON *name = ek_json_member(body, "by");

	if (!cJSON_IsString(name))
		return ek_fail(EK_EUSAGE, "the request does not say by whom");
	return ek_label_log_person(person, &page->file->log, name->valuestring);
}

static int answer_person(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	cJSON *body = NULL;
	uint32_t person;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	EK_TRY(ek_label_file_refresh(page->file));
	EK_TRY(read_person(&person, page, body));
	EK_TRY(answer_counts(&reply->body, page));
out:
	cJSON_Delete(body);
	return rc;
}

static int read_images(struct ek_label_act *act, const struct ek_label_page *page, const cJSON *body)
{
	const cJSON *images = ek_json_member(body, "images"), *one;
	int rc;

	if (!cJSON_IsArray(images))
		return ek_fail(EK_EUSAGE, "the request names no images");
	EK_TRY(ek_alloc(&act->images, (size_t)cJSON_GetArraySize(images) + 1, sizeof *act->images));
	cJSON_ArrayForEach(one, images)
	{
		if (!cJSON_IsNumber(one) ||
		    !(one->valuedouble >= 0 && one->valuedouble < (double)page->images->count) ||
		    one->valuedouble != (double)(uint64_t)one->valuedouble) {
			rc = ek_fail(EK_EUSAGE, "the request names an image that is not there");
			goto out;
		}
		act->images[act->count++] = (uint64_t)one->valuedouble;
	}
out:
	return rc;
}

static int answer_label(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	struct ek_label_act act = { 0 };
	const cJSON *group;
	cJSON *body = NULL;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	act.is_not = cJSON_IsString(ek_json_member(body, "not"));
	group = ek_json_member(body, act.is_not ? "not" : "group");
	if (!cJSON_IsString(group) && !cJSON_IsNull(group)) {
		rc = ek_fail(EK_EUSAGE, "the request names no group");
		goto out;
	}
	EK_TRY(read_images(&act, page, body));
	EK_TRY(read_person(&act.person, page, body));
	act.group = cJSON_IsString(group) ? group->valuestring : NULL;
	EK_TRY(ek_label_file_add(page->file, &act));
	EK_TRY(answer_counts(&reply->body, page));
out:
	free(act.images);
	cJSON_Delete(body);
	return rc;
}

static int answer_rename(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	struct ek_label_act act = { 0 };
	const cJSON *group, *to;
	cJSON *body = NULL;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	group = ek_json_member(body, "group");
	to = ek_json_member(body, "to");
	if (!cJSON_IsString(group) || !cJSON_IsString(to)) {
		rc = ek_fail(EK_EUSAGE, "the request names no group and its new name");
		goto out;
	}
	EK_TRY(read_person(&act.person, page, body));
	act.group = group->valuestring;
	act.to = to->valuestring;
	EK_TRY(ek_label_file_add(page->file, &act));
	EK_TRY(answer_counts(&reply->body, page));
out:
	cJSON_Delete(body);
	return rc;
}

static int answer_undo(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	struct ek_label_page *page = context;
	const struct ek_label_act *act;
	cJSON *body = NULL;
	uint32_t person;
	int rc;

	EK_TRY(ek_server_json(&body, request));
	EK_TRY(ek_label_file_refresh(page->file));
	EK_TRY(read_person(&person, page, body));
	EK_TRY(ek_label_file_undo(&act, page->file, person));
	EK_TRY(ek_buffer_text(&reply->body, "{\"images\": ["));
	for (size_t i = 0; i < act->count; i++) {
		EK_TRY(ek_buffer_text(&reply->body, i > 0 ? ", " : ""));
		EK_TRY(write_image(&reply->body, &page->file->log,
		                   &(struct ek_label_proposal){ .image = act->images[i], .group = -1 }));
	}
	EK_TRY(ek_buffer_text(&reply->body, "], "));
	EK_TRY(write_counts(&reply->body, page));
	EK_TRY(ek_buffer_text(&reply->body, "}"));
out:
	cJSON_Delete(body);
	return rc;
}

const struct ek_server_route ek_label_routes[] = {
	{ "GET", "/", NULL, &files[0] },           { "GET", "/icon.svg", NULL, &files[1] },
	{ "GET", "/common.js", NULL, &files[2] },  { "GET", "/page.css", NULL, &files[3] },
	{ "GET", "/review.css", NULL, &files[4] }, { "GET", "/label.css", NULL, &files[5] },
	{ "GET", "/label.js", NULL, &files[6] },   { "GET", "/state", answer_state, NULL },
	{ "GET", "/teach", answer_teach, NULL },   { "GET", "/search/#", answer_search, NULL },
	{ "GET", "/random", answer_random, NULL }, { "GET", "/group/#", answer_group, NULL },
	{ "GET", "/image/#", answer_image, NULL }, { "POST", "/person", answer_person, NULL },
	{ "POST", "/label", answer_label, NULL },  { "POST", "/rename", answer_rename, NULL },
	{ "POST", "/undo", answer_undo, NULL },    { NULL, NULL, NULL, NULL },
};
