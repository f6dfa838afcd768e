#include "analysis/embed/pass.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/preprocess.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/images.h"
#include "train/nn/device.h"

static const double sync_seconds = 2;

/* A batch between its start and its turn to be written; batch b lives in slot b % slot_count. Threads load its images,
 * a part each, and the one that loads the last starts the model. A device that threads share has a room for each slot,
 * and computes while they go on; else the room is the thread's, and the features are the slot's. */
struct slot {
	struct ek_model_state *room;
	float *features; /* [batch, dimensions] */
	int left;        /* images that are not loaded yet */
	int started;
};

/* Some images of a batch. */
struct part {
	struct slot *slot;
	uint64_t batch;
	int first, count; /* of the batch */
};

/* What one thread works with, made by itself at its first part. */
struct worker {
	struct ek_model_state *room; /* or NULL: the slots have rooms */
	struct ek_image_loader *loader;
	struct ek_image_record *records; /* [part] */
	struct ek_buffer bytes;          /* of an image file */
};

struct work {
	const struct ek_pass *pass;
	struct worker *workers; /* [threads] */
	int threads;
	int shared; /* the device is shared by the threads */
	int part;   /* images of the parts that batches are loaded in */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t moved; /* a batch was started or written, or `stopped` was set */
	struct ek_images *images;
	struct slot *slots; /* [slot_count] */
	uint64_t slot_count;
	uint64_t next;    /* the image whose part is begun next */
	uint64_t written; /* batches */
	uint64_t rows;
	int writing;     /* a thread does: what `writer` and `halves` are for */
	int stopped;     /* a part failed: */
	uint64_t failed; /* its first image: of the first in their order, whichever was first in time */
	int code;
	char *message;

	struct ek_npy_writer *writer;
	double synced;    /* when, last */
	int syncing;      /* a thread does */
	uint16_t *halves; /* [batch, dimensions], for float16 storage */
};

static int count_of(const struct ek_pass *p, uint64_t batch)
{
	const uint64_t left = p->images - batch * (uint64_t)p->batch;

	return left < (uint64_t)p->batch ? (int)left : p->batch;
}

/* The GPU takes large batches, which all threads load together; a thread has batches of its own on the processor. */
static int part_of(const struct ek_pass *p, int shared)
{
	enum { PART = 8 };

	return shared && p->batch > PART ? PART : p->batch;
}

/* So many images from the start of a batch on make how many parts? */
static uint64_t parts_of(const struct work *k, uint64_t images)
{
	const uint64_t batch = (uint64_t)k->pass->batch, part = (uint64_t)k->part;

	return images / batch * ((batch + part - 1) / part) + (images % batch + part - 1) / part;
}

static int set_up(struct worker *w, const struct work *k)
{
	const struct ek_pass *p = k->pass;
	int rc = 0;

	if (w->room == NULL && !k->shared)
		EK_TRY(ek_model_room_new(&w->room, p->model));
	if (w->loader == NULL)
		EK_TRY(ek_image_loader_new(&w->loader, p->run));
	if (w->records == NULL)
		EK_TRY(ek_alloc(&w->records, (size_t)k->part, sizeof *w->records));
out:
	return rc;
}

static void release(struct worker *w, int part)
{
	for (int i = 0; w->records != NULL && i < part; i++)
		ek_image_record_release(&w->records[i]);
	free(w->records);
	ek_buffer_release(&w->bytes);
	ek_image_loader_free(w->loader);
	ek_model_state_free(w->room);
}

static int read_records(struct work *k, struct worker *w, int count)
{
	for (int i = 0; i < count; i++) {
		int rc;

		ek_image_record_release(&w->records[i]);
		if ((rc = ek_images_next(k->images, &w->records[i])) < 0)
			return rc;
		if (rc == 0)
			return ek_fail(EK_EDATA, "images.jsonl ends before its %llu images",
			               (unsigned long long)k->pass->images);
	}
	return 0;
}

static uint64_t batch_of(const struct work *k)
{
	return k->next / (uint64_t)k->pass->batch;
}

/* rows: of the array that are there. */
static int write_batch(struct work *k, uint64_t batch, uint64_t rows)
{
	const struct ek_pass *p = k->pass;
	const uint64_t first = batch * (uint64_t)p->batch, count = first + (uint64_t)count_of(p, batch) - rows;
	const size_t skip = (size_t)(rows - first) * p->dimensions, size = (size_t)count * p->dimensions;
	const struct slot *s = &k->slots[batch % k->slot_count];
	const float *features = s->features;
	int rc;

	if (k->shared)
		EK_TRY(ek_model_features(&features, s->room));
	for (size_t i = 0; i < size && p->storage == EK_F16; i++)
		k->halves[i] = ek_float_to_half(features[skip + i]);
	EK_TRY(p->storage == EK_F16 ? ek_npy_writer_append(k->writer, k->halves, count)
	                            : ek_npy_writer_append(k->writer, features + skip, count));
	ek_progress_add(count);
out:
	return rc;
}

static int is_due(const struct work *k)
{
	return !k->stopped && !k->writing && k->slots[k->written % k->slot_count].started;
}

/* Write the batches whose turn it is and that are computed; `waits`: the first of them in any case. The lock is held,
 * but not meanwhile. */
static int write_due(struct work *k, int waits)
{
	int rc = 0;

	while (is_due(k)) {
		struct slot *s = &k->slots[k->written % k->slot_count];
		const uint64_t rows = k->rows, batch = k->written;

		if (!waits && k->shared && !ek_model_is_done(s->room))
			break;
		waits = 0;
		k->writing = 1;
		(void)pthread_mutex_unlock(&k->lock);
		rc = write_batch(k, batch, rows);
		(void)pthread_mutex_lock(&k->lock);
		k->writing = 0;
		EK_TRY(rc);
		s->started = 0;
		k->rows = batch * (uint64_t)k->pass->batch + (uint64_t)count_of(k->pass, batch);
		k->written++;
		(void)pthread_cond_broadcast(&k->moved);
	}
out:
	return rc;
}

/* Take the next part and its lines of images.jsonl; 1, or 0 after a failure elsewhere. Waits until its batch's slot is
 * free, of those who do one for the device: what is due to be written has been loaded or is being loaded, so all go on.
 */
static int begin(struct work *k, struct worker *w, struct part *part)
{
	int left, rc = 0;

	(void)pthread_mutex_lock(&k->lock);
	EK_TRY(write_due(k, 0));
	while (!k->stopped && batch_of(k) >= k->written + k->slot_count)
		if (is_due(k))
			EK_TRY(write_due(k, 1));
		else
			(void)pthread_cond_wait(&k->moved, &k->lock);
	if (k->stopped) {
		rc = 0;
		goto out;
	}
	part->batch = batch_of(k);
	part->first = (int)(k->next % (uint64_t)k->pass->batch);
	part->slot = &k->slots[part->batch % k->slot_count];
	left = count_of(k->pass, part->batch) - part->first;
	part->count = left < k->part ? left : k->part;
	if (part->first == 0)
		part->slot->left = left;
	EK_TRY(read_records(k, w, part->count));
	k->next += (uint64_t)part->count;
	rc = 1;
out:
	(void)pthread_mutex_unlock(&k->lock);
	return rc;
}

/* 1: the batch is loaded, and this thread's to start. */
static int finish(struct work *k, const struct part *part)
{
	int last;

	(void)pthread_mutex_lock(&k->lock);
	part->slot->left -= part->count;
	last = part->slot->left == 0;
	(void)pthread_mutex_unlock(&k->lock);
	return last;
}

/* The file's name, unless the message has it. */
static int name_image(int rc, const struct ek_image_record *record)
{
	char *why = NULL;

	if (rc != EK_EDATA || strstr(ek_error_message(), record->file_name) != NULL ||
	    ek_copy_string(&why, ek_error_message()) < 0)
		return rc;
	(void)ek_fail(rc, "%s: %s; it was readable at the scan", record->file_name, why);
	free(why);
	return rc;
}

static int load(struct worker *w, const struct ek_pass *p, const struct part *part, int i)
{
	const struct ek_image_record *r = &w->records[i];
	void *out = ek_model_stage(w->room != NULL ? w->room : part->slot->room, part->first + i);
	struct ek_image image = { 0 };
	int rc;

	if (ek_image_bare_pixel(r->format) > 0) {
		EK_TRY(ek_image_loader_decode(w->loader, r, 0, &image));
		EK_TRY(ek_preprocess(out, &image, p->preprocessing));
	} else {
		/* The limit was the scan's; here only: no more than it saw. */
		EK_TRY(ek_image_loader_bytes(w->loader, r, &w->bytes));
		EK_TRY(ek_preprocess_encoded(out, w->bytes.data, w->bytes.size, (uint64_t)r->width * r->height,
		                             p->preprocessing));
	}
out:
	ek_image_release(&image);
	return rc < 0 ? name_image(rc, &w->records[i]) : 0;
}

/* One thread syncs what is written, now and then; the others go on. */
static int sync_rows(struct work *k)
{
	uint64_t rows = 0;
	int rc;

	(void)pthread_mutex_lock(&k->lock);
	if (!k->stopped && !k->syncing && ek_clock() - k->synced > sync_seconds) {
		k->syncing = 1;
		rows = k->rows;
	}
	(void)pthread_mutex_unlock(&k->lock);
	if (rows == 0)
		return 0;
	rc = ek_npy_writer_sync_rows(k->writer, rows);
	(void)pthread_mutex_lock(&k->lock);
	k->syncing = 0;
	k->synced = ek_clock();
	(void)pthread_mutex_unlock(&k->lock);
	return rc;
}

/* Of a batch that is loaded. */
static int run(struct work *k, struct worker *w, const struct part *part)
{
	const struct ek_pass *p = k->pass;
	const int count = count_of(p, part->batch);
	const float *features;
	int rc;

	if (k->shared) {
		EK_TRY(ek_model_start(part->slot->room, count));
	} else {
		EK_TRY(ek_model_start(w->room, count));
		EK_TRY(ek_model_features(&features, w->room));
		memcpy(part->slot->features, features, (size_t)count * p->dimensions * sizeof *features);
	}
	(void)pthread_mutex_lock(&k->lock);
	part->slot->started = 1;
	(void)pthread_cond_broadcast(&k->moved);
	rc = write_due(k, 0);
	(void)pthread_mutex_unlock(&k->lock);
	EK_TRY(rc);
	rc = sync_rows(k);
out:
	return rc;
}

/* All parts that come before one in their order have begun before it, and come to their own end. */
static void note_failure(struct work *k, uint64_t first, int code)
{
	(void)pthread_mutex_lock(&k->lock);
	if (!k->stopped || first < k->failed) {
		k->failed = first;
		k->code = code;
		free(k->message);
		(void)ek_copy_string(&k->message, ek_error_message());
	}
	k->stopped = 1;
	(void)pthread_cond_broadcast(&k->moved);
	(void)pthread_mutex_unlock(&k->lock);
}

/* The piece's number only counts: parts are handed out in order under the lock. */
static int embed_part(void *context, uint64_t piece, int number)
{
	struct work *k = context;
	struct worker *w = &k->workers[number];
	const struct ek_pass *p = k->pass;
	uint64_t first = UINT64_MAX; /* none yet */
	struct part part;
	int rc;

	(void)piece;
	EK_TRY(ek_check_interrupt());
	EK_TRY(set_up(w, k));
	EK_TRY(begin(k, w, &part));
	if (rc == 0)
		return 0;
	first = part.batch * (uint64_t)p->batch + (uint64_t)part.first;
	for (int i = 0; i < part.count; i++)
		EK_TRY(load(w, p, &part, i));
	if (!finish(k, &part))
		return 0;
	EK_TRY(run(k, w, &part));
out:
	if (rc < 0)
		note_failure(k, first, rc);
	return rc;
}

static int prepare(struct work *k, uint64_t rows_done)
{
	const struct ek_pass *p = k->pass;
	const size_t size = (size_t)p->batch * p->dimensions;
	int rc;

	k->written = rows_done / (uint64_t)p->batch;
	k->next = k->written * (uint64_t)p->batch;
	k->rows = rows_done;
	k->synced = ek_clock();
	EK_TRY(ek_images_open(&k->images, p->run));
	EK_TRY(ek_images_seek(k->images, k->next));
	EK_TRY(ek_alloc(&k->workers, (size_t)k->threads, sizeof *k->workers));
	EK_TRY(ek_alloc(&k->slots, k->slot_count, sizeof *k->slots));
	for (uint64_t i = 0; i < k->slot_count; i++)
		EK_TRY(k->shared ? ek_model_room_new(&k->slots[i].room, p->model)
		                 : ek_alloc(&k->slots[i].features, size, sizeof(float)));
	if (p->storage == EK_F16)
		EK_TRY(ek_alloc(&k->halves, size, sizeof *k->halves));
out:
	return rc;
}

/* What the device has not given back yet. */
static int write_rest(struct work *k)
{
	int rc = 0;

	(void)pthread_mutex_lock(&k->lock);
	while (rc == 0 && is_due(k))
		rc = write_due(k, 1);
	(void)pthread_mutex_unlock(&k->lock);
	if (rc < 0)
		note_failure(k, 0, rc);
	return rc;
}

/* After a failure: what was appended is there next time. */
static int keep_rows(const struct work *k)
{
	(void)ek_npy_writer_sync(k->writer);
	return ek_fail(k->code, "%s", k->message != NULL ? k->message : "no memory");
}

int ek_pass_run(const struct ek_pass *pass, struct ek_npy_writer *writer, uint64_t rows_done)
{
	const int threads = ek_threads(), shared = ek_device_takes_batches(), part = part_of(pass, shared);
	const int under_way = 1 + threads * part / pass->batch;
	struct work k = { .pass = pass,
		          .threads = threads,
		          .shared = shared,
		          .part = part,
		          .lock = PTHREAD_MUTEX_INITIALIZER,
		          .moved = PTHREAD_COND_INITIALIZER,
		          .slot_count = 2 * (uint64_t)under_way,
		          .writer = writer };
	int rc = 0;

	if (rows_done == pass->images)
		return 0;
	ek_progress_begin("embedding", "images", pass->images);
	ek_progress_add(rows_done);
	EK_TRY(prepare(&k, rows_done));
	if (ek_parallel(parts_of(&k, pass->images - k.next), embed_part, &k) < 0 || write_rest(&k) < 0)
		rc = keep_rows(&k);
out:
	ek_progress_end();
	for (int i = 0; k.workers != NULL && i < k.threads; i++)
		release(&k.workers[i], k.part);
	for (uint64_t i = 0; k.slots != NULL && i < k.slot_count; i++) {
		free(k.slots[i].features);
		ek_model_state_free(k.slots[i].room);
	}
	free(k.message);
	free(k.workers);
	free(k.slots);
	free(k.halves);
	ek_images_close(k.images);
	(void)pthread_mutex_destroy(&k.lock);
	(void)pthread_cond_destroy(&k.moved);
	return rc;
}
