#include "tests/support/support.h"

#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "rebalance/io/npy.h"
#include "rebalance/pipeline/samples.h"
#include "rebalance/pipeline/samples_writer.h"

enum { SIDE = 4, SIZE = 3 * SIDE * SIDE, ELEMENTS = 2, COUNT = 23, BATCH = 7 };

static int make_batch(struct ek_samples_writer *w, uint64_t first, size_t count)
{
	float latents[BATCH * ELEMENTS];
	uint8_t *pixels;
	int rc;

	EK_TRY(ek_samples_writer_room(&pixels, w, count));
	for (size_t i = 0; i < count * SIZE; i++)
		pixels[i] = (uint8_t)(first * SIZE + i);
	for (size_t i = 0; i < count * ELEMENTS; i++)
		latents[i] = (float)(first * ELEMENTS + i);
	EK_TRY(ek_samples_writer_write(w, first, count, latents));
out:
	memset(latents, 0, sizeof latents); /* they are the caller's */
	return rc;
}

static int make(const char *folder, struct ek_npy_writer *latents, int beside)
{
	struct ek_samples_writer *w = NULL;
	int rc;

	EK_TRY(ek_samples_writer_new(&w, folder, SIDE, latents, ELEMENTS, beside));
	for (uint64_t first = 0; first < COUNT; first += BATCH)
		EK_TRY(make_batch(w, first, first + BATCH < COUNT ? BATCH : (size_t)(COUNT - first)));
	EK_TRY(ek_samples_writer_end(w));
out:
	ek_samples_writer_free(w);
	return rc;
}

static const char *make_set(int beside)
{
	static const uint64_t shape[2] = { COUNT, ELEMENTS };
	const char *folder = ek_scratch();
	struct ek_npy_writer *latents = NULL;
	uint64_t rows;

	assert_int_equal(mkdir(ek_join(folder, "images"), 0700), 0);
	assert_ok(ek_npy_writer_open(&latents, &rows, ek_join(folder, "latents.npy"), EK_F32, 2, shape, "test"));
	assert_ok(make(folder, latents, beside));
	assert_ok(ek_npy_writer_commit(latents));
	ek_npy_writer_free(latents);
	return folder;
}

static void what_is_written_beside_the_making_is_what_is_written_after_it(void **state)
{
	const char *after = make_set(0), *beside = make_set(1);

	(void)state;
	ek_assert_same_files(ek_join(after, "latents.npy"), ek_join(beside, "latents.npy"));
	for (uint64_t i = 0; i < COUNT; i++) {
		char *a = NULL, *b = NULL;

		assert_ok(ek_samples_image(&a, after, i));
		assert_ok(ek_samples_image(&b, beside, i));
		ek_assert_same_files(a, b);
		free(a);
		free(b);
	}
}

static void a_failure_reaches_whoever_makes_them(void **state)
{
	(void)state;
	for (int beside = 0; beside < 2; beside++)
		assert_fails(make(ek_scratch(), NULL, beside), EK_EIO, "images/0000");
}

EK_TEST_MAIN(cmocka_unit_test(what_is_written_beside_the_making_is_what_is_written_after_it),
             cmocka_unit_test(a_failure_reaches_whoever_makes_them))
