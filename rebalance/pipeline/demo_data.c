#include "rebalance/pipeline/demo_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/io/idx.h"
#include "rebalance/io/image.h"
#include "rebalance/io/images.h"
#include "rebalance/io/layout.h"

#define SOURCE_FOLDER "/usr/share/datasets/fashion-mnist"
#define IMAGES "long-tailed-garments.idx"

enum { CLASSES = 10, SIDE = 28, LARGEST_CLASS = 6000, SMALLEST_CLASS = 60, DEMO_SEED = 1 };

static const char *const class_names[CLASSES] = { "T-shirt", "trousers", "pullover", "dress", "coat",
	                                          "sandal",  "shirt",    "sneaker",  "bag",   "ankle boot" };

struct source {
	uint8_t *labels;
	uint64_t count;
	uint64_t *place; /* [count] of the image in the shuffled order of its class */
};

static uint64_t class_size(int class)
{
	return (uint64_t)lround(LARGEST_CLASS *
	                        pow((double)SMALLEST_CLASS / LARGEST_CLASS, (double)class / (CLASSES - 1)));
}

static int read_labels(struct source *s)
{
	struct ek_idx *idx = NULL;
	int rc;

	EK_TRY(ek_idx_open(&idx, SOURCE_FOLDER "/train-labels-idx1-ubyte.gz", 1));
	EK_TRY(ek_alloc(&s->labels, ek_idx_info(idx)->count, 1));
	while ((rc = ek_idx_next(idx, &s->labels[s->count])) > 0) {
		if (s->labels[s->count] >= CLASSES) {
			rc = ek_fail(EK_EDATA, SOURCE_FOLDER ": label %u, expected 0 to 9", s->labels[s->count]);
			break;
		}
		s->count++;
	}
out:
	ek_idx_close(idx);
	return rc;
}

/* A random order within each class: Fisher and Yates on the list of its images. */
static int shuffle_classes(struct source *s)
{
	const uint64_t stream = ek_random_stream("demo");
	uint64_t *members = NULL;
	int rc;

	EK_TRY(ek_alloc(&s->place, s->count, sizeof *s->place));
	EK_TRY(ek_alloc(&members, s->count, sizeof *members));
	for (int class = 0; class < CLASSES; class ++) {
		uint64_t size = 0;

		for (uint64_t i = 0; i < s->count; i++)
			if (s->labels[i] == class)
				members[size++] = i;
		for (uint64_t left = size; left > 0; left--) {
			const uint64_t pick = ek_random_below(DEMO_SEED, stream, members[left - 1], left);
			const uint64_t image = members[pick];

			members[pick] = members[left - 1];
			s->place[image] = left - 1;
		}
	}
out:
	free(members);
	return rc;
}

static int is_kept(const struct source *s, uint64_t i)
{
	return s->place[i] < class_size(s->labels[i]);
}

static int write_images(const struct source *s, const char *path)
{
	struct ek_atomic_file file = { 0 };
	struct ek_idx *idx = NULL;
	uint8_t pixels[SIDE * SIDE], header[16] = { 0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, SIDE, 0, 0, 0, SIDE };
	uint32_t kept = 0;
	int rc;

	for (uint64_t i = 0; i < s->count; i++)
		kept += (uint32_t)is_kept(s, i);
	for (int i = 0; i < 4; i++)
		header[4 + i] = (uint8_t)(kept >> (24 - 8 * i));
	EK_TRY(ek_idx_open(&idx, SOURCE_FOLDER "/train-images-idx3-ubyte.gz", EK_MAX_PIXELS_DEFAULT));
	if (ek_idx_info(idx)->item_size != sizeof pixels || ek_idx_info(idx)->count != s->count) {
		rc = ek_fail(EK_EDATA, SOURCE_FOLDER ": images and labels do not belong together");
		goto out;
	}
	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, header, sizeof header));
	for (uint64_t i = 0; i < s->count; i++) {
		if ((rc = ek_idx_next(idx, pixels)) < 0)
			goto out;
		if (is_kept(s, i))
			EK_TRY(ek_atomic_write(&file, pixels, sizeof pixels));
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_idx_close(idx);
	ek_atomic_discard(&file);
	return rc;
}

/* The hidden classes, as an attribute file: nothing but the last table of the audit reads it. */
static int write_classes(const struct source *s, const char *path)
{
	struct ek_atomic_file file = { 0 };
	char line[64] = "file_name,garment\n";
	uint64_t kept = 0;
	int rc;

	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, line, strlen(line)));
	for (uint64_t i = 0; i < s->count; i++) {
		if (!is_kept(s, i))
			continue;
		(void)snprintf(line, sizeof line, IMAGES "/%06llu,%s\n", (unsigned long long)kept++,
		               class_names[s->labels[i]]);
		EK_TRY(ek_atomic_write(&file, line, strlen(line)));
	}
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_atomic_discard(&file);
	return rc;
}

static int make(const char *images, const char *classes)
{
	struct source s = { 0 };
	int rc;

	if (!ek_file_exists(SOURCE_FOLDER))
		return ek_fail(EK_EIO,
		               "the demo's photographs are not installed: apt-get install dataset-fashion-mnist");
	EK_TRY(read_labels(&s));
	EK_TRY(shuffle_classes(&s));
	EK_TRY(write_classes(&s, classes));
	EK_TRY(write_images(&s, images)); /* last: it says that both are there */
out:
	free(s.labels);
	free(s.place);
	return rc;
}

int ek_demo_data(char **images, char **classes, const struct ek_run *run)
{
	char *named = NULL, *folder = NULL;
	int rc;

	*images = *classes = NULL;
	EK_TRY(ek_layout_path(&named, run, "data", NULL));
	EK_TRY(ek_make_directories(named));
	/* Absolute, as options that are files are: run.json keeps it. */
	if ((folder = realpath(named, NULL)) == NULL) {
		rc = ek_fail_errno("cannot read %s", named);
		goto out;
	}
	EK_TRY(ek_format(images, "%s/" IMAGES, folder));
	EK_TRY(ek_format(classes, "%s/garments.csv", folder));
	if (!ek_file_exists(*images) || !ek_file_exists(*classes))
		EK_TRY(make(*images, *classes));
out:
	free(named);
	free(folder);
	return rc;
}

enum { LABELS_EACH = 10 };

/* Images in an order of the seed, until each class has its labels. */
static int write_labels(struct ek_buffer *text, const struct ek_column *column, uint64_t images, uint64_t seed)
{
	uint64_t *order = NULL, *given = NULL;
	int rc;

	EK_TRY(ek_alloc(&order, images, sizeof *order));
	EK_TRY(ek_alloc(&given, column->value_count, sizeof *given));
	for (uint64_t i = 0; i < images; i++) {
		const uint64_t j = ek_random_below(seed, ek_random_stream("demo labels"), i, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	EK_TRY(ek_buffer_text(text, "id,label\n"));
	for (uint64_t i = 0; i < images; i++) {
		const int32_t class = column->codes[order[i]];

		if (class >= 0 && given[class]++ < LABELS_EACH)
			EK_TRY(ek_buffer_printf(text, "%" PRIu64 ",%s\n", order[i], column->values[class]));
	}
out:
	free(order);
	free(given);
	return rc;
}

int ek_demo_labels(char **path, const struct ek_run *run, uint64_t seed)
{
	struct ek_columns columns = { 0 };
	const struct ek_column *garment;
	struct ek_buffer text = { 0 };
	int rc;

	*path = NULL;
	EK_TRY(ek_run_file(path, run, "data/ten-labels.csv"));
	EK_TRY(ek_columns_load(&columns, run));
	if ((garment = ek_column_find(&columns, "garment")) == NULL) {
		rc = ek_fail(EK_EDATA, "%s has no attribute garment", ek_run_path(run));
		goto out;
	}
	EK_TRY(write_labels(&text, garment, columns.images, seed));
	EK_TRY(ek_atomic_save(*path, text.data, text.size));
out:
	ek_buffer_release(&text);
	ek_columns_release(&columns);
	return rc;
}
