#include "tests/support/support.h"

#include <zlib.h>

#include "rebalance/base/memory.h"
#include "rebalance/io/idx.h"

enum { COUNT = 3000, ROWS = 28, COLS = 27, SIZE = ROWS * COLS, MAX = 1000000 };

/* Noise of 5 bits, so that half of a compressed file holds about half of the images. */
static uint8_t pixel(size_t i)
{
	uint32_t h = (uint32_t)i * 2654435761u;

	h = (h ^ h >> 15) * 2246822519u;
	return (uint8_t)(h >> 27);
}

/* One folder for all files of this program. */
static const char *file_path(void)
{
	static const char *folder;

	if (folder == NULL)
		folder = ek_scratch();
	return ek_join(folder, "file");
}

static void put_number(struct ek_buffer *b, uint32_t n)
{
	const uint8_t bytes[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

	assert_ok(ek_buffer_append(b, bytes, 4));
}

static void make_images(struct ek_buffer *b)
{
	put_number(b, 0x803);
	put_number(b, COUNT);
	put_number(b, ROWS);
	put_number(b, COLS);
	for (size_t i = 0; i < (size_t)COUNT * SIZE; i++)
		assert_ok(ek_buffer_append(b, &(uint8_t){ pixel(i) }, 1));
}

static void make_labels(struct ek_buffer *b)
{
	put_number(b, 0x801);
	put_number(b, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_ok(ek_buffer_append(b, &(uint8_t){ (uint8_t)(i % 10) }, 1));
}

static void compress_gzip(struct ek_buffer *out, const struct ek_buffer *in)
{
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_ok(ek_buffer_reserve(out, deflateBound(&z, in->size)));
	z.next_in = (Bytef *)in->data;
	z.avail_in = (uInt)in->size;
	z.next_out = (Bytef *)out->data;
	z.avail_out = (uInt)out->capacity;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->size = z.total_out;
	(void)deflateEnd(&z);
}

/* Write the bytes, read items until next says otherwise; those that come before item `right` must be right. */
static int read_some(const void *bytes, size_t size, size_t right, uint64_t *done)
{
	const char *path = file_path();
	const struct ek_idx_info *info;
	uint8_t item[SIZE];
	struct ek_idx *idx;
	int rc;

	ek_write_file(path, bytes, size);
	assert_ok(ek_idx_open(&idx, path, MAX));
	info = ek_idx_info(idx);
	assert_true(info->item_size <= sizeof item);
	while ((rc = ek_idx_next(idx, item)) == 1) {
		const size_t i = ek_idx_done(idx) - 1;

		for (size_t p = 0; p < info->item_size && i < right; p++)
			assert_int_equal(item[p],
			                 info->kind == EK_IDX_IMAGES ? pixel(i * SIZE + p) : (uint8_t)(i % 10));
	}
	*done = ek_idx_done(idx);
	ek_idx_close(idx);
	return rc;
}

static int read_all(const void *bytes, size_t size, uint64_t *done)
{
	return read_some(bytes, size, COUNT, done);
}

static void items_come_in_order_plain_or_compressed(void **state)
{
	struct ek_buffer plain = { 0 }, packed = { 0 };
	uint64_t done;

	for (int labels = 0; labels < 2; labels++) {
		ek_buffer_clear(&plain);
		ek_buffer_clear(&packed);
		(labels ? make_labels : make_images)(&plain);
		compress_gzip(&packed, &plain);
		assert_ok(read_all(plain.data, plain.size, &done));
		assert_int_equal(done, COUNT);
		assert_ok(read_all(packed.data, packed.size, &done));
		assert_int_equal(done, COUNT);
	}
	ek_buffer_release(&plain);
	ek_buffer_release(&packed);
}

static void the_header_is_told(void **state)
{
	const char *path = file_path();
	struct ek_buffer plain = { 0 };
	const struct ek_idx_info *info;
	struct ek_idx *idx;

	make_images(&plain);
	ek_write_file(path, plain.data, plain.size);
	assert_ok(ek_idx_open(&idx, path, SIZE));
	info = ek_idx_info(idx);
	assert_int_equal(info->kind, EK_IDX_IMAGES);
	assert_int_equal(info->count, COUNT);
	assert_int_equal(info->rows, ROWS);
	assert_int_equal(info->cols, COLS);
	assert_int_equal(info->item_size, SIZE);
	assert_int_equal(info->offset, 16);
	ek_idx_close(idx);
	assert_fails(ek_idx_open(&idx, path, SIZE - 1), EK_EDATA, "27 x 28 pixels");
	assert_null(idx);
	ek_buffer_release(&plain);
}

static void a_cut_file_keeps_its_whole_items(void **state)
{
	static const size_t cuts[] = { 16, 17, 16 + SIZE - 1, 16 + SIZE, 16 + 350 * SIZE + 5, 16 + COUNT * SIZE - 1 };
	struct ek_buffer plain = { 0 }, packed = { 0 };
	uint64_t done;

	make_images(&plain);
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		char text[64];

		(void)snprintf(text, sizeof text, "ends after %zu of 3000 images", (cuts[i] - 16) / SIZE);
		assert_fails(read_all(plain.data, cuts[i], &done), EK_EDATA, text);
		assert_int_equal(done, (cuts[i] - 16) / SIZE);
	}
	compress_gzip(&packed, &plain);
	assert_int_equal(read_all(packed.data, packed.size / 2, &done), EK_EDATA);
	assert_true(done > COUNT * 4 / 10 && done < COUNT * 6 / 10);
	ek_buffer_release(&plain);
	ek_buffer_release(&packed);
}

static void damage_and_surplus_are_told(void **state)
{
	struct ek_buffer plain = { 0 }, packed = { 0 };
	uint64_t done;

	make_images(&plain);
	compress_gzip(&packed, &plain);
	packed.data[packed.size - 6] ^= 1; /* the checksum */
	assert_fails(read_all(packed.data, packed.size, &done), EK_EDATA, "damaged");
	/* zlib drops the 512 KiB that it was working on. */
	assert_true(done < COUNT && done >= COUNT - (512 << 10) / SIZE - 1);
	packed.data[packed.size - 6] ^= 1;
	memset(packed.data + packed.size / 2, 0, 200);
	/* Damage may show only later, at the latest by the checksum. */
	assert_int_equal(read_some(packed.data, packed.size, COUNT * 4 / 10, &done), EK_EDATA);
	assert_true(done < COUNT && done >= COUNT * 4 / 10 - (512 << 10) / SIZE - 1);

	assert_ok(ek_buffer_append(&plain, "x", 1));
	assert_fails(read_all(plain.data, plain.size, &done), EK_EDATA, "more bytes than the 3000 images");
	assert_int_equal(done, COUNT);
	ek_buffer_release(&plain);
	ek_buffer_release(&packed);
}

static void other_files_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *text;
	} cases[] = {
		{ "", 0, "not an IDX file" },
		{ "\0\0\x08", 3, "not an IDX file" },
		{ "\0\0\x0d\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01", 16, "not an IDX file" },
		{ "\0\0\x08\x04\0\0\0\x01\0\0\0\x01\0\0\0\x01", 16, "not an IDX file" },
		{ "\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0", 15, "in its header" },
		{ "\0\0\x08\x01\0\0\0", 7, "in its header" },
		{ "\0\0\x08\x03\0\0\0\x01\0\0\0\0\0\0\0\x01", 16, "0 pixels" },
		{ "\0\0\x08\x03\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff", 16, "the limit is" },
	};
	const char *path = file_path();
	struct ek_idx *idx;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ek_write_file(path, cases[i].bytes, cases[i].size);
		assert_fails(ek_idx_open(&idx, path, MAX), EK_EDATA, cases[i].text);
		assert_null(idx);
	}
	assert_int_equal(ek_idx_open(&idx, "/nonexistent/file", MAX), EK_EIO);
}

static void no_items_are_no_error(void **state)
{
	uint64_t done = 1;

	assert_ok(read_all("\0\0\x08\x01\0\0\0\0", 8, &done));
	assert_int_equal(done, 0);
}

EK_TEST_MAIN(cmocka_unit_test(items_come_in_order_plain_or_compressed), cmocka_unit_test(the_header_is_told),
             cmocka_unit_test(a_cut_file_keeps_its_whole_items), cmocka_unit_test(damage_and_surplus_are_told),
             cmocka_unit_test(other_files_are_refused), cmocka_unit_test(no_items_are_no_error))
