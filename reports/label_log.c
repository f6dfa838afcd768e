#include "reports/label_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

/* What one person says of one image. */
struct said {
	uint64_t image;
	uint32_t person;
	int32_t group; /* a name's number, EK_LABEL_NONE, or NOTHING */
	size_t order;
};
enum { NOTHING = -3 };

/* While acts are replayed a name has a number of its own; one that another group took in has that one's. */
struct names {
	const char **names;
	int32_t *same; /* the number that it goes by now; its own: it is a group */
	size_t count;
};

static int find_name(const struct names *n, const char *name)
{
	for (size_t i = n->count; i > 0; i--)
		if (n->same[i - 1] == (int32_t)(i - 1) && strcmp(n->names[i - 1], name) == 0)
			return (int)(i - 1);
	return -1;
}

static int32_t resolve(const struct names *n, int32_t group)
{
	while (group >= 0 && n->same[group] != group)
		group = n->same[group];
	return group;
}

static int add_name(int32_t *out, struct names *n, const char *name)
{
	int rc;

	if ((*out = find_name(n, name)) >= 0)
		return 0;
	EK_TRY(ek_resize(&n->names, n->count + 1, sizeof *n->names));
	EK_TRY(ek_resize(&n->same, n->count + 1, sizeof *n->same));
	*out = (int32_t)n->count;
	n->names[n->count] = name;
	n->same[n->count++] = *out;
out:
	return rc;
}

static void rename_group(struct names *n, const struct ek_label_act *act)
{
	const int from = find_name(n, act->group), into = find_name(n, act->to);

	if (from >= 0 && into >= 0 && from != into)
		n->same[from] = into;
	else if (from >= 0)
		n->names[from] = act->to;
}

static int compare_said(const void *a, const void *b)
{
	const struct said *x = a, *y = b;

	if (x->image != y->image)
		return x->image < y->image ? -1 : 1;
	if (x->person != y->person)
		return x->person < y->person ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* All that was said, in the order of images, of people, of time; the names; and log->nots, by the names' numbers. */
static int replay(struct said **out, size_t *count, struct names *names, struct ek_label_log *log)
{
	size_t most = 0, most_not = 0;
	int32_t group;
	int rc;

	*count = log->not_count = 0;
	for (size_t i = 0; i < log->act_count; i++)
		*(log->acts[i].is_not ? &most_not : &most) += log->acts[i].undone ? 0 : log->acts[i].count;
	EK_TRY(ek_alloc(out, most + 1, sizeof **out));
	EK_TRY(ek_resize(&log->nots, most_not + 1, sizeof *log->nots));
	for (size_t i = 0; i < log->act_count; i++) {
		const struct ek_label_act *act = &log->acts[i];

		if (act->undone)
			continue;
		if (act->to != NULL) {
			rename_group(names, act);
			continue;
		}
		if (act->is_not) {
			if ((group = find_name(names, act->group)) >= 0)
				for (size_t j = 0; j < act->count; j++)
					log->nots[log->not_count++] = (struct ek_label_not){ act->images[j], group };
			continue;
		}
		group = act->group == NULL ? EK_LABEL_NONE : NOTHING;
		if (act->group != NULL && act->group[0] != 0)
			EK_TRY(add_name(&group, names, act->group));
		for (size_t j = 0; j < act->count; j++, ++*count)
			(*out)[*count] = (struct said){ act->images[j], act->person, group, *count };
	}
	qsort(*out, *count, sizeof **out, compare_said);
out:
	return rc;
}

/* The group that most of `count` people name; they are in the order of images and people, with their last word last.
 * votes [names + 1] are 0, and are so again; of none of the groups is the last. */
static struct ek_label decide(const struct said *said, size_t count, const struct names *names, uint32_t *votes)
{
	struct ek_label label = { .image = said->image, .group = EK_LABEL_DISPUTED };
	uint32_t best = 0, as_many = 0;

	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < count; i++) {
			const int32_t group = resolve(names, said[i].group);
			uint32_t *vote = &votes[group >= 0 ? (size_t)group : names->count];

			if ((i + 1 < count && said[i + 1].person == said[i].person) || group == NOTHING)
				continue;
			if (pass == 0) {
				label.people++;
				best = ++*vote > best ? *vote : best;
			} else if (pass == 1 && *vote == best) {
				label.group = group;
				as_many++;
				*vote = best + 1; /* it is counted once */
			} else if (pass == 2) {
				*vote = 0;
			}
		}
	if (as_many > 1)
		label.group = EK_LABEL_DISPUTED;
	return label;
}

static int settle_groups(struct ek_label_log *log, struct names *names)
{
	int rc = 0;

	for (size_t i = 0; i < log->group_count; i++)
		free(log->groups[i]);
	log->group_count = 0;
	EK_TRY(ek_resize(&log->groups, names->count + 1, sizeof *log->groups));
	EK_TRY(ek_resize(&log->sizes, names->count + 1, sizeof *log->sizes));
	for (size_t i = 0; i < names->count; i++)
		if (names->same[i] == (int32_t)i) {
			EK_TRY(ek_copy_string(&log->groups[log->group_count], names->names[i]));
			log->sizes[log->group_count++] = 0;
		}
out:
	return rc;
}

/* place: [names] of each among the groups */
static int settle_labels(struct ek_label_log *log, const struct said *said, size_t count, const struct names *names,
                         const int32_t *place)
{
	uint32_t *votes = NULL;
	int rc;

	EK_TRY(ek_alloc(&votes, names->count + 1, sizeof *votes));
	EK_TRY(ek_resize(&log->labels, count + 1, sizeof *log->labels));
	memset(votes, 0, (names->count + 1) * sizeof *votes);
	log->label_count = log->none = log->disputed = 0;
	for (size_t i = 0, next; i < count; i = next) {
		struct ek_label label;

		for (next = i + 1; next < count && said[next].image == said[i].image;)
			next++;
		label = decide(said + i, next - i, names, votes);
		if (label.people == 0)
			continue;
		label.group = label.group >= 0 ? place[label.group] : label.group;
		log->none += label.group == EK_LABEL_NONE;
		log->disputed += label.group == EK_LABEL_DISPUTED;
		if (label.group >= 0)
			log->sizes[label.group]++;
		log->labels[log->label_count++] = label;
	}
out:
	free(votes);
	return rc;
}

static int compare_nots(const void *a, const void *b)
{
	const struct ek_label_not *x = a, *y = b;

	if (x->image != y->image)
		return x->image < y->image ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

/* Each once, and none of an image that has a label by now. */
static void settle_nots(struct ek_label_log *log, const struct names *names, const int32_t *place)
{
	size_t count = 0;

	for (size_t i = 0; i < log->not_count; i++)
		log->nots[i].group = place[resolve(names, log->nots[i].group)];
	qsort(log->nots, log->not_count, sizeof *log->nots, compare_nots);
	for (size_t i = 0; i < log->not_count; i++)
		if ((count == 0 || compare_nots(&log->nots[count - 1], &log->nots[i]) != 0) &&
		    ek_label_log_find(log, log->nots[i].image) == NULL)
			log->nots[count++] = log->nots[i];
	log->not_count = count;
}

static int settle(struct ek_label_log *log)
{
	struct names names = { 0 };
	struct said *said = NULL;
	int32_t *place = NULL, groups = 0;
	size_t count;
	int rc;

	EK_TRY(replay(&said, &count, &names, log));
	EK_TRY(settle_groups(log, &names));
	EK_TRY(ek_alloc(&place, names.count + 1, sizeof *place));
	for (size_t i = 0; i < names.count; i++)
		place[i] = names.same[i] == (int32_t)i ? groups++ : -1;
	EK_TRY(settle_labels(log, said, count, &names, place));
	settle_nots(log, &names, place);
out:
	free(said);
	free(place);
	free(names.names);
	free(names.same);
	return rc;
}

int ek_label_log_person(uint32_t *index, struct ek_label_log *log, const char *name)
{
	int rc;

	EK_TRY(ek_journal_check_name(name, EK_LABEL_NAME_MAX, "a person"));
	for (*index = 0; *index < log->person_count; ++*index)
		if (strcmp(log->people[*index], name) == 0)
			return 0;
	if (log->person_count == EK_LABEL_GROUPS_MAX)
		return ek_fail(EK_EUSAGE, "no more than %d people", EK_LABEL_GROUPS_MAX);
	EK_TRY(ek_resize(&log->people, log->person_count + 1, sizeof *log->people));
	EK_TRY(ek_copy_string(&log->people[*index], name));
	log->person_count++;
out:
	return rc;
}

int32_t ek_label_log_group(const struct ek_label_log *log, const char *name)
{
	for (size_t i = 0; i < log->group_count; i++)
		if (strcmp(log->groups[i], name) == 0)
			return (int32_t)i;
	return -1;
}

int ek_label_log_check(const struct ek_label_log *log, const struct ek_label_act *act)
{
	int rc = 0;

	if (act->group != NULL && (act->group[0] != 0 || act->to != NULL || act->is_not))
		EK_TRY(ek_journal_check_name(act->group, EK_LABEL_NAME_MAX, "a group"));
	if (act->is_not && ek_label_log_group(log, act->group) < 0)
		return ek_fail(EK_EUSAGE, "there is no group \"%s\"", act->group);
	if (act->to != NULL) {
		EK_TRY(ek_journal_check_name(act->to, EK_LABEL_NAME_MAX, "a group"));
		if (act->group == NULL || ek_label_log_group(log, act->group) < 0)
			rc = ek_fail(EK_EUSAGE, "there is no group \"%s\"", act->group != NULL ? act->group : "");
	} else if (act->group != NULL && act->group[0] != 0 && ek_label_log_group(log, act->group) < 0 &&
	           log->group_count >= EK_LABEL_GROUPS_MAX) {
		rc = ek_fail(EK_EUSAGE, "no more than %d groups", EK_LABEL_GROUPS_MAX);
	}
out:
	return rc;
}

/* Add a copy, without settling. */
static int append_act(struct ek_label_log *log, const struct ek_label_act *act)
{
	const size_t n = log->act_count;
	struct ek_label_act *added;
	int rc;

	if ((n & (n - 1)) == 0)
		EK_TRY(ek_resize(&log->acts, n == 0 ? 1 : 2 * n, sizeof *log->acts));
	added = &log->acts[log->act_count++];
	*added = *act;
	added->undone = 0;
	added->group = added->to = NULL;
	added->images = NULL;
	if (act->group != NULL)
		EK_TRY(ek_copy_string(&added->group, act->group));
	if (act->to != NULL)
		EK_TRY(ek_copy_string(&added->to, act->to));
	EK_TRY(ek_alloc(&added->images, act->count + 1, sizeof *added->images));
	if (act->count > 0)
		memcpy(added->images, act->images, act->count * sizeof *added->images);
out:
	return rc;
}

int ek_label_log_add(struct ek_label_log *log, const struct ek_label_act *act)
{
	int rc;

	EK_TRY(append_act(log, act));
	EK_TRY(settle(log));
out:
	return rc;
}

static struct ek_label_act *newest(const struct ek_label_log *log, uint32_t person)
{
	for (size_t i = log->act_count; i > 0; i--)
		if (log->acts[i - 1].person == person && !log->acts[i - 1].undone)
			return &log->acts[i - 1];
	return NULL;
}

const struct ek_label_act *ek_label_log_newest(const struct ek_label_log *log, uint32_t person)
{
	return newest(log, person);
}

int ek_label_log_undo(struct ek_label_log *log, uint32_t person)
{
	struct ek_label_act *act = newest(log, person);

	if (act == NULL)
		return ek_fail(EK_EUSAGE, "there is nothing to take back");
	act->undone = 1;
	return settle(log);
}

static int compare_labels(const void *image, const void *label)
{
	const uint64_t a = *(const uint64_t *)image, b = ((const struct ek_label *)label)->image;

	return a < b ? -1 : a > b;
}

const struct ek_label *ek_label_log_find(const struct ek_label_log *log, uint64_t image)
{
	return log->label_count == 0
	               ? NULL
	               : bsearch(&image, log->labels, log->label_count, sizeof *log->labels, compare_labels);
}

int ek_label_log_format(struct ek_buffer *out, const struct ek_label_log *log, const struct ek_label_act *act, int undo)
{
	int rc;

	if (undo) {
		EK_TRY(ek_buffer_text(out, "{\"undo\": true"));
	} else if (act->to != NULL) {
		EK_TRY(ek_buffer_text(out, "{\"rename\": "));
		EK_TRY(ek_json_append_string(out, act->group, strlen(act->group)));
		EK_TRY(ek_journal_member(out, "to", act->to));
	} else {
		EK_TRY(ek_buffer_text(out, "{\"images\": ["));
		for (size_t i = 0; i < act->count; i++)
			EK_TRY(ek_buffer_printf(out, "%s%" PRIu64, i > 0 ? ", " : "", act->images[i]));
		EK_TRY(ek_buffer_text(out, "]"));
		if (act->group != NULL)
			EK_TRY(ek_journal_member(out, act->is_not ? "not" : "group", act->group));
		else
			EK_TRY(ek_buffer_text(out, ", \"group\": null"));
	}
	EK_TRY(ek_journal_member(out, "by", log->people[act->person]));
	EK_TRY(ek_journal_member(out, "time", act->time));
	EK_TRY(ek_buffer_text(out, "}\n"));
out:
	return rc;
}

static int read_images(struct ek_label_act *act, const cJSON *object, const char *where)
{
	const cJSON *images = ek_json_member(object, "images"), *one;
	int rc;

	if (!cJSON_IsArray(images) || cJSON_GetArraySize(images) > EK_LABEL_IMAGES_MAX)
		return ek_fail(EK_EDATA, "%s: images is no list of at most %d numbers", where, EK_LABEL_IMAGES_MAX);
	EK_TRY(ek_alloc(&act->images, (size_t)cJSON_GetArraySize(images) + 1, sizeof *act->images));
	cJSON_ArrayForEach(one, images)
	{
		if (!cJSON_IsNumber(one) || !(one->valuedouble >= 0 && one->valuedouble < 0x1p53) ||
		    one->valuedouble != (double)(uint64_t)one->valuedouble) {
			rc = ek_fail(EK_EDATA, "%s: images has what is no number of an image", where);
			goto out;
		}
		act->images[act->count++] = (uint64_t)one->valuedouble;
	}
out:
	return rc;
}

/* The members are the object's, but for the images. */
static int read_act(struct ek_label_act *act, const cJSON *object, const char *where)
{
	const cJSON *group = ek_json_member(object, "group"), *old = ek_json_member(object, "rename");
	const cJSON *not = ek_json_member(object, "not");
	const char *to;
	int rc = 0;

	if (old != NULL) {
		EK_TRY(ek_json_get_string(&to, object, "to", where));
		if (!cJSON_IsString(old))
			return ek_fail(EK_EDATA, "%s: rename is no name", where);
		act->group = old->valuestring;
		act->to = (char *)(uintptr_t)to; /* is copied */
	} else if (not != NULL) {
		if (!cJSON_IsString(not ))
			return ek_fail(EK_EDATA, "%s: not is no name", where);
		act->group = not ->valuestring;
		act->is_not = 1;
		EK_TRY(read_images(act, object, where));
	} else {
		if (!cJSON_IsString(group) && !cJSON_IsNull(group))
			return ek_fail(EK_EDATA, "%s: group is no name and not null", where);
		act->group = cJSON_IsString(group) ? group->valuestring : NULL;
		EK_TRY(read_images(act, object, where));
	}
out:
	return rc;
}

static int take(void *context, const cJSON *object, const char *where)
{
	struct ek_label_log *log = context;
	struct ek_label_act act = { 0 };
	const char *by, *time;
	int rc;

	EK_TRY(ek_json_get_string(&by, object, "by", where));
	EK_TRY(ek_json_get_string(&time, object, "time", where));
	EK_TRY(ek_journal_check_time(time, where));
	memcpy(act.time, time, sizeof act.time);
	if (cJSON_IsTrue(ek_json_member(object, "undo"))) {
		struct ek_label_act *last;

		EK_TRY(ek_label_log_person(&act.person, log, by));
		if ((last = newest(log, act.person)) == NULL)
			rc = ek_fail(EK_EDATA, "%s: there is nothing to take back", where);
		else
			last->undone = 1;
		goto out;
	}
	EK_TRY(read_act(&act, object, where));
	if (act.group != NULL && (act.group[0] != 0 || act.to != NULL || act.is_not))
		EK_TRY(ek_journal_check_name(act.group, EK_LABEL_NAME_MAX, "a group"));
	if (act.to != NULL)
		EK_TRY(ek_journal_check_name(act.to, EK_LABEL_NAME_MAX, "a group"));
	EK_TRY(ek_label_log_person(&act.person, log, by));
	EK_TRY(append_act(log, &act));
out:
	free(act.images);
	return rc;
}

int ek_label_log_parse(struct ek_label_log *log, const char *text, size_t size, const char *where)
{
	int rc;

	EK_TRY(ek_journal_parse(&log->lines, text, size, where, take, log));
	EK_TRY(settle(log));
out:
	return rc;
}

int ek_label_log_load(struct ek_label_log *log, const char *path)
{
	int rc;

	EK_TRY(ek_journal_load(&log->lines, path, take, log));
	EK_TRY(settle(log));
out:
	return rc;
}

void ek_label_log_release(struct ek_label_log *log)
{
	for (size_t i = 0; i < log->act_count; i++) {
		free(log->acts[i].group);
		free(log->acts[i].to);
		free(log->acts[i].images);
	}
	for (size_t i = 0; i < log->person_count; i++)
		free(log->people[i]);
	for (size_t i = 0; i < log->group_count; i++)
		free(log->groups[i]);
	free(log->acts);
	free(log->people);
	free(log->groups);
	free(log->sizes);
	free(log->labels);
	free(log->nots);
	*log = (struct ek_label_log){ 0 };
}
