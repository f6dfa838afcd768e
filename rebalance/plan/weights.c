#include "rebalance/io/run_files.h"
#include "rebalance/plan/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "analysis/skew/inequality.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"
#include "rebalance/io/csv.h"
#include "rebalance/io/folder.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/design.h"
#include "rebalance/plan/subset.h"

enum { WEIGHTS_VERSION = 2, ROWS = 1 << 16, ROWS_IN_MEMORY = 1 << 24, UNITS_LISTED = 100 };

static const char *const files[] = { "weights.npy", "members.npy", "groups.csv", "weights.json", NULL };
enum { FILES = sizeof files / sizeof *files };

/* Of what single images are weighed; clusters, to tell what it does to them. */
static const char *const image_inputs[] = { "clusters/assignment.npy", "embeddings.npy", "components/axes.npy",
	                                    "components/mean.npy",     "images.jsonl",   NULL };
/* Weights of single images are worth so much of the images unless told otherwise. */
static const double default_worth = 0.5;

struct ek_weights {
	struct ek_weights_options options;
	struct ek_scheme scheme;
	char *by;
	cJSON *json; /* the options */
	const char *inputs[sizeof image_inputs / sizeof *image_inputs + 1];
	char *step_name, *paths[FILES];
	struct ek_step step;
	/* While it is done. */
	struct ek_units units;
	double *visits; /* [k] */
	int by_group;
	struct ek_units told; /* of a scheme of single images: by what is told what it does; k 0: the units */
	double *told_visits;  /* [told.k] mean of an image */
};

static int name_step(struct ek_weights *w, const char *name)
{
	int rc;

	EK_TRY(ek_subset_check_name(name));
	EK_TRY(ek_format(&w->step_name, "weights %s", name));
	for (int i = 0; files[i] != NULL; i++)
		EK_TRY(ek_format(&w->paths[i], "weights/%s/%s", name, files[i]));
	w->step = (struct ek_step){ .name = w->step_name,
		                    .version = WEIGHTS_VERSION,
		                    .outputs = (const char *const *)w->paths };
out:
	return rc;
}

/* Every choice that changes the result. */
static int make_options(struct ek_weights *w)
{
	const char *file = ek_scheme_file(&w->scheme);
	char hash[24];
	int rc;

	if ((w->json = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	EK_TRY(ek_json_add_string(w->json, "scheme", w->options.scheme));
	EK_TRY(ek_json_add_string(w->json, "by", w->by));
	EK_TRY(w->options.cap > 0 ? ek_json_add_double(w->json, "cap", w->options.cap)
	                          : ek_json_add_null(w->json, "cap"));
	if (w->options.worth > 0)
		EK_TRY(ek_json_add_double(w->json, "worth", w->options.worth));
	if (file != NULL) {
		EK_TRY(ek_hash64_file_hex(hash, file));
		EK_TRY(ek_json_add_string(w->json, "target_hash", hash));
		EK_TRY(ek_json_add_bool(w->json, "normalise", w->options.normalise));
	}
out:
	return rc;
}

/* Files that it is made from. */
static void list_inputs(struct ek_weights *w)
{
	size_t count = 0;

	w->step.inputs = ek_units_inputs(w->by);
	if (!ek_scheme_is_of_images(&w->scheme))
		return;
	for (; image_inputs[count] != NULL; count++)
		w->inputs[count] = image_inputs[count];
	w->inputs[count] = w->options.made_from;
	w->step.inputs = w->inputs;
}

int ek_weights_prepare(struct ek_weights **out, const struct ek_weights_options *options)
{
	struct ek_weights *w = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&w, 1, sizeof *w));
	w->options = *options;
	EK_TRY(ek_scheme_parse(&w->scheme, options->scheme));
	EK_TRY(ek_scheme_units(&w->by, &w->scheme, options->by));
	if (options->cap != 0 && !(options->cap >= 1 && isfinite(options->cap)))
		rc = ek_fail(EK_EUSAGE, "the cap is %g, expected 1 or more visits an epoch", options->cap);
	EK_TRY(rc);
	if (w->options.worth == 0 && ek_scheme_is_of_images(&w->scheme))
		w->options.worth = default_worth;
	if (!(w->options.worth >= 0 && w->options.worth <= 1))
		rc = ek_fail(EK_EUSAGE, "weights worth %g of the images are none, expected above 0, up to 1",
		             w->options.worth);
	EK_TRY(rc);
	EK_TRY(name_step(w, options->name));
	EK_TRY(make_options(w));
	w->step.options = w->json;
	list_inputs(w);
out:
	if (rc < 0)
		ek_weights_free(w);
	else
		*out = w;
	return rc;
}

void ek_weights_free(struct ek_weights *w)
{
	if (w == NULL)
		return;
	for (int i = 0; i < FILES; i++)
		free(w->paths[i]);
	free(w->step_name);
	free(w->by);
	cJSON_Delete(w->json);
	ek_units_release(&w->units);
	ek_units_release(&w->told);
	free(w->told_visits);
	free(w->visits);
	free(w);
}

int ek_weights_need_components(const struct ek_weights *w)
{
	return ek_scheme_is_of_images(&w->scheme);
}

const struct ek_step *ek_weights_step(const struct ek_weights *w)
{
	return &w->step;
}

static int weigh_units(struct ek_weights *w, const struct ek_run *run)
{
	int rc;

	EK_TRY(ek_units_load(&w->units, run, w->by));
	EK_TRY(ek_alloc(&w->visits, w->units.k, sizeof *w->visits));
	EK_TRY(ek_scheme_visits(w->visits, &w->scheme, &w->units, run, w->options.normalise));
out:
	return rc;
}

/* Groups that were learned, not an attribute of that name: an image has a probability of each. */
static int note_groups(struct ek_weights *w, const struct ek_run *run)
{
	int rc;

	if (strcmp(w->by, "group") != 0 || strcmp(w->options.scheme, "inverse") != 0)
		return 0;
	EK_TRY(ek_run_has(run, "clusters/groups.json"));
	w->by_group = rc;
	rc = 0;
out:
	return rc;
}

static int weighs_images(const struct ek_weights *w)
{
	return ek_scheme_is_of_images(&w->scheme) || w->by_group;
}

/* Those of no group are in no plan by groups. */
static int drop_of_none(struct ek_units *all, const struct ek_units *groups)
{
	int rc = 0;

	for (uint64_t i = 0; i < all->n; i++)
		if (groups->unit[i] == EK_UNIT_NONE)
			EK_TRY(ek_units_drop(all, i));
	if (all->total == 0)
		rc = ek_fail(EK_EDATA, "no image is of any of the groups");
out:
	return rc;
}

/* Weigh every image, temper that, and make levels of it. */
static int weigh_images(struct ek_weights *w, const struct ek_run *run)
{
	struct ek_image_input in = { .run = run, .weigh = w->options.weigh, .context = w->options.context };
	struct ek_units all = { 0 }, groups = { 0 };
	uint64_t *ids = NULL;
	double *weight = NULL;
	int rc;

	EK_TRY(ek_units_load(&all, run, "all"));
	if (w->by_group) {
		EK_TRY(ek_units_load(&groups, run, w->by));
		EK_TRY(drop_of_none(&all, &groups));
	}
	EK_TRY(ek_image_ids(&ids, &in.count, &all));
	in.ids = ids;
	EK_TRY(ek_alloc(&weight, in.count, sizeof *weight));
	/* Every group alike, by the probability that each image has of each. */
	EK_TRY(w->by_group ? ek_image_weights_groups(weight, &in, groups.k)
	                   : ek_scheme_weigh_images(weight, &w->scheme, &in));
	if (w->options.worth > 0)
		(void)ek_weights_temper(weight, in.count, w->options.worth);
	EK_TRY(ek_levels_of(&w->units, &w->visits, &all, weight));
out:
	ek_units_release(&all);
	ek_units_release(&groups);
	free(ids);
	free(weight);
	return rc;
}

/* What levels do to the units that are told of. */
static int tell(struct ek_weights *w, const struct ek_run *run)
{
	int rc;

	EK_TRY(ek_units_load(&w->told, run, w->by));
	EK_TRY(ek_alloc(&w->told_visits, w->told.k, sizeof *w->told_visits));
	for (uint64_t i = 0; i < w->told.n; i++)
		if (w->told.unit[i] >= 0 && w->units.unit[i] >= 0)
			w->told_visits[w->told.unit[i]] +=
				w->visits[w->units.unit[i]] / (double)w->told.sizes[w->told.unit[i]];
out:
	return rc;
}

/* What the units come to. */
struct summary {
	double effective; /* images */
	uint32_t largest; /* the unit whose images are shown most often */
	uint32_t repeated, empty;
	struct ek_inequality before, after;
};

static int summarise(struct summary *s, const struct ek_weights *w)
{
	const struct ek_units *units = &w->units, *told = w->told.k > 0 ? &w->told : units;
	const double *visits = w->told.k > 0 ? w->told_visits : w->visits;
	double *shown = NULL; /* not whole: rounded, a unit of half a visit would count as none or as one */
	double squares = 0;
	int rc;

	*s = (struct summary){ 0 };
	EK_TRY(ek_alloc(&shown, told->k, sizeof *shown));
	for (uint32_t k = 0; k < units->k; k++) {
		const double size = (double)units->sizes[k];

		squares += size * w->visits[k] * w->visits[k];
		s->largest = w->visits[k] > w->visits[s->largest] ? k : s->largest;
		s->repeated += w->visits[k] > EK_REPEAT_WARNING;
		s->empty += units->sizes[k] == 0;
	}
	for (uint32_t k = 0; k < told->k; k++)
		shown[k] = (double)told->sizes[k] * visits[k];
	s->effective = (double)units->total / squares * (double)units->total;
	EK_TRY(ek_inequality_measure(&s->before, told->sizes, told->k));
	EK_TRY(ek_inequality_expected(&s->after, shown, told->k));
out:
	free(shown);
	return rc;
}

static int write_weights(const char *path, const struct ek_weights *w)
{
	const struct ek_units *units = &w->units;
	struct ek_atomic_file file;
	double *rows = NULL;
	int rc;

	EK_TRY(ek_npy_create(&file, path, EK_F64, 1, &units->n));
	EK_TRY(ek_alloc(&rows, ROWS, sizeof *rows));
	for (uint64_t first = 0; first < units->n; first += ROWS) {
		const uint64_t count = units->n - first < ROWS ? units->n - first : ROWS;

		for (uint64_t i = 0; i < count; i++) {
			const int32_t k = units->unit[first + i];

			rows[i] = k >= 0 ? w->visits[k] / (double)units->total : 0;
		}
		EK_TRY(ek_atomic_write(&file, rows, count * sizeof *rows));
		ek_units_forget(units, first, first + count);
		EK_TRY(ek_check_interrupt());
		ek_progress_add(count);
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	free(rows);
	return rc;
}

/* Put every id behind those of its unit that came before. */
static int deal_members(void *out, int wide, const struct ek_units *units)
{
	uint32_t *narrow_ids = out;
	int64_t *wide_ids = out;
	uint64_t *next = NULL;
	int rc;

	EK_TRY(ek_alloc(&next, units->k, sizeof *next));
	for (uint32_t k = 0; k + 1 < units->k; k++)
		next[k + 1] = next[k] + units->sizes[k];
	for (uint64_t i = 0; i < units->n; i++) {
		const int32_t k = units->unit[i];

		if (i % ROWS == 0) {
			EK_TRY(ek_check_interrupt());
			ek_progress_add(units->n - i < ROWS ? units->n - i : ROWS);
			ek_units_forget(units, i < ROWS ? 0 : i - ROWS, i);
		}
		if (i % ROWS_IN_MEMORY == 0)
			ek_map_forget(out, (char *)out + units->total * (wide ? 8 : 4));
		if (k < 0)
			continue;
		if (wide)
			wide_ids[next[k]++] = (int64_t)i;
		else
			narrow_ids[next[k]++] = (uint32_t)i;
	}
out:
	free(next);
	return rc;
}

/* Ids come in the order of images and go to as many places as there are units: into a map of the file. */
static int write_members(const char *path, const struct ek_units *units)
{
	const int wide = units->n > UINT32_MAX;
	struct ek_atomic_file file = { 0 };
	struct ek_buffer header = { 0 };
	char *map = MAP_FAILED;
	size_t size = 0;
	int rc;

	EK_TRY(ek_npy_header(&header, wide ? EK_I64 : EK_U32, 1, &units->total));
	EK_TRY(ek_atomic_open(&file, path));
	size = header.size + units->total * (wide ? 8 : 4);
	if ((errno = posix_fallocate(file.fd, 0, (off_t)size)) != 0) /* now, not as a fault while writing */
		rc = ek_fail_errno("cannot write %s", path);
	else if ((map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0)) == MAP_FAILED)
		rc = ek_fail_errno("cannot map %s", path);
	EK_TRY(rc);
	memcpy(map, header.data, header.size);
	EK_TRY(deal_members(map + header.size, wide, units));
	EK_TRY(ek_atomic_commit(&file));
out:
	if (map != MAP_FAILED)
		(void)munmap(map, size);
	ek_atomic_discard(&file);
	ek_buffer_release(&header);
	return rc;
}

static int append_number(struct ek_buffer *b, double value)
{
	const int rc = ek_buffer_text(b, ",");

	return rc < 0 ? rc : ek_json_append_double(b, value);
}

/* Of what is told: levels of weight say nothing to people. */
static int write_groups(const char *path, const struct ek_weights *w)
{
	const struct ek_units *units = w->told.k > 0 ? &w->told : &w->units;
	const double *each = w->told.k > 0 ? w->told_visits : w->visits;
	const double total = (double)w->units.total;
	struct ek_atomic_file file = { 0 };
	struct ek_buffer row = { 0 };
	char number[16];
	int rc;

	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_buffer_text(&row, "unit,name,images,share,weight,weighted_share,visits_per_image,visits\n"));
	for (uint32_t k = 0; k < units->k; k++) {
		const double size = (double)units->sizes[k], visits = each[k];

		EK_TRY(ek_buffer_printf(&row, "%" PRIu32 ",", k));
		EK_TRY(ek_csv_append(&row, ek_unit_name(number, units, k)));
		EK_TRY(ek_buffer_printf(&row, ",%" PRIu64, units->sizes[k]));
		EK_TRY(append_number(&row, size / total));
		EK_TRY(append_number(&row, visits / total));
		EK_TRY(append_number(&row, size * visits / total));
		EK_TRY(append_number(&row, visits));
		EK_TRY(append_number(&row, size * visits));
		EK_TRY(ek_buffer_text(&row, "\n"));
		EK_TRY(ek_atomic_write(&file, row.data, row.size));
		ek_buffer_clear(&row);
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	ek_buffer_release(&row);
	return rc;
}

static int add_unit(cJSON *parent, const char *name, const struct ek_weights *w, uint32_t k)
{
	cJSON *unit;
	char number[16];
	int rc;

	EK_TRY(ek_json_add_object(&unit, parent, name));
	EK_TRY(ek_json_add_u64(unit, "unit", k));
	EK_TRY(ek_json_add_string(unit, "name", ek_unit_name(number, &w->units, k)));
	EK_TRY(ek_json_add_u64(unit, "images", w->units.sizes[k]));
	EK_TRY(ek_json_add_double(unit, "visits", w->visits[k]));
out:
	return rc;
}

static int add_repeated(cJSON *json, const struct ek_weights *w, const struct summary *s)
{
	cJSON *object, *list;
	int listed = 0, rc;

	EK_TRY(ek_json_add_object(&object, json, "repeated"));
	EK_TRY(ek_json_add_u64(object, "above", EK_REPEAT_WARNING));
	EK_TRY(ek_json_add_u64(object, "count", s->repeated));
	EK_TRY(ek_json_add_array(&list, object, "units"));
	for (uint32_t k = 0; k < w->units.k && listed < UNITS_LISTED; k++)
		if (w->visits[k] > EK_REPEAT_WARNING) {
			EK_TRY(add_unit(list, NULL, w, k));
			listed++;
		}
out:
	return rc;
}

static int add_arrays(cJSON *json, const struct ek_units *units, const double *each)
{
	cJSON *sizes, *visits, *names;
	int rc;

	if (units->names != NULL) {
		EK_TRY(ek_json_add_array(&names, json, "names"));
		for (uint32_t k = 0; k < units->k; k++)
			EK_TRY(ek_json_add_string(names, NULL, units->names[k]));
	}
	EK_TRY(ek_json_add_array(&sizes, json, "sizes"));
	EK_TRY(ek_json_add_array(&visits, json, "visits"));
	for (uint32_t k = 0; k < units->k; k++) {
		EK_TRY(ek_json_add_u64(sizes, NULL, units->sizes[k]));
		EK_TRY(ek_json_add_double(visits, NULL, each[k]));
	}
out:
	return rc;
}

/* Of a scheme of single images: what it does to the units that are told of. */
static int add_told(cJSON *json, const struct ek_weights *w)
{
	cJSON *told;
	int rc;

	if (w->told.k == 0)
		return 0;
	EK_TRY(w->options.worth > 0 ? ek_json_add_double(json, "worth", w->options.worth)
	                            : ek_json_add_null(json, "worth"));
	EK_TRY(ek_json_add_object(&told, json, "told"));
	EK_TRY(ek_json_add_string(told, "by", w->told.by));
	EK_TRY(ek_json_add_u64(told, "units", w->told.k));
	EK_TRY(add_arrays(told, &w->told, w->told_visits));
out:
	return rc;
}

static int add_skew(cJSON *json, const struct summary *s)
{
	static const enum ek_inequality_measure told[] = { EK_NORMALISED_ENTROPY, EK_HILL_1, EK_IMBALANCE_RATIO };
	static const char *const names[] = { "normalised_entropy", "effective_units", "imbalance_ratio" };
	cJSON *before, *after;
	int rc;

	EK_TRY(ek_json_add_object(&before, json, "skew_before"));
	EK_TRY(ek_json_add_object(&after, json, "skew_after"));
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		EK_TRY(ek_json_add_double(before, names[i], s->before.value[told[i]]));
		EK_TRY(ek_json_add_double(after, names[i], s->after.value[told[i]]));
	}
out:
	return rc;
}

static int add_units(cJSON *json, const struct ek_weights *w)
{
	const struct ek_units *units = w->told.k > 0 ? &w->told : &w->units;
	const double *visits = w->told.k > 0 ? w->told_visits : w->visits;
	double *shown = NULL;
	int rc;

	EK_TRY(ek_alloc(&shown, units->k, sizeof *shown));
	for (uint32_t k = 0; k < units->k; k++)
		shown[k] = (double)units->sizes[k] * visits[k];
	EK_TRY(ek_units_add(json, units, shown));
out:
	free(shown);
	return rc;
}

static int write_json(const char *path, const struct ek_weights *w, const struct summary *s)
{
	const struct ek_units *units = &w->units;
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(json, "name", w->options.name));
	EK_TRY(ek_json_add_string(json, "scheme", w->options.scheme));
	EK_TRY(ek_json_add_string(json, "by", units->by));
	EK_TRY(w->options.cap > 0 ? ek_json_add_double(json, "cap", w->options.cap) : ek_json_add_null(json, "cap"));
	EK_TRY(ek_json_add_u64(json, "images", units->n));
	EK_TRY(ek_json_add_u64(json, "in_units", units->total));
	EK_TRY(ek_json_add_u64(json, "held_out", units->held_out));
	EK_TRY(add_units(json, w));
	EK_TRY(ek_json_add_u64(json, "units", units->k));
	EK_TRY(ek_json_add_u64(json, "empty_units", s->empty));
	EK_TRY(ek_json_add_u64(json, "epoch", units->total));
	EK_TRY(ek_json_add_double(json, "effective_sample_size", s->effective));
	EK_TRY(ek_json_add_double(json, "effective_share", s->effective / (double)units->total));
	EK_TRY(add_unit(json, "largest_repeat", w, s->largest));
	EK_TRY(add_repeated(json, w, s));
	EK_TRY(add_skew(json, s));
	EK_TRY(add_told(json, w));
	EK_TRY(add_arrays(json, units, w->visits));
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	return rc;
}

static void warn_of_images(const struct ek_weights *w, const struct summary *s)
{
	uint64_t images = 0;

	for (uint32_t k = 0; k < w->units.k; k++)
		images += w->visits[k] > EK_REPEAT_WARNING ? w->units.sizes[k] : 0;
	ek_warn("%" PRIu64 " image%s shown more than %d times an epoch (up to %.1f times); a generator may copy them: "
	        "limit it with 'cap', and look at memorisation there",
	        images, images == 1 ? " is" : "s are", EK_REPEAT_WARNING, w->visits[s->largest]);
}

static void warn(const struct ek_weights *w, const struct summary *s)
{
	char number[16];

	if (s->repeated > 0 && w->told.k > 0)
		warn_of_images(w, s);
	else if (s->repeated > 0)
		ek_warn("%" PRIu32 " of %" PRIu32 " units %s images that are shown more than %d times an epoch (most: "
		        "%s, %" PRIu64
		        " image%s, %.1f times each); a generator may copy them: limit it with 'cap', and "
		        "look at memorisation there",
		        s->repeated, w->units.k, s->repeated == 1 ? "has" : "have", EK_REPEAT_WARNING,
		        ek_unit_name(number, &w->units, s->largest), w->units.sizes[s->largest],
		        ek_text_s(w->units.sizes[s->largest]), w->visits[s->largest]);
	if (s->empty > 0)
		ek_warn("%" PRIu32 " of %" PRIu32 " units %s no image and no share", s->empty, w->units.k,
		        s->empty == 1 ? "has" : "have");
}

static int write_files(const struct ek_weights *w, const char *folder, const struct summary *s)
{
	char *paths[FILES] = { NULL };
	int rc = 0;

	for (int i = 0; files[i] != NULL; i++)
		EK_TRY(ek_format(&paths[i], "%s/%s", folder, files[i]));
	EK_TRY(write_weights(paths[0], w));
	EK_TRY(write_members(paths[1], &w->units));
	EK_TRY(write_groups(paths[2], w));
	EK_TRY(write_json(paths[3], w, s));
out:
	for (int i = 0; i < FILES; i++)
		free(paths[i]);
	return rc;
}

static int publish_files(const struct ek_weights *w, const struct ek_run *run, const struct summary *s)
{
	struct ek_folder folder = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/weights/%s", ek_run_path(run), w->options.name));
	EK_TRY(ek_folder_open(&folder, path, files));
	EK_TRY(ek_folder_clear(&folder));
	EK_TRY(write_files(w, folder.fresh, s));
	EK_TRY(ek_folder_publish(&folder));
out:
	free(path);
	return ek_folder_release(&folder, rc);
}

static int make(void *context, struct ek_run *run, cJSON *counts)
{
	struct ek_weights *w = context;
	struct summary s;
	int rc;

	EK_TRY(note_groups(w, run));
	if (w->options.worth > 0 && !weighs_images(w))
		return ek_fail(EK_EUSAGE, "'ess' goes with a scheme that weighs each image by itself, or 'scheme' "
		                          "inverse 'by' group");
	EK_TRY(weighs_images(w) ? weigh_images(w, run) : weigh_units(w, run));
	if (w->options.cap > 0)
		EK_TRY(ek_scheme_cap(w->visits, w->units.sizes, w->units.k, w->options.cap));
	if (weighs_images(w))
		EK_TRY(tell(w, run));
	EK_TRY(summarise(&s, w));
	ek_progress_begin("weighting", "rows", 2 * w->units.n);
	rc = publish_files(w, run, &s);
	ek_progress_end();
	EK_TRY(rc);
	EK_TRY(ek_json_add_u64(counts, "images", w->units.total));
	EK_TRY(ek_json_add_u64(counts, "units", w->units.k));
	EK_TRY(ek_json_add_double(counts, "effective_sample_size", s.effective));
	warn(w, &s);
out:
	return rc;
}

int ek_weights_run(int *made, struct ek_weights *w, struct ek_run *run, int force)
{
	const struct ek_work work = { .step = &w->step, .doing = "weighting", .make = make, .context = w };

	return ek_run_bring_up(made, run, &work, force);
}
