#include "rebalance/pipeline/label.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/components.h"
#include "analysis/cluster/teach.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/io/groups.h"
#include "rebalance/io/layout.h"
#include "rebalance/plan/deck.h"
#include "rebalance/pipeline/about.h"

/* So many images, taken at random, are looked at for the next sheet. */
static const uint64_t pool_most = 20000;

struct ek_label_pool {
	uint64_t images; /* of the run */
	size_t count, d;
	uint64_t *ids;          /* [count] rising */
	float *x;               /* [count, d] as ek_teach_prepare leaves them */
	uint32_t *typical;      /* [count] */
	int32_t *said;          /* [count] room */
	struct ek_groups words; /* groups of the run that words describe; count 0: none */
};

static void free_pool(struct ek_label_pool *p)
{
	if (p == NULL)
		return;
	free(p->ids);
	free(p->x);
	free(p->typical);
	free(p->said);
	ek_groups_release(&p->words);
	free(p);
}

/* The image at a place of the random order, which is that of this number of images: always the same. */
static uint64_t random_image(void *context, uint64_t place)
{
	const struct ek_label_pool *p = context;
	const uint64_t stream = ek_random_stream("label: random sample");
	const uint32_t key[2] = { (uint32_t)stream, (uint32_t)(stream >> 32) };
	struct ek_deck_batch batch;

	batch.size[0] = p->images;
	batch.place[0] = place;
	ek_deck_sides(&batch.high[0], &batch.low[0], p->images);
	for (int i = 0; i < 4; i++)
		batch.words[i][0] = 0;
	ek_deck_shuffle(&batch, 1, key);
	return batch.place[0];
}

static void fill_said(struct ek_label_pool *p, const struct ek_label_log *log)
{
	for (size_t i = 0; i < p->count; i++)
		p->said[i] = EK_TEACH_OPEN;
	for (size_t i = 0; i < log->label_count; i++) {
		const uint64_t *at = bsearch(&log->labels[i].image, p->ids, p->count, sizeof *p->ids, ek_compare_u64);

		if (at != NULL)
			p->said[at - p->ids] = log->labels[i].group >= 0 ? log->labels[i].group : EK_TEACH_LEFT;
	}
}

/* Before labels tell: the group that words take the image for, if it is one of the log's. */
static void propose_by_words(struct ek_label_proposal *one, const struct ek_label_pool *p,
                             const struct ek_label_log *log)
{
	const int32_t word = p->words.count > 0 ? ek_groups_likeliest(&p->words, one->image) : EK_GROUPS_NONE;

	if (one->group >= 0 || word < 0)
		return;
	one->group = ek_label_log_group(log, p->words.names[word]);
	one->sure = one->group >= 0 ? (double)p->words.q[one->image * p->words.count + (uint32_t)word] : 0;
}

static int propose(void *context, const struct ek_label_log *log, struct ek_label_proposal *out, size_t most,
                   size_t *count)
{
	struct ek_label_pool *p = context;
	struct ek_teach_pick *picks = NULL;
	int rc;

	EK_TRY(ek_alloc(&picks, most, sizeof *picks));
	fill_said(p, log);
	EK_TRY(ek_teach(picks, most, count, p->x, p->count, p->d, p->said, log->group_count, p->typical));
	for (size_t i = 0; i < *count; i++) {
		out[i] = (struct ek_label_proposal){ p->ids[picks[i].row], picks[i].group, picks[i].sure };
		propose_by_words(&out[i], p, log);
	}
out:
	free(picks);
	return rc;
}

/* What was passed over in search of the group; while it has no label, also in search of others that have
 * none: who looks for two groups that nobody has met is not shown the same images twice. */
static void fill_passed(uint8_t *passed, const struct ek_label_pool *p, const struct ek_label_log *log, int32_t group)
{
	for (size_t i = 0; i < log->not_count; i++) {
		const uint64_t *at = bsearch(&log->nots[i].image, p->ids, p->count, sizeof *p->ids, ek_compare_u64);
		const int32_t other = log->nots[i].group;

		if (at != NULL && (other == group || (log->sizes[group] == 0 && log->sizes[other] == 0)))
			passed[at - p->ids] = 1;
	}
}

static int search(void *context, const struct ek_label_log *log, int32_t group, struct ek_label_proposal *out,
                  size_t most, size_t *count)
{
	struct ek_label_pool *p = context;
	struct ek_teach_pick *picks = NULL;
	uint8_t *passed = NULL;
	int rc;

	EK_TRY(ek_alloc(&picks, most, sizeof *picks));
	EK_TRY(ek_alloc(&passed, p->count, sizeof *passed));
	fill_said(p, log);
	fill_passed(passed, p, log, group);
	EK_TRY(ek_teach_search(picks, most, count, p->x, p->count, p->d, p->said, log->group_count, (size_t)group,
	                       passed));
	for (size_t i = 0; i < *count; i++)
		out[i] = (struct ek_label_proposal){ p->ids[picks[i].row], picks[i].group, picks[i].sure };
out:
	free(picks);
	free(passed);
	return rc;
}

static int order_typical(struct ek_label_pool *p, const struct ek_run *run)
{
	const uint64_t n = p->images;
	struct ek_npy cluster = { 0 }, distance = { 0 };
	int32_t *clusters = NULL;
	float *distances = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_layout_path(&path, run, "clusters/assignment.npy", NULL));
	EK_TRY(ek_npy_open_as(&cluster, path, EK_I32, 1, &n));
	free(path);
	path = NULL;
	EK_TRY(ek_layout_path(&path, run, "clusters/distance.npy", NULL));
	EK_TRY(ek_npy_open_as(&distance, path, EK_F32, 1, &n));
	EK_TRY(ek_alloc(&clusters, p->count, sizeof *clusters));
	EK_TRY(ek_alloc(&distances, p->count, sizeof *distances));
	for (size_t i = 0; i < p->count; i++) {
		clusters[i] = ((const int32_t *)cluster.data)[p->ids[i]];
		distances[i] = ((const float *)distance.data)[p->ids[i]];
	}
	EK_TRY(ek_teach_typical(p->typical, clusters, distances, p->count));
out:
	ek_npy_close(&cluster);
	ek_npy_close(&distance);
	free(clusters);
	free(distances);
	free(path);
	return rc;
}

/* `*z` [count, *k] the first noise-whitened components of the rows [count, d], which tell groups apart better than the
 * embeddings do, where the run has them; else NULL. */
static int find_components(float **z, size_t *k, struct ek_run *run, const float *x, size_t count, size_t d)
{
	static const size_t most = 128;
	const struct ek_npy array = ek_rows_memory(x, count, d);
	struct ek_components c = { 0 };
	const char *reason;
	struct ek_rows rows;
	char *path = NULL;
	int rc, unchanged = 0;

	*z = NULL;
	EK_TRY(ek_layout_path(&path, run, "components/components.json", NULL));
	if (ek_file_exists(path))
		EK_TRY(ek_run_is_unchanged(&unchanged, &reason, run, "components", 1));
	if (!unchanged)
		goto out;
	EK_TRY(ek_components_load(&c, run));
	if (!c.by_noise || c.d != d)
		goto out;
	*k = c.k < most ? c.k : most;
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_alloc(z, count * *k, sizeof **z));
	EK_TRY(ek_components_project(*z, &c, &rows, *k));
out:
	ek_components_release(&c);
	free(path);
	return rc;
}

/* What tells rows apart. */
static int fill_rows(struct ek_label_pool *p, struct ek_run *run, const struct ek_rows *rows)
{
	float *z = NULL;
	size_t k = 0;
	int rc;

	p->d = rows->dimensions;
	EK_TRY(ek_alloc(&p->x, p->count * p->d, sizeof *p->x));
	for (size_t i = 0; i < p->count; i++)
		ek_rows_read(p->x + i * p->d, rows, p->ids[i]);
	EK_TRY(find_components(&z, &k, run, p->x, p->count, p->d));
	if (z != NULL) {
		free(p->x);
		p->x = z;
		p->d = k;
	}
	ek_teach_prepare(p->x, p->count, p->d);
out:
	return rc;
}

static int make_pool(struct ek_label_pool **out, struct ek_run *run, uint64_t images)
{
	struct ek_npy embeddings = { 0 };
	struct ek_label_pool *p;
	struct ek_rows rows;
	char *path = NULL;
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	p = *out;
	EK_TRY(ek_layout_path(&path, run, "embeddings.npy", NULL));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "%s is not there: evenkeel cluster %s makes it", path, ek_run_path(run));
		goto out;
	}
	EK_TRY(ek_npy_open(&embeddings, path));
	EK_TRY(ek_rows_of(&rows, &embeddings, 0));
	if (rows.count != images) {
		rc = ek_fail(EK_EDATA, "%s has %" PRIu64 " rows, the run %" PRIu64 " images", path, rows.count, images);
		goto out;
	}
	p->images = images;
	p->count = (size_t)(images < pool_most ? images : pool_most);
	EK_TRY(ek_alloc(&p->ids, p->count, sizeof *p->ids));
	EK_TRY(ek_alloc(&p->typical, p->count, sizeof *p->typical));
	EK_TRY(ek_alloc(&p->said, p->count, sizeof *p->said));
	ek_rows_sample(p->ids, p->count, images, 0, ek_random_stream("label: pool"));
	EK_TRY(fill_rows(p, run, &rows));
	EK_TRY(order_typical(p, run));
out:
	ek_npy_close(&embeddings);
	free(path);
	return rc;
}

static int load_words(struct ek_label_pool *p, const struct ek_run *run)
{
	const int rc = ek_groups_load(&p->words, run);

	if (rc == 0 && (!p->words.by_words || p->words.images != p->images))
		ek_groups_release(&p->words);
	return rc;
}

/* Groups that are there from the start. */
static int add_groups(struct ek_label_file *file, const char *names, uint32_t person)
{
	char *copy = NULL, *rest, *name, *last = NULL;
	int rc;

	EK_TRY(ek_copy_string(&copy, names));
	for (rest = copy; (name = strsep(&rest, ",")) != NULL;) {
		EK_TRY(ek_journal_check_name(name, EK_LABEL_NAME_MAX, "a group"));
		last = name + strlen(name);
	}
	for (name = copy; name <= last; name += strlen(name) + 1) {
		const struct ek_label_act act = { .group = name, .person = person };

		if (ek_label_log_group(&file->log, name) < 0)
			EK_TRY(ek_label_file_add(file, &act));
	}
out:
	free(copy);
	return rc;
}

static int serve(struct ek_run *run, const struct ek_do_label_options *o, ek_page_announce announce, void *context)
{
	struct ek_label_file file = { .journal = EK_JOURNAL_NONE };
	struct ek_real_images images = { 0 };
	struct ek_label_pool *pool = NULL;
	struct ek_label_teacher teacher = { .propose = propose, .search = search, .random = random_image };
	struct ek_label_page page = {
		.file = &file, .images = &images, .teacher = &teacher, .name = o->name, .person = o->person
	};
	struct ek_server_options options = { .port = (uint16_t)o->port, .routes = ek_label_routes, .context = &page };
	uint32_t person;
	int rc;

	if (o->groups != NULL && o->person == NULL)
		return ek_fail(EK_EUSAGE, "groups need somebody who names them: say who with 'person'");
	EK_TRY(ek_real_images_open(&images, run));
	EK_TRY(make_pool(&pool, run, images.count));
	EK_TRY(load_words(pool, run));
	teacher.context = pool;
	page.offered = (const char *const *)pool->words.names;
	EK_TRY(ek_label_file_open(&file, run, o->name));
	if (o->person != NULL)
		EK_TRY(ek_label_log_person(&person, &file.log, o->person));
	if (o->groups != NULL)
		EK_TRY(add_groups(&file, o->groups, person));
	EK_TRY(ek_serve(&options, file.journal.path, images.count, announce, context));
	ek_info("%zu image%s labelled, in %s", file.log.label_count, file.log.label_count == 1 ? "" : "s",
	        file.journal.path);
out:
	ek_label_file_release(&file);
	ek_real_images_release(&images);
	free_pool(pool);
	return rc;
}

static int load(struct ek_label_log *log, const struct ek_run *run, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_label_file_path(&path, run, name));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "%s is not there: evenkeel label %s makes it", path, ek_run_path(run));
		goto out;
	}
	EK_TRY(ek_label_log_load(log, path));
out:
	free(path);
	return rc;
}

/* A field of a CSV, in quotes, those inside doubled. */
static int write_field(struct ek_atomic_file *file, const char *text)
{
	int rc;

	EK_TRY(ek_atomic_write(file, "\"", 1));
	for (; *text != 0; text++)
		EK_TRY(ek_atomic_write(file, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1));
	EK_TRY(ek_atomic_write(file, "\"", 1));
out:
	return rc;
}

/* Which labels are those of the random sample, from its start without a gap: `*out` [label_count]. */
static int mark_random(uint8_t **out, const struct ek_run *run, const struct ek_label_log *log)
{
	struct ek_label_pool pool = { 0 };
	const struct ek_label_teacher teacher = { .context = &pool, .random = random_image };
	uint64_t done;
	int rc;

	EK_TRY(ek_images_count(&pool.images, run));
	EK_TRY(ek_alloc(out, log->label_count, sizeof **out));
	done = ek_label_random_done(log, &teacher, pool.images);
	for (uint64_t i = 0; i < done; i++)
		(*out)[ek_label_log_find(log, random_image(&pool, i)) - log->labels] = 1;
out:
	return rc;
}

static int export(uint64_t *images, const struct ek_run *run, const struct ek_label_log *log, const char *path)
{
	static const char head[] = "file_name,label,random\n";
	struct ek_atomic_file file = { 0 };
	struct ek_image_record row = { 0 };
	struct ek_images *rows = NULL;
	uint8_t *random = NULL; /* [label_count] of the random sample */
	int rc;

	*images = 0;
	if (log->label_count == log->none + log->disputed)
		return ek_fail(EK_EUSAGE, "no image has a label yet");
	EK_TRY(ek_about_check_output(path));
	EK_TRY(mark_random(&random, run, log));
	EK_TRY(ek_images_open(&rows, run));
	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, head, sizeof head - 1));
	for (size_t i = 0; i < log->label_count; i++) {
		const struct ek_label *label = &log->labels[i];

		if (label->group < 0)
			continue;
		EK_TRY(ek_images_seek(rows, label->image));
		EK_TRY(ek_images_next(rows, &row));
		EK_TRY(write_field(&file, row.file_name));
		EK_TRY(ek_atomic_write(&file, ",", 1));
		EK_TRY(write_field(&file, log->groups[label->group]));
		EK_TRY(ek_atomic_write(&file, random[i] ? ",1\n" : ",0\n", 3));
		ek_image_record_release(&row);
		row = (struct ek_image_record){ 0 };
		++*images;
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	free(random);
	ek_atomic_discard(&file);
	ek_image_record_release(&row);
	ek_images_close(rows);
	return rc;
}

int ek_do_label(struct ek_labelled *out, struct ek_run *run, const struct ek_do_label_options *o,
                ek_page_announce announce, void *context)
{
	int rc;

	*out = (struct ek_labelled){ 0 };
	if (!o->summary && o->export == NULL)
		return serve(run, o, announce, context);
	EK_TRY(load(&out->log, run, o->name));
	if (o->export != NULL)
		EK_TRY(export(&out->exported, run, &out->log, o->export));
out:
	return rc;
}

int ek_labelled_json(cJSON **out, const struct ek_labelled *l)
{
	const struct ek_label_log *log = &l->log;
	cJSON *groups, *group;
	int rc;

	*out = cJSON_CreateObject();
	EK_TRY(ek_json_add_u64(*out, "labelled", log->label_count));
	EK_TRY(ek_json_add_u64(*out, "people", log->person_count));
	EK_TRY(ek_json_add_array(&groups, *out, "groups"));
	for (size_t i = 0; i < log->group_count; i++) {
		EK_TRY(ek_json_add_object(&group, groups, NULL));
		EK_TRY(ek_json_add_string(group, "name", log->groups[i]));
		EK_TRY(ek_json_add_u64(group, "labels", log->sizes[i]));
	}
	EK_TRY(ek_json_add_u64(*out, "none", log->none));
	EK_TRY(ek_json_add_u64(*out, "disputed", log->disputed));
out:
	return rc;
}

void ek_labelled_release(struct ek_labelled *l)
{
	ek_label_log_release(&l->log);
}
