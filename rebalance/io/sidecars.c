#include "rebalance/io/sidecars.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"

enum { MEMORY = 4 << 20 };
static const uint32_t none = UINT32_MAX;

struct entry {
	uint64_t hash;  /* of kind and stem */
	uint64_t place; /* of the stem and the text behind it */
	uint32_t text_size;
	uint32_t next; /* the one before it of the same slot, or none */
	uint16_t stem_size;
	uint8_t kind, state;
};

/* Entries come and go at the end only, so that each slot's list is a stack. */
struct ek_sidecars {
	struct entry *entries;
	size_t count, capacity;
	uint32_t *slots; /* [slot_count], a power of two: the last entry of each */
	size_t slot_count;
	struct ek_buffer tail; /* the texts from tail_place on; what is before lies in the file */
	uint64_t tail_place;
	int fd;
	struct ek_buffer other; /* scratch */
};

int ek_sidecars_new(struct ek_sidecars **out)
{
	int rc = ek_alloc(out, 1, sizeof **out);

	if (rc == 0)
		(*out)->fd = -1;
	return rc;
}

static uint64_t hash_of(enum ek_sidecar_kind kind, const char *stem, size_t size)
{
	return ek_hash64(stem, size) * 0x9e3779b97f4a7c15 + (uint64_t)kind;
}

static void link_entry(struct ek_sidecars *s, size_t i)
{
	uint32_t *slot = &s->slots[s->entries[i].hash & (s->slot_count - 1)];

	s->entries[i].next = *slot;
	*slot = (uint32_t)i;
}

static int grow(struct ek_sidecars *s)
{
	const size_t capacity = s->capacity > 0 ? s->capacity * 2 : 64;
	int rc;

	if (capacity > UINT32_MAX)
		return ek_fail(EK_EDATA, "more than 2^31 files beside images in one tar");
	EK_TRY(ek_resize(&s->entries, capacity, sizeof *s->entries));
	EK_TRY(ek_resize(&s->slots, capacity, sizeof *s->slots));
	s->capacity = s->slot_count = capacity;
	memset(s->slots, 0xff, capacity * sizeof *s->slots); /* none */
	for (size_t i = 0; i < s->count; i++)
		link_entry(s, i);
out:
	return rc;
}

static int spill(struct ek_sidecars *s)
{
	int rc = 0;

	if (s->fd < 0)
		EK_TRY(ek_temporary_file(&s->fd));
	if (lseek(s->fd, (off_t)s->tail_place, SEEK_SET) < 0)
		return ek_fail_errno("cannot write a temporary file");
	EK_TRY(ek_write_all(s->fd, s->tail.data, s->tail.size, "a temporary file"));
	s->tail_place += s->tail.size;
	ek_buffer_clear(&s->tail);
out:
	return rc;
}

int ek_sidecars_add(struct ek_sidecars *s, enum ek_sidecar_kind kind, const char *stem, size_t stem_size,
                    const void *text, size_t text_size)
{
	int rc = 0;

	assert(stem_size <= UINT16_MAX && text_size <= UINT32_MAX);
	if (s->count == s->capacity)
		EK_TRY(grow(s));
	if (s->tail.size > 0 && s->tail.size + stem_size + text_size > MEMORY)
		EK_TRY(spill(s));
	s->entries[s->count] = (struct entry){ .hash = hash_of(kind, stem, stem_size),
		                               .place = s->tail_place + s->tail.size,
		                               .text_size = (uint32_t)text_size,
		                               .stem_size = (uint16_t)stem_size,
		                               .kind = (uint8_t)kind };
	EK_TRY(ek_buffer_append(&s->tail, stem, stem_size));
	EK_TRY(ek_buffer_append(&s->tail, text, text_size));
	link_entry(s, s->count++);
out:
	return rc;
}

/* Replace `out` by the bytes at `place`. */
static int read_place(struct ek_buffer *out, const struct ek_sidecars *s, uint64_t place, size_t size)
{
	int rc;

	ek_buffer_clear(out);
	if (place >= s->tail_place) {
		EK_TRY(ek_buffer_append(out, s->tail.data + (place - s->tail_place), size));
		goto out;
	}
	EK_TRY(ek_buffer_reserve(out, size));
	EK_TRY(ek_file_read_at(s->fd, out->data, size, place, "a temporary file"));
	out->size = size;
	out->data[size] = 0;
out:
	return rc;
}

int ek_sidecars_find_below(size_t *i, struct ek_sidecars *s, enum ek_sidecar_kind kind, const char *stem,
                           size_t stem_size, size_t below)
{
	const uint64_t hash = s->count > 0 ? hash_of(kind, stem, stem_size) : 0;
	int rc = 0;

	for (uint32_t at = s->count > 0 ? s->slots[hash & (s->slot_count - 1)] : none; at != none;
	     at = s->entries[at].next) {
		const struct entry *e = &s->entries[at];

		if (at >= below || e->hash != hash || e->kind != (uint8_t)kind || e->stem_size != stem_size)
			continue;
		EK_TRY(ek_sidecars_stem(&s->other, s, at));
		if (memcmp(s->other.data, stem, stem_size) == 0) {
			*i = at;
			return 1;
		}
	}
out:
	return rc;
}

int ek_sidecars_find(size_t *i, struct ek_sidecars *s, enum ek_sidecar_kind kind, const char *stem, size_t stem_size)
{
	return ek_sidecars_find_below(i, s, kind, stem, stem_size, SIZE_MAX);
}

size_t ek_sidecars_count(const struct ek_sidecars *s)
{
	return s->count;
}

enum ek_sidecar_kind ek_sidecars_kind(const struct ek_sidecars *s, size_t i)
{
	return (enum ek_sidecar_kind)s->entries[i].kind;
}

enum ek_sidecar_state ek_sidecars_state(const struct ek_sidecars *s, size_t i)
{
	return (enum ek_sidecar_state)s->entries[i].state;
}

void ek_sidecars_set(struct ek_sidecars *s, size_t i, enum ek_sidecar_state state)
{
	s->entries[i].state = (uint8_t)state;
}

int ek_sidecars_stem(struct ek_buffer *out, struct ek_sidecars *s, size_t i)
{
	return read_place(out, s, s->entries[i].place, s->entries[i].stem_size);
}

int ek_sidecars_text(struct ek_buffer *out, struct ek_sidecars *s, size_t i)
{
	const struct entry *e = &s->entries[i];

	return read_place(out, s, e->place + e->stem_size, e->text_size);
}

int ek_sidecars_agree(struct ek_sidecars *s, size_t i, size_t j)
{
	struct ek_buffer text = { 0 };
	int rc;

	EK_TRY(ek_sidecars_text(&text, s, i));
	EK_TRY(ek_sidecars_text(&s->other, s, j));
	rc = text.size == s->other.size && memcmp(text.data, s->other.data, text.size) == 0;
out:
	ek_buffer_release(&text);
	return rc;
}

/* Drop what lies behind `place`. */
static void cut(struct ek_sidecars *s, uint64_t place)
{
	if (place >= s->tail_place) {
		s->tail.size = (size_t)(place - s->tail_place);
	} else {
		s->tail_place = place;
		ek_buffer_clear(&s->tail);
	}
}

/* An entry of the same name that comes later: does the older one still hold? */
static void meet(struct entry *older, const struct entry *e, int agree, uint64_t *dropped)
{
	if (!agree) {
		*dropped += e->state != EK_SIDECAR_USED;
		if (older->state == EK_SIDECAR_BESIDE)
			older->state = EK_SIDECAR_DISPUTED;
		else if (older->state != EK_SIDECAR_USED && older->state != EK_SIDECAR_DISPUTED)
			older->state = EK_SIDECAR_AMBIGUOUS;
	} else if (older->state == EK_SIDECAR_BESIDE ||
	           (e->state == EK_SIDECAR_LATE && older->state == EK_SIDECAR_WAITS)) {
		older->state = e->state;
	}
}

/* Put an entry that was taken off back at the end, unless its name is there. */
static int put_back(struct ek_sidecars *s, const struct entry *e, uint64_t *dropped)
{
	struct ek_buffer stem = { 0 };
	size_t older, newer = s->count;
	int rc;

	s->entries[newer] = *e;
	EK_TRY(ek_sidecars_stem(&stem, s, newer));
	EK_TRY(ek_sidecars_find(&older, s, (enum ek_sidecar_kind)e->kind, stem.data, stem.size));
	if (rc == 0) {
		link_entry(s, s->count++);
		goto out;
	}
	EK_TRY(ek_sidecars_agree(s, newer, older));
	meet(&s->entries[older], e, rc, dropped);
	rc = 0;
out:
	ek_buffer_release(&stem);
	return rc;
}

static int stays(const struct entry *e, int keep, size_t used_stem)
{
	return e->state == EK_SIDECAR_LATE || e->state == EK_SIDECAR_BESIDE || (e->state == EK_SIDECAR_WAITS && keep) ||
	       (e->state == EK_SIDECAR_USED && used_stem > 0 && e->stem_size == used_stem);
}

int ek_sidecars_settle(struct ek_sidecars *s, size_t count, int keep, size_t used_stem, uint64_t *dropped)
{
	const size_t end = s->count;
	uint64_t place;
	int rc = 0;

	if (end == count)
		return 0;
	place = s->entries[count].place;
	while (s->count > count) {
		const struct entry *e = &s->entries[--s->count];

		s->slots[e->hash & (s->slot_count - 1)] = e->next;
	}
	for (size_t i = count; i < end; i++) {
		const struct entry e = s->entries[i];

		if (stays(&e, keep, used_stem))
			EK_TRY(put_back(s, &e, dropped));
		else
			*dropped += e.state == EK_SIDECAR_WAITS;
	}
	for (size_t i = count; i < s->count; i++)
		place = s->entries[i].place + s->entries[i].stem_size + s->entries[i].text_size;
	cut(s, place);
out:
	return rc;
}

void ek_sidecars_free(struct ek_sidecars *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->entries);
	free(s->slots);
	ek_buffer_release(&s->tail);
	ek_buffer_release(&s->other);
	free(s);
}
