#include "tests/support/support.h"

#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/plan/rank.h"

struct entry {
	int32_t unit;
	uint32_t key, id;
};

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->unit != y->unit ? (x->unit > y->unit) - (x->unit < y->unit)
	       : x->key != y->key ? (x->key > y->key) - (x->key < y->key)
	                          : (x->id > y->id) - (x->id < y->id);
}

/* The same by the C library's sort of whole entries. */
static void rank_plainly(uint32_t *ranks, const int32_t *unit, const uint32_t *keys, uint64_t n)
{
	struct entry *all = calloc(n + 1, sizeof *all);
	uint64_t first = 0;

	assert_non_null(all);
	for (uint64_t i = 0; i < n; i++)
		all[i] = (struct entry){ unit[i], keys[i], (uint32_t)i };
	qsort(all, n, sizeof *all, compare);
	for (uint64_t i = 0; i < n; i++) {
		first = i > 0 && all[i].unit == all[i - 1].unit ? first : i;
		ranks[all[i].id] = all[i].unit < 0 ? EK_NO_RANK : (uint32_t)(i - first);
	}
	free(all);
}

struct sample {
	uint64_t n;
	struct ek_units units;
	int32_t *unit;
	uint32_t *keys, *want, *got;
};

/* How keys are drawn: all 32 bits, few values, all the same, numbers near 1 as float32 has them, rising, falling. */
enum { WIDE, TIES, EQUAL, FLOATS, RISING, FALLING, FORMS };

static uint32_t draw_key(int form, uint64_t i, uint64_t n)
{
	const uint64_t drawn = ek_random_u64(7, (uint64_t)form, i);

	switch (form) {
	case TIES:
		return (uint32_t)(drawn % 5);
	case FLOATS:
		return 0xbf000000u + (uint32_t)(drawn >> 40);
	case RISING:
		return (uint32_t)(i / 3);
	case FALLING:
		return (uint32_t)(n - i);
	default:
		return form == EQUAL ? UINT32_MAX : (uint32_t)drawn;
	}
}

/* Half of the images lie in the first unit, some in none. */
static void make(struct sample *s, uint64_t n, uint32_t k, int form)
{
	*s = (struct sample){ .n = n, .units = { .n = n, .k = k } };
	s->unit = calloc(n + 1, sizeof *s->unit);
	s->keys = calloc(n + 1, sizeof *s->keys);
	s->want = calloc(n + 1, sizeof *s->want);
	s->got = calloc(n + 1, sizeof *s->got);
	s->units.sizes = calloc(k, sizeof *s->units.sizes);
	assert_true(s->unit && s->keys && s->want && s->got && s->units.sizes);
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t drawn = ek_random_below(3, 0, i, 2 * (uint64_t)k + 1);

		s->unit[i] = drawn == 0 ? (int32_t)(i % 2) - 2 : drawn > k ? 0 : (int32_t)drawn - 1;
		s->keys[i] = draw_key(form, i, n);
		if (s->unit[i] >= 0) {
			s->units.sizes[s->unit[i]]++;
			s->units.total++;
		}
	}
	s->units.unit = s->unit;
	rank_plainly(s->want, s->unit, s->keys, n);
}

static void release(struct sample *s)
{
	free(s->unit);
	free(s->keys);
	free(s->want);
	free(s->got);
	free(s->units.sizes);
}

static void ranks_equal_a_plain_sort(void **state)
{
	static const uint64_t counts[] = { 0, 1, 2, 63, 64, 65, 4097, 30000 };
	static const uint64_t segments[] = { 1, 70, 3000, 1 << 19 }, rooms[] = { 1, 500, 1 << 20 };
	static const uint32_t units[] = { 1, 3, 5000 };
	int done = 0;

	for (int form = 0; form < FORMS; form++)
		for (size_t c = 0; c < 8 * 3; c++) {
			struct sample s;

			make(&s, counts[c / 3], units[c % 3], form);
			for (size_t p = 0; p < 4 * 3; p++) {
				/* Single entries in many batches would take the square of the images. */
				if (s.n > 65 && (segments[p / 3] == 1 || rooms[p % 3] == 1))
					continue;
				ek_threads_set(1 + done++ % 4);
				memcpy(s.got, s.keys, s.n * sizeof *s.got);
				assert_ok(ek_rank_in(s.got, &s.units, segments[p / 3], rooms[p % 3]));
				assert_memory_equal(s.got, s.want, s.n * sizeof *s.got);
			}
			release(&s);
		}
	ek_threads_set(0);
	print_message("%d rankings\n", done);
}

/* As large as it takes for several segments and, with radix, both sizes of digits. */
static void many_images_take_the_same_ranks_on_any_threads(void **state)
{
	for (int form = 0; form < 4; form++) {
		struct sample s;

		make(&s, 3000000, 40, form);
		for (int threads = 1; threads <= 3; threads++) {
			ek_threads_set(threads);
			memcpy(s.got, s.keys, s.n * sizeof *s.got);
			assert_ok(threads == 3 ? ek_rank_in(s.got, &s.units, 1 << 17, 1 << 19)
			                       : ek_rank(s.got, &s.units));
			assert_memory_equal(s.got, s.want, s.n * sizeof *s.got);
		}
		release(&s);
	}
	ek_threads_set(0);
}

static void too_many_images_are_refused(void **state)
{
	const struct ek_units units = { .n = (uint64_t)1 << 32 };

	assert_fails(ek_rank(NULL, &units), EK_ENOTSUP, "4294967296 images are more than");
}

EK_TEST_MAIN(cmocka_unit_test(ranks_equal_a_plain_sort),
             cmocka_unit_test(many_images_take_the_same_ranks_on_any_threads),
             cmocka_unit_test(too_many_images_are_refused))
