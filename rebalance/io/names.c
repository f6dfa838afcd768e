#include "rebalance/io/names.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"

enum { WINDOW = 1 << 16 };

/* A name in memory and in a run: two bytes of length, then the bytes and a NUL. */
struct run {
	uint64_t at, end; /* in the file: what is not in the window yet */
	struct ek_buffer window;
	size_t used;
};

struct ek_names {
	size_t memory;
	struct ek_buffer text;
	size_t *starts, count, capacity; /* of the names in `text` */
	size_t next;                     /* of `starts`, when all is in memory */
	int fd;
	uint64_t file_size;
	struct run *runs;
	size_t run_count;
	size_t *heap, heap_size; /* runs, the smallest name on top */
	int reading;
};

int ek_names_new(struct ek_names **out, size_t memory)
{
	int rc = ek_alloc(out, 1, sizeof **out);

	if (rc == 0) {
		(*out)->fd = -1;
		(*out)->memory = memory > 0 ? memory : EK_NAMES_MEMORY;
	}
	return rc;
}

static size_t length(const char *record)
{
	const unsigned char *p = (const unsigned char *)record;

	return p[0] | (size_t)p[1] << 8;
}

static int compare(const char *a, const char *b)
{
	const size_t m = length(a), n = length(b);
	const int order = memcmp(a + 2, b + 2, m < n ? m : n);

	return order != 0 ? order : (m > n) - (m < n);
}

static int compare_starts(const void *a, const void *b, void *text)
{
	size_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return compare((const char *)text + x, (const char *)text + y);
}

static void sort(struct ek_names *names)
{
	if (names->count > 0)
		qsort_r(names->starts, names->count, sizeof *names->starts, compare_starts, names->text.data);
}

/* Write what is in memory as a sorted run. */
static int spill(struct ek_names *names)
{
	struct ek_buffer out = { 0 };
	const uint64_t start = names->file_size;
	int rc;

	if (names->fd < 0)
		EK_TRY(ek_temporary_file(&names->fd));
	EK_TRY(ek_resize(&names->runs, names->run_count + 1, sizeof *names->runs));
	sort(names);
	for (size_t i = 0; i < names->count; i++) {
		const char *record = names->text.data + names->starts[i];

		EK_TRY(ek_buffer_append(&out, record, length(record) + 3));
		if (out.size >= WINDOW || i + 1 == names->count) {
			EK_TRY(ek_write_all(names->fd, out.data, out.size, "a temporary file"));
			names->file_size += out.size;
			ek_buffer_clear(&out);
		}
	}
	names->runs[names->run_count++] = (struct run){ .at = start, .end = names->file_size };
	names->count = 0;
	ek_buffer_clear(&names->text);
out:
	ek_buffer_release(&out);
	return rc;
}

int ek_names_add(struct ek_names *names, const void *bytes, size_t size)
{
	const unsigned char head[2] = { (unsigned char)(size & 255), (unsigned char)(size >> 8) };
	int rc = 0;

	assert(size <= UINT16_MAX && !names->reading);
	if (names->count > 0 && names->text.size + size > names->memory)
		EK_TRY(spill(names));
	if (names->count == names->capacity) {
		const size_t capacity = names->capacity > 0 ? names->capacity * 2 : 64;

		EK_TRY(ek_resize(&names->starts, capacity, sizeof *names->starts));
		names->capacity = capacity;
	}
	names->starts[names->count] = names->text.size;
	EK_TRY(ek_buffer_append(&names->text, head, 2));
	EK_TRY(ek_buffer_append(&names->text, bytes, size));
	EK_TRY(ek_buffer_append(&names->text, "", 1));
	names->count++;
out:
	return rc;
}

/* Make the run's next record lie whole in its window: 1, or 0 when it is used up. */
static int advance(struct ek_names *names, struct run *run)
{
	int rc;

	for (;;) {
		const size_t left = run->window.size - run->used;
		const uint64_t rest = run->end - run->at;
		const size_t step = rest < WINDOW ? (size_t)rest : WINDOW;

		if (left >= 2 && left >= length(run->window.data + run->used) + 3)
			return 1;
		if (rest == 0)
			return 0;
		if (left > 0)
			memmove(run->window.data, run->window.data + run->used, left);
		run->window.size = left;
		run->used = 0;
		EK_TRY(ek_buffer_reserve(&run->window, step));
		EK_TRY(ek_file_read_at(names->fd, run->window.data + left, step, run->at, "a temporary file"));
		run->window.size += step;
		run->at += step;
	}
out:
	return rc;
}

static const char *top_of(const struct ek_names *names, size_t place)
{
	const struct run *run = &names->runs[names->heap[place]];

	return run->window.data + run->used;
}

static void sift_down(struct ek_names *names, size_t place)
{
	for (;;) {
		size_t least = place;

		for (size_t child = 2 * place + 1; child <= 2 * place + 2 && child < names->heap_size; child++)
			if (compare(top_of(names, child), top_of(names, least)) < 0)
				least = child;
		if (least == place)
			return;
		const size_t run = names->heap[place];

		names->heap[place] = names->heap[least];
		names->heap[least] = run;
		place = least;
	}
}

static int start_reading(struct ek_names *names)
{
	int rc = 0;

	names->reading = 1;
	if (names->run_count == 0) {
		sort(names);
		return 0;
	}
	if (names->count > 0)
		EK_TRY(spill(names));
	ek_buffer_release(&names->text);
	EK_TRY(ek_alloc(&names->heap, names->run_count, sizeof *names->heap));
	for (size_t i = 0; i < names->run_count; i++) {
		EK_TRY(advance(names, &names->runs[i]));
		names->heap[names->heap_size++] = i;
	}
	for (size_t i = names->heap_size; i-- > 0;)
		sift_down(names, i);
out:
	return rc;
}

static void give(const char *record, const char **bytes, size_t *size)
{
	*bytes = record + 2;
	*size = length(record);
}

int ek_names_next(struct ek_names *names, const char **bytes, size_t *size)
{
	struct run *run;
	int rc;

	if (!names->reading) {
		EK_TRY(start_reading(names));
	} else if (names->heap_size > 0) {
		/* Only now may the name given before go. */
		run = &names->runs[names->heap[0]];
		run->used += length(run->window.data + run->used) + 3;
		EK_TRY(advance(names, run));
		if (rc == 0)
			names->heap[0] = names->heap[--names->heap_size];
		sift_down(names, 0);
	}
	if (names->run_count == 0) {
		if (names->next == names->count)
			return 0;
		give(names->text.data + names->starts[names->next++], bytes, size);
		return 1;
	}
	if (names->heap_size == 0)
		return 0;
	give(top_of(names, 0), bytes, size);
	rc = 1;
out:
	return rc;
}

void ek_names_free(struct ek_names *names)
{
	if (names == NULL)
		return;
	for (size_t i = 0; i < names->run_count; i++)
		ek_buffer_release(&names->runs[i].window);
	if (names->fd >= 0)
		(void)close(names->fd);
	free(names->runs);
	free(names->heap);
	free(names->starts);
	ek_buffer_release(&names->text);
	free(names);
}
