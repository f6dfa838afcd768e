#include "reports/review.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/text.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/jsonl.h"
#include "reports/review_internal.h"

static const size_t image_limit = (size_t)64 << 20;

enum { ASSIGNMENT, COPIED, NEIGHBOURS, DISTANCES, GROUPS };

static int read_sample(struct ek_review *r, const cJSON *row, const char *where)
{
	const cJSON *member;
	uint64_t id, seed;
	int rc;

	EK_TRY(ek_json_get_u64(&id, row, "id", where));
	EK_TRY(ek_json_get_u64(&seed, row, "seed", where));
	if (id != r->count || id >= EK_REVIEW_SAMPLES_MAX)
		return ek_fail(EK_EDATA, "%s: line %" PRIu64 " has id %" PRIu64, where, r->count + 1, id);
	if ((r->count & (r->count - 1)) == 0) {
		const size_t room = r->count == 0 ? 1 : 2 * (size_t)r->count;

		EK_TRY(ek_resize(&r->seeds, room, sizeof *r->seeds));
		EK_TRY(ek_resize(&r->made_for, room, sizeof *r->made_for));
	}
	r->seeds[r->count] = seed;
	r->made_for[r->count++] = NULL;
	/* Beside these there is the class, by the name of the condition. */
	cJSON_ArrayForEach(member, row)
	{
		if (strcmp(member->string, "id") != 0 && strcmp(member->string, "file_name") != 0 &&
		    strcmp(member->string, "seed") != 0 && cJSON_IsString(member) && r->made_for[id] == NULL)
			EK_TRY(ek_format(&r->made_for[id], "%s %s", member->string, member->valuestring));
	}
out:
	return rc;
}

static int read_samples(struct ek_review *r)
{
	struct ek_jsonl lines = { 0 };
	cJSON *row = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/samples.jsonl", r->folder));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "%s is not there: RUN/samples has no finished samples %s", path, r->name);
		goto out;
	}
	EK_TRY(ek_jsonl_open(&lines, path));
	while ((rc = ek_jsonl_next(&lines, &row)) == 1) {
		EK_TRY(read_sample(r, row, path));
		cJSON_Delete(row);
		row = NULL;
	}
	EK_TRY(rc);
	if (r->count == 0)
		rc = ek_fail(EK_EDATA, "%s is empty", path);
out:
	cJSON_Delete(row);
	ek_jsonl_close(&lines);
	free(path);
	return rc;
}

static int open_array(struct ek_npy *array, const struct ek_review *r, const char *name, enum ek_dtype type,
                      int dimensions, uint64_t columns)
{
	const uint64_t shape[2] = { r->count, columns };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/%s", r->folder, name));
	EK_TRY(ek_npy_open_as(array, path, type, dimensions, shape));
out:
	free(path);
	return rc;
}

static int open_arrays(struct ek_review *r)
{
	int rc;

	EK_TRY(open_array(&r->arrays[ASSIGNMENT], r, "assignment.npy", EK_I32, 1, 0));
	EK_TRY(open_array(&r->arrays[COPIED], r, "copied.npy", EK_U8, 1, 0));
	EK_TRY(open_array(&r->arrays[NEIGHBOURS], r, "neighbours.npy", EK_I64, 2, UINT64_MAX));
	r->neighbours = (size_t)r->arrays[NEIGHBOURS].shape[1];
	EK_TRY(open_array(&r->arrays[DISTANCES], r, "neighbour_distances.npy", EK_F32, 2, r->neighbours));
	r->cluster = r->arrays[ASSIGNMENT].data;
	r->copied = r->arrays[COPIED].data;
	r->nearest = r->arrays[NEIGHBOURS].data;
	r->distance = r->arrays[DISTANCES].data;
out:
	return rc;
}

/* Which named group each is of. An array of other groups than the run has now tells nothing. */
static int open_groups(struct ek_review *r)
{
	struct ek_npy *array = &r->arrays[GROUPS];
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/groups.npy", r->folder));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_groups_load(&r->groups, r->run));
	EK_TRY(ek_npy_open_as(array, path, EK_F32, 2, (const uint64_t[]){ r->count, UINT64_MAX }));
	if (r->groups.named && array->shape[1] == r->groups.count)
		r->of_group = array->data;
out:
	free(path);
	return rc;
}

static int name_clusters(struct ek_review *r, const cJSON *lists)
{
	const cJSON *list = lists != NULL ? lists->child : NULL;
	char text[256];
	int rc = 0;

	for (size_t i = 0; i < r->cluster_count && list != NULL; i++, list = list->next)
		if (ek_text_mostly(text, list, "mostly ", "")[0] != 0)
			EK_TRY(ek_copy_string(&r->clusters[i].mostly, text));
out:
	return rc;
}

static int fill_clusters(struct ek_review *r, const cJSON *audit, const char *where)
{
	const cJSON *clusters = ek_json_member(audit, "clusters");
	const cJSON *skew = ek_json_member(audit, "skew");
	const cJSON *sizes = ek_json_member(clusters, "sizes"), *one;
	double all = 0;
	size_t i = 0;
	int rc;

	if (!cJSON_IsArray(sizes) || sizes->child == NULL)
		return ek_fail(EK_EDATA, "%s: there are no sizes of clusters", where);
	r->cluster_count = (size_t)cJSON_GetArraySize(sizes);
	EK_TRY(ek_alloc(&r->clusters, r->cluster_count, sizeof *r->clusters));
	cJSON_ArrayForEach(one, sizes)
	{
		if (!cJSON_IsNumber(one) || !(one->valuedouble >= 0 && one->valuedouble < 0x1p53))
			return ek_fail(EK_EDATA, "%s: the size of cluster %zu is no number", where, i);
		all += one->valuedouble;
		r->clusters[i++].size = (uint64_t)one->valuedouble;
	}
	EK_TRY(name_clusters(r, ek_json_member(clusters, "mostly")));
	for (i = 0; i < r->cluster_count; i++)
		r->clusters[i].share = all > 0 ? (double)r->clusters[i].size / all : 0;
	cJSON_ArrayForEach(one, ek_json_member(skew, "tail_clusters")) if (cJSON_IsNumber(one) &&
	                                                                   one->valuedouble >= 0 &&
	                                                                   one->valuedouble < (double)r->cluster_count)
		r->clusters[(size_t)one->valuedouble]
			.is_tail = 1;
	for (uint64_t s = 0; s < r->count; s++) {
		const int32_t c = r->cluster[s];

		if (c < 0 || (size_t)c >= r->cluster_count)
			return ek_fail(EK_EDATA,
			               "%s/assignment.npy: image %" PRIu64 " is in cluster %" PRId32
			               ", %s has %zu clusters",
			               r->folder, s, c, where, r->cluster_count);
		r->clusters[c].images++;
	}
out:
	return rc;
}

static int read_audit(struct ek_review *r)
{
	cJSON *audit = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, r->run, "audit.json"));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "%s is not there: evenkeel audit %s makes it", path, ek_run_path(r->run));
		goto out;
	}
	EK_TRY(ek_json_load(&audit, path));
	EK_TRY(fill_clusters(r, audit, path));
out:
	cJSON_Delete(audit);
	free(path);
	return rc;
}

struct place {
	const struct ek_review_cluster *cluster;
	uint32_t sample;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->cluster->is_tail != y->cluster->is_tail)
		return x->cluster->is_tail ? -1 : 1;
	if (x->cluster->size != y->cluster->size)
		return x->cluster->size < y->cluster->size ? -1 : 1;
	if (x->cluster != y->cluster)
		return x->cluster < y->cluster ? -1 : 1;
	return x->sample < y->sample ? -1 : 1;
}

static int make_queue(struct ek_review *r)
{
	const size_t count = (size_t)r->count;
	struct place *places = NULL;
	int rc;

	EK_TRY(ek_alloc(&places, count, sizeof *places));
	EK_TRY(ek_alloc(&r->queue, count, sizeof *r->queue));
	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){ &r->clusters[r->cluster[i]], (uint32_t)i };
	qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 0; i < count; i++)
		r->queue[i] = places[i].sample;
out:
	free(places);
	return rc;
}

/* The folder itself is locked, so that a new one in its place is free. Where there are no locks, nobody is kept out:
 * the hash that comes with a decision tells. */
static int hold(int *fd, const char *folder, int how)
{
	if ((*fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return errno == ENOENT ? 0 : ek_fail_errno("cannot open %s", folder);
	if (flock(*fd, how | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return EK_EUSAGE;
	return 0;
}

int ek_review_keep_out(int *fd, const char *folder)
{
	const int rc = hold(fd, folder, LOCK_EX);

	if (rc == 0)
		return 0;
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	return rc == EK_EUSAGE ? ek_fail(EK_EUSAGE, "%s is being reviewed; end the review, then make it anew", folder)
	                       : rc;
}

int ek_review_open(struct ek_review *r, const struct ek_run *run, const char *name)
{
	int rc;

	*r = (struct ek_review){ .run = run, .held = -1 };
	if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL)
		return ek_fail(EK_EUSAGE, "\"%s\" is no name of samples: they are folders in RUN/samples", name);
	EK_TRY(ek_copy_string(&r->name, name));
	EK_TRY(ek_format(&r->folder, "%s/samples/%s", ek_run_path(run), name));
	if ((rc = hold(&r->held, r->folder, LOCK_SH)) == EK_EUSAGE)
		rc = ek_fail(EK_EUSAGE, "%s is being made anew; review it when that is done", r->folder);
	EK_TRY(rc);
	EK_TRY(read_samples(r));
	EK_TRY(ek_real_images_open(&r->real, run));
	EK_TRY(open_arrays(r));
	EK_TRY(open_groups(r));
	EK_TRY(read_audit(r));
	EK_TRY(make_queue(r));
	EK_TRY(ek_alloc(&r->given, r->count, sizeof *r->given));
out:
	return rc;
}

void ek_review_release(struct ek_review *r)
{
	for (size_t i = 0; i < sizeof r->arrays / sizeof *r->arrays; i++)
		ek_npy_close(&r->arrays[i]);
	for (uint64_t i = 0; i < r->count; i++)
		free(r->made_for != NULL ? r->made_for[i] : NULL);
	if (r->held >= 0)
		(void)close(r->held);
	ek_real_images_release(&r->real);
	ek_groups_release(&r->groups);
	free(r->made_for);
	free(r->given);
	free(r->seeds);
	free(r->queue);
	for (size_t i = 0; r->clusters != NULL && i < r->cluster_count; i++)
		free(r->clusters[i].mostly);
	free(r->clusters);
	free(r->folder);
	free(r->name);
	ek_review_labels_free(r->labels);
	*r = (struct ek_review){ .held = -1 };
}

int64_t ek_review_index(const struct ek_review *r, uint64_t sample)
{
	return r->labels != NULL ? ek_review_labels_index(r, sample) : sample < r->count ? (int64_t)sample : -1;
}

int32_t ek_review_unit(const struct ek_review *r, uint64_t place)
{
	return r->labels != NULL ? (int32_t)r->labels->doubts[place].given : r->cluster[r->queue[place]];
}

void ek_review_outcomes(uint64_t counts[EK_REVIEW_OUTCOMES], const struct ek_review *r, const struct ek_review_log *log)
{
	memset(counts, 0, EK_REVIEW_OUTCOMES * sizeof *counts);
	for (uint64_t i = 0; i < r->count; i++)
		counts[ek_review_log_outcome(log, r->queue[i])]++;
}

int ek_review_image(struct ek_buffer *bytes, char sha256[65], struct ek_review *r, uint64_t sample)
{
	uint8_t digest[EK_SHA256_SIZE];
	char *path = NULL;
	int rc;

	if (r->labels != NULL)
		return ek_review_labels_image(bytes, sha256, r, sample);

	if (sample >= r->count)
		return ek_fail(EK_EUSAGE, "there is no sample %" PRIu64, sample);
	ek_buffer_clear(bytes);
	/* The name is made of the number alone, whatever samples.jsonl says. */
	EK_TRY(ek_format(&path, "%s/images/%06" PRIu64 ".png", r->folder, sample));
	EK_TRY(ek_file_read(bytes, path, image_limit));
	if (ek_image_sniff(bytes->data, bytes->size) != EK_IMAGE_PNG) {
		rc = ek_fail(EK_EDATA, "%s is no PNG", path);
		goto out;
	}
	if (sha256 != NULL) {
		EK_TRY(ek_sha256(digest, bytes->data, bytes->size));
		ek_hex(sha256, digest, sizeof digest);
	}
out:
	free(path);
	return rc;
}

int ek_review_give(struct ek_buffer *bytes, int *is_other, struct ek_review *r, uint64_t sample, const char *sha256)
{
	char now[65];
	int rc;

	*is_other = 0;
	EK_TRY(ek_review_image(bytes, now, r, sample));
	*is_other = *sha256 != 0 && strcmp(now, sha256) != 0;
	if (*is_other && r->labels != NULL)
		return ek_fail(EK_EUSAGE,
		               "Image %" PRIu64 " is another one than was shown: the data set has been scanned "
		               "again since. End the review and start it again.",
		               sample);
	if (*is_other)
		return ek_fail(
			EK_EUSAGE,
			"Sample %" PRIu64 " has been made anew since it was shown; now it is like this. Its "
			"cluster and its nearest real images are still those of the image before: end the review "
			"and start it again.",
			sample);
	memcpy(r->given[ek_review_index(r, sample)], now, sizeof now);
out:
	return rc;
}

/* Is the decision on the image that is there? */
static int find_fresh(int *is, const struct ek_review_entry *entry, struct ek_review *r, struct ek_buffer *bytes)
{
	char sha256[65];
	int rc = 0;

	if (r->labels != NULL)
		return ek_review_labels_fresh(is, entry, r);
	*is = entry->sample < r->count;
	if (*is) {
		EK_TRY(ek_review_image(bytes, sha256, r, entry->sample));
		*is = entry->sha256[0] == 0 || strcmp(entry->sha256, sha256) == 0;
	}
out:
	return rc;
}

int ek_review_void_stale(struct ek_review_log *log, struct ek_review *r)
{
	struct ek_buffer bytes = { 0 };
	uint64_t stale = 0;
	int rc = 0, fresh;

	for (size_t i = 0; i < log->entry_count; i++) {
		const struct ek_review_entry *entry = &log->entries[i];

		if (ek_review_log_standing(log, entry->sample, entry->reviewer) != entry)
			continue;
		EK_TRY(find_fresh(&fresh, entry, r, &bytes));
		if (!fresh) {
			ek_review_log_void(log, entry);
			stale++;
		}
	}
	if (stale > 0 && r->labels != NULL)
		ek_warn("%" PRIu64 " decision%s; %s not count", stale,
		        stale == 1 ? " is on an image that is another, or has another label, by now"
		                   : "s are on images that are others, or have other labels, by now",
		        stale == 1 ? "it does" : "they do");
	else if (stale > 0)
		ek_warn("%" PRIu64 " decision%s made anew since; %s not count", stale,
		        stale == 1 ? " is on an image that has been" : "s are on images that have been",
		        stale == 1 ? "it does" : "they do");
out:
	ek_buffer_release(&bytes);
	return rc;
}
