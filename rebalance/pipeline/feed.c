#include "rebalance/pipeline/feed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/io/images.h"
#include "rebalance/plan/subset.h"
#include "rebalance/plan/weights.h"

enum { TRIES = 64, JUDGED_MOST = 2048 };

static struct ek_sampler *sampler_of(const struct ek_feed *feed)
{
	return feed->all != NULL ? feed->all : feed->source.sampler;
}

/* An image that is judged by is replaced by that of another position, found by chance but always the same. */
static int replace(struct ek_feed *feed, uint64_t position, int64_t *id)
{
	const uint64_t stream = ek_random_stream("feed"), length = feed->ids.epoch;
	int rc = 0;

	for (uint64_t try = 0; try < TRIES && feed->reserved[*id]; try++) {
		const uint64_t other = ek_random_below(feed->seed, stream, position * TRIES + try, length);

		EK_TRY(ek_sampler_draw(sampler_of(feed), position / length, other, 1, 1, id));
	}
	if (feed->reserved[*id])
		rc = ek_fail(EK_EDATA, "nearly all images that are to be trained on are held out");
out:
	return rc;
}

static int draw(void *context, uint64_t first, uint64_t count, int64_t *ids, float *weights)
{
	struct ek_feed *feed = context;
	const uint64_t length = feed->ids.epoch;
	int rc = 0;

	for (uint64_t i = 0, here; i < count; i += here) {
		const uint64_t place = (first + i) % length;

		here = length - place < count - i ? length - place : count - i;
		EK_TRY(ek_sampler_draw(sampler_of(feed), (first + i) / length, place, 1, here, ids + i));
	}
	for (uint64_t i = 0; i < count; i++) {
		if (feed->reserved[ids[i]])
			EK_TRY(replace(feed, first + i, &ids[i]));
		weights[i] =
			feed->loss_weights.data == NULL
				? 1
				: (float)(((const double *)feed->loss_weights.data)[ids[i]] * (double)feed->images);
	}
out:
	return rc;
}

/* 0 … 1, by the image's content. */
static double place_of(const struct ek_image_record *record)
{
	char digits[14] = { 0 };

	memcpy(digits, record->sha256, 13);
	return (double)strtoull(digits, NULL, 16) * 0x1p-52;
}

/* Images that the scan held out; if there are none, a share of all by content, as many as are worth the time. */
static int reserve(struct ek_feed *feed, const struct ek_run *run, double share)
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	uint64_t held = 0;
	int rc;

	EK_TRY(ek_images_open(&images, run));
	while ((rc = ek_images_next(images, &record)) > 0) {
		const int out = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(record.row, "held_out"));

		/* 1: held out by the scan; 2: may be judged by. */
		feed->reserved[record.id] = (uint8_t)(out ? 1 : place_of(&record) < share ? 2 : 0);
		held += (uint64_t)out;
		ek_image_record_release(&record);
	}
	EK_TRY(rc);
	EK_TRY(ek_alloc(&feed->held_out, JUDGED_MOST, sizeof *feed->held_out));
	for (uint64_t id = 0; id < feed->images; id++) {
		const int wanted = feed->reserved[id] == (held > 0 ? 1 : 2) && feed->held_out_count < JUDGED_MOST;

		if (wanted)
			feed->held_out[feed->held_out_count++] = (int64_t)id;
		feed->reserved[id] = (uint8_t)(wanted || feed->reserved[id] == 1);
	}
out:
	ek_image_record_release(&record);
	ek_images_close(images);
	return rc;
}

static int open_loss_weights(struct ek_feed *feed, struct ek_run *run, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_plan_check(run, EK_SOURCE_WEIGHTS, name));
	EK_TRY(ek_layout_path(&path, run, "weights/*/weights.npy", name));
	EK_TRY(ek_npy_open_as(&feed->loss_weights, path, EK_F64, 1, &feed->images));
out:
	free(path);
	return rc;
}

static int open_all(struct ek_feed *feed)
{
	static const double whole = 1;
	const struct ek_sampler_units units = { .count = 1, .sizes = &feed->images, .shares = &whole };

	return ek_sampler_new(&feed->all, &units, feed->images, feed->seed);
}

int ek_feed_open(struct ek_feed *feed, struct ek_run *run, const struct ek_feed_options *o)
{
	const enum ek_source_kind kind = o->subset != NULL ? EK_SOURCE_SUBSET : EK_SOURCE_WEIGHTS;
	const char *name = o->subset != NULL ? o->subset : o->weights;
	int rc;

	*feed = (struct ek_feed){ .seed = o->seed, .ids = { .context = feed, .draw = draw } };
	if (o->subset != NULL && o->weights != NULL)
		return ek_fail(EK_EUSAGE, "give either 'subset' or 'weights'");
	EK_TRY(ek_images_count(&feed->images, run));
	if (feed->images == 0) {
		rc = ek_fail(EK_EDATA, "%s has no images to train on", ek_run_path(run));
		goto out;
	}
	if (name != NULL) {
		EK_TRY(ek_plan_check(run, kind, name));
		EK_TRY(ek_source_open(&feed->source, ek_run_path(run), kind, name, o->seed));
	} else {
		EK_TRY(open_all(feed));
	}
	feed->ids.epoch = ek_sampler_length(sampler_of(feed));
	EK_TRY(ek_alloc(&feed->reserved, feed->images, 1));
	EK_TRY(reserve(feed, run, o->validate));
	if (o->loss_weights != NULL)
		EK_TRY(open_loss_weights(feed, run, o->loss_weights));
out:
	return rc;
}

void ek_feed_release(struct ek_feed *feed)
{
	ek_source_release(&feed->source);
	ek_sampler_free(feed->all);
	ek_npy_close(&feed->loss_weights);
	free(feed->reserved);
	free(feed->held_out);
}
